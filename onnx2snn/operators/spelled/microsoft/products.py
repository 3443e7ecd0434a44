"""Convolutions and products of matrices that hold more than one operator, or packed weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.operators.packed import is_packed, unpacked, unpacked_weights
from onnx2snn.operators.spelled.microsoft.definition import Definition, Operands

#: The attributes of the linear operators.
_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_GEMM = ("alpha", "beta", "transA", "transB")
#: Levels of accuracy of MatMulNBits at which its kernels do not round what they read.
_FLOAT32 = (0, 1)


def _conv(o: Operands) -> None:
    """Conv, perhaps Add, perhaps an activation; its numbers are its attributes, or inputs where it has none (Clip)."""
    read = [o.must(0), o.must(1), *(t for t in [o.read(2)] if t is not None)]
    result, summand = o.apply("Conv", *read, **o.attrs(*_CONV)), o.read(3)
    if summand is not None:
        result = o.apply("Add", result, summand)
    name = str(o.node.attrs.get("activation", ""))
    numbers = [float(v) for v in o.node.attrs.get("activation_params", [])]
    attributes = sorted(onnx.defs.get_schema(name).attributes) if numbers else []
    if attributes:
        given: dict[str, Any] = dict(zip(attributes, numbers, strict=False))
        o.apply(name, result, output=0, **given)
    else:
        o.apply(name or "Identity", result, *(np.float32(v) for v in numbers), output=0)


def _gemm(o: Operands) -> None:
    """Gemm, then an activation, whose attributes have ``activation_`` in front."""
    read = [o.must(0), o.must(1), *(t for t in [o.read(2)] if t is not None)]
    result = o.apply("Gemm", *read, **o.attrs(*_GEMM))
    given = o.node.attrs.items()
    attributes = {k.removeprefix("activation_"): v for k, v in given if k.startswith("activation_")}
    o.apply(str(o.node.attrs.get("activation", "Identity")), result, output=0, **attributes)


def _matmul(o: Operands) -> None:
    """A product of what may be transposed, times alpha.

    A transposed batch has its first axis in front of the last one: (M, ..., K) becomes (..., M, K).
    """
    turns = [(o.flag(f"transBatch{side}"), o.flag(f"trans{side}")) for side in "AB"]
    if any(any(turn) and (o.rank(i) or 0) < 2 for i, turn in enumerate(turns)):
        return
    operands = [_turned(o, i, *turn) if any(turn) else o.must(i) for i, turn in enumerate(turns)]
    o.apply("Mul", o.apply("MatMul", *operands), np.float32(o.number("alpha", 1)), output=0)


def _turned(o: Operands, position: int, batch: bool, last: bool) -> gs.Tensor:
    axes = list(range(o.rank(position) or 0))
    if batch:
        axes = [*axes[1:-1], axes[0], axes[-1]]
    if last:
        axes[-2:] = axes[:-3:-1]
    return o.apply("Transpose", o.must(position), perm=axes)


def _packed_matmul(o: Operands) -> None:
    """x·W, where W = (codes − zero point)·scale, a scale for each block of rows.

    At other levels of accuracy its kernels may round x to integers of their choice: the node stays. So it does where its
    weights are not of the sizes that it says.
    """
    weights, scales = o.constant(1), o.constant(2)
    exact = int(o.number("accuracy_level", 0)) in _FLOAT32 and not o.flag("weight_prepacked")
    if weights is None or scales is None or not weights.size or not exact or not o.only(0, 1, 2, 3, 5):
        return
    if o.read(3) is not None and o.constant(3) is None:
        return
    bits, rows = int(o.number("bits", 4)), int(o.number("K", 0))
    sizes = rows, int(o.number("N", 0)), int(o.number("block_size", 0))
    if sizes[2] < 1 or not is_packed(weights, scales, o.constant(3), bits, sizes):
        return
    matrix = unpacked_weights(weights, scales, o.constant(3), bits, rows)
    if o.read(5) is None:
        o.apply("MatMul", o.must(0), matrix, output=0)
    else:
        o.apply("Add", o.apply("MatMul", o.must(0), matrix), o.must(5), output=0)


def _packed_gather(o: Operands) -> None:
    """Rows of a table (rows, columns) of codes, which have a scale for each block of columns."""
    codes, scales, zeros = o.constant(0), o.constant(2), o.constant(3)
    along = (int(o.number("gather_axis", 0)), int(o.number("quantize_axis", 1)))
    known = codes is not None and codes.ndim == 2 and scales is not None and codes.dtype == np.uint8
    if codes is None or scales is None or not known or along not in ((0, 1), (0, -1)):
        return
    bits, block = int(o.number("bits", 4)), int(o.number("block_size", 128))
    table = unpacked(codes, bits)
    middle = np.float32(2 ** (bits - 1)) if zeros is None else unpacked(zeros, bits)[:, : scales.shape[1]]
    each = [np.repeat(v, block, axis=1)[:, : table.shape[1]] for v in np.broadcast_arrays(middle, scales)]
    values = (table.astype(np.float32) - each[0].astype(np.float32)) * each[1]
    o.apply("Gather", values.astype(np.float32), o.must(1), output=0)


def _dynamic_matmul(o: Operands) -> None:
    """MatMulInteger of x, quantised by its own range, and of codes; then the scales."""
    codes, scale, zero = o.several("DynamicQuantizeLinear", o.must(0), kinds=(np.uint8, np.float32, np.uint8))
    zeros = [t for t in [o.read(3)] if t is not None]
    summed = o.apply("MatMulInteger", codes, o.must(1), zero, *zeros, kind=np.int32)
    counted = o.apply("Cast", summed, to=1)
    bias = o.read(4)
    scaled = o.apply("Mul", counted, o.apply("Mul", scale, o.must(2)), output=0 if bias is None else None)
    if bias is not None:
        o.apply("Add", scaled, bias, output=0)


DEFINITIONS: Mapping[str, Definition] = {
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "FusedConv": _conv,
    "FusedGemm": _gemm,
    "FusedMatMul": _matmul,
    "GatherBlockQuantized": _packed_gather,
    "MatMulNBits": _packed_matmul,
    "TransposeMatMul": _matmul,
}
