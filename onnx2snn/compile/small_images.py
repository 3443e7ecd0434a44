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
import onnx

from onnx2snn.compile.draft import Array, Draft, attributes

#: So many times the kernel's places may be pairs of pixels.
_MOST_PAIRS = 2.0


def joined_taps(node: onnx.NodeProto, draft: Draft) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """The pairs of pixels that each tap of a convolution joins; empty where products by tap are no less work."""
    before, after = (draft.sample_shape(name) for name in (node.input[0], node.output[0]))
    weights, held = draft.value(node.input[1]), attributes(node)
    if weights is None or before is None or after is None:
        return {}
    if not _pays(weights.shape, before, after, held, _MOST_PAIRS):
        return {}
    return taps(weights.shape, before, after, held)


def tap_by_tap(node: onnx.NodeProto, draft: Draft) -> bool:
    """Write a convolution as products by tap, where that is less work."""
    joined, weights = joined_taps(node, draft), draft.value(node.input[1])
    before, after = (draft.sample_shape(name) for name in (node.input[0], node.output[0]))
    if not joined or weights is None or before is None or after is None:
        return False
    at = draft.at(node.output[0])
    shape = at.constant([-1, before[0], before[1] * before[2]], np.int64)
    pixels = at.add("Transpose", [at.add("Reshape", [node.input[0], shape])], perm=[0, 2, 1])
    arriving, targets = [], []
    for (i, j), pairs in joined.items():
        sources = at.constant([source for source, _ in pairs], np.int64)
        rows = at.add("Gather", [pixels, sources], axis=1)
        arriving.append(at.add("MatMul", [rows, at.constant(weights[:, :, i, j].T)]))
        targets += [target for _, target in pairs]
    chosen = np.arange(after[1] * after[2])[:, None] == np.array(targets)
    y = at.add("MatMul", [at.constant(chosen), at.add("Concat", arriving, axis=1)])
    if len(node.input) > 2 and node.input[2]:
        y = at.add("Add", [y, node.input[2]])
    y = at.add("Transpose", [y], perm=[0, 2, 1])
    at.end("Reshape", [y, at.constant([-1, *after], np.int64)])
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
