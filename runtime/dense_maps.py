"""Convolutions of images smaller than their kernel: most of the kernel falls on padding, and need not be multiplied.

    x (N, C, 2, 2) ─▶ Conv 3×3, padding 1 ─▶ (N, D, 2, 2)

has 9·C·4·D products, of which 16·C·D are not with padding. In float32 each place of the kernel, a tap, is a product of its
own, (pairs of pixels that it joins) × C → D, and a product with zeros and ones adds up what arrives at each pixel: weights are
held once. In 8 bits, where weights are small and sums are exact in any order, one dense matrix (4·C → 4·D) does it at once.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from onnx2snn.runtime.draft import Array, Draft
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.tensors import attributes

#: So many times the kernel's places may be pairs of pixels.
_MOST_PAIRS = 2.0


def tap_by_tap(node: Node, draft: Draft) -> bool:
    """Write a convolution as products by tap, where that is less work."""
    before, after = (draft.sample_shape(name) for name in (node.inputs[0], node.outputs[0]))
    weights, held = draft.value(node.inputs[1]), attributes(node.content)
    if weights is None or before is None or after is None:
        return False
    if not _pays(weights.shape, before, after, held, _MOST_PAIRS):
        return False
    joined = taps(weights.shape, before, after, held)
    if not joined:
        return False
    output = node.outputs[0]
    shape = draft.hold(output, [-1, before[0], before[1] * before[2]], np.int64)
    columns = draft.add("Reshape", [node.inputs[0], shape], output=output)
    pixels = draft.add("Transpose", [columns], output=output, perm=[0, 2, 1])
    arriving, targets = [], []
    for (i, j), pairs in joined.items():
        sources = draft.hold(output, [source for source, _ in pairs], np.int64)
        rows = draft.add("Gather", [pixels, sources], output=output, axis=1)
        read = [rows, draft.hold(output, weights[:, :, i, j].T)]
        arriving.append(draft.add("MatMul", read, output=output))
        targets += [target for _, target in pairs]
    currents = draft.add("Concat", arriving, output=output, axis=1)
    chosen = np.arange(after[1] * after[2])[:, None] == np.array(targets)
    y = draft.add("MatMul", [draft.hold(output, chosen), currents], output=output)
    if len(node.inputs) > 2 and node.inputs[2]:
        y = draft.add("Add", [y, node.inputs[2]], output=output)
    y = draft.add("Transpose", [y], output=output, perm=[0, 2, 1])
    draft.add("Reshape", [y, draft.hold(output, [-1, *after], np.int64)], output=output, last=True)
    return True


def dense_matrix(
    weights: Array,
    before: tuple[int, ...] | None,
    after: tuple[int, ...] | None,
    held: dict[str, Any],
    growth: float,
) -> Array | None:
    """The matrix (inputs, outputs) of a convolution; None where it would not pay.

    Args:
        weights: (D, C, height, width) of the kernel.
        before: (C, H, W) of a sample; None where a size is open.
        after: (D, H', W').
        held: Attributes of the convolution.
        growth: The most weights that the matrix may hold, in kernels.
    """
    if before is None or after is None or not _pays(weights.shape, before, after, held, growth):
        return None
    return _matrix(weights, before, after, held)


def _pays(
    kernel: tuple[int, ...],
    before: tuple[int, ...],
    after: tuple[int, ...],
    held: dict[str, Any],
    growth: float,
) -> bool:
    """Whether most of a kernel falls on padding, and pairs of pixels are not many times more than its places."""
    if len(before) != 3 or len(after) != 3:
        return False
    area, places = before[1] * before[2], int(np.prod(kernel[2:]))
    plain = int(held.get("group", 1)) == 1 and held.get("auto_pad", "NOTSET") == "NOTSET"
    return plain and area < places and area * after[1] * after[2] <= growth * places


def taps(
    kernel: tuple[int, ...], before: tuple[int, ...], after: tuple[int, ...], held: dict[str, Any]
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """The pairs (pixel of the input, pixel of the output) that each place of a kernel joins, if any."""
    strides, dilations = held.get("strides", [1, 1]), held.get("dilations", [1, 1])
    pads = held.get("pads", [0, 0, 0, 0])
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, j in product(range(kernel[2]), range(kernel[3])):
        for row, column in product(range(after[1]), range(after[2])):
            y = row * strides[0] - pads[0] + i * dilations[0]
            x = column * strides[1] - pads[1] + j * dilations[1]
            if 0 <= y < before[1] and 0 <= x < before[2]:
                found.setdefault((i, j), []).append((y * before[2] + x, row * after[2] + column))
    return found


def _matrix(weights: Array, before: tuple[int, ...], after: tuple[int, ...], held: dict[str, Any]) -> Array:
    matrix = np.zeros((before[0], before[1] * before[2], after[0], after[1] * after[2]), weights.dtype)
    for (i, j), pairs in taps(weights.shape, before, after, held).items():
        for source, target in pairs:
            matrix[:, source, :, target] = weights[:, :, i, j].T
    return matrix.reshape(before[0] * before[1] * before[2], -1)
