"""Convolutions of images smaller than their kernel: most of the kernel falls on padding, so a dense matrix has less to do.

    x (N, C, 2, 2) ─▶ Conv 3×3, padding 1 ─▶ (N, D, 2, 2)      becomes      Flatten ─▶ Gemm (4·C → 4·D) ─▶ Reshape

4·C·4·D products instead of 9·C·4·D. The matrix holds each weight wherever the kernel meets the image: sums are the same
products, without those of padded zeros.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from onnx2snn.runtime.draft import Array, Draft
from onnx2snn.runtime.network import Node
from onnx2snn.runtime.tensors import attributes


def dense_convolution(node: Node, draft: Draft) -> bool:
    """Write a convolution as a matrix product, where that is less work and not much more memory."""
    before, after = (draft.sample_shape(name) for name in (node.inputs[0], node.outputs[0]))
    weights = draft.value(node.inputs[1])
    matrix = (
        None
        if weights is None
        else dense_matrix(weights, before, after, attributes(node.content), draft.growth)
    )
    has_bias = len(node.inputs) > 2 and bool(node.inputs[2])
    bias = draft.value(node.inputs[2]) if has_bias else None
    if matrix is None or after is None or (has_bias and bias is None):
        return False
    output = node.outputs[0]
    flat = draft.add("Flatten", [node.inputs[0]], output=output, axis=1)
    read = [flat, draft.hold(node.inputs[1], matrix)]
    if bias is not None:
        read.append(draft.hold(output, np.repeat(bias, after[1] * after[2])))
    dense = draft.add("Gemm", read, output=output)
    draft.add("Reshape", [dense, draft.hold(output, [-1, *after], np.int64)], output=output, last=True)
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
    if before is None or after is None or len(before) != 3 or len(after) != 3:
        return None
    area, kernel = before[1] * before[2], int(np.prod(weights.shape[2:]))
    plain = int(held.get("group", 1)) == 1 and held.get("auto_pad", "NOTSET") == "NOTSET"
    if not plain or area >= kernel or area * after[1] * after[2] > growth * kernel:
        return None
    return _matrix(weights, before, after, held)


def _matrix(weights: Array, before: tuple[int, ...], after: tuple[int, ...], held: dict[str, Any]) -> Array:
    strides, dilations = held.get("strides", [1, 1]), held.get("dilations", [1, 1])
    pads = held.get("pads", [0, 0, 0, 0])
    matrix = np.zeros((*before, *after), weights.dtype)
    for row, column in product(range(after[1]), range(after[2])):
        for i, j in product(range(weights.shape[2]), range(weights.shape[3])):
            y = row * strides[0] - pads[0] + i * dilations[0]
            x = column * strides[1] - pads[1] + j * dilations[1]
            if 0 <= y < before[1] and 0 <= x < before[2]:
                matrix[:, y, x, :, row, column] = weights[:, :, i, j].T
    return matrix.reshape(int(np.prod(before)), -1)
