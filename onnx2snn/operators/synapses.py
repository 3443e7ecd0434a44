"""Layers of synapses: operators with weights of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.graph.core import Array, constant_input, is_constant
from onnx2snn.operators import conditions, counting, error_rules, multiples, parts, roundings, window_parts
from onnx2snn.operators.batch import static
from onnx2snn.operators.spelled import plain
from onnx2snn.operators.table import Operator, Weights

Factors: TypeAlias = NDArray[np.float64]
Sums: TypeAlias = "tuple[gs.Tensor, int] | None"


def _column(weights: Array, axis: int) -> tuple[int, ...]:
    """The shape of factors along one axis of weights."""
    return tuple(-1 if i == axis else 1 for i in range(weights.ndim))


def _conv_read(node: gs.Node, vector: Factors, weights: Array) -> Factors:
    """(O, C/g, 1, ...): of the input channels that each output channel sees."""
    groups = int(node.attrs.get("group", 1))
    if vector.size == 1:
        return vector.reshape((1,) * weights.ndim)
    rows = np.repeat(vector.reshape(groups, -1), weights.shape[0] // groups, axis=0)
    return rows.reshape(rows.shape + (1,) * (weights.ndim - 2))


def _conv_written(_: gs.Node, vector: Factors, weights: Array) -> Factors:
    return vector.reshape(_column(weights, 0))


def _transposed_read(_: gs.Node, vector: Factors, weights: Array) -> Factors:
    return vector.reshape(_column(weights, 0))


def _transposed_written(node: gs.Node, vector: Factors, weights: Array) -> Factors | None:
    grouped = vector.size > 1 and int(node.attrs.get("group", 1)) > 1
    return None if grouped else vector.reshape(_column(weights, 1))


def _turned(node: gs.Node) -> bool:
    """Whether a Gemm holds output channels first."""
    return bool(node.attrs.get("transB", 0))


def _gemm_read(node: gs.Node, vector: Factors, _: Array) -> Factors:
    return vector[None, :] if _turned(node) else vector[:, None]


def _gemm_written(node: gs.Node, vector: Factors, _: Array) -> Factors | None:
    bias = constant_input(node, 2)
    if bias is not None and bias.ndim > 1 and len(bias) > 1:
        return None
    return vector[:, None] if _turned(node) else vector[None, :]


def _matmul_read(_: gs.Node, vector: Factors, weights: Array) -> Factors:
    return vector[:, None] if weights.ndim > 1 else vector


def _matmul_written(_node: gs.Node, vector: Factors, _: Array) -> Factors:
    return vector


def _conv_rows(_: gs.Node, weights: Array) -> Array | None:
    return weights.reshape(len(weights), -1) if weights.ndim > 1 and weights.size else None


def _conv_outputs(_attributes: Mapping[str, Any], _rank: int) -> int:
    return 0


def _transposed_outputs(attributes: Mapping[str, Any], _: int) -> int | None:
    return 1 if int(attributes.get("group", 1)) == 1 else None


def _matrix_outputs(attributes: Mapping[str, Any], rank: int) -> int | None:
    return None if rank < 2 else rank - 2 if attributes.get("transB", 0) else rank - 1


def _no_rows(_node: gs.Node, _: Array) -> Array | None:
    return None


def _matrix_rows(node: gs.Node, weights: Array) -> Array | None:
    if weights.ndim != 2 or not weights.size:
        return None
    return weights if _turned(node) else weights.T


def _conv_held(_: gs.Node, rows: Array, shape: tuple[int, ...]) -> Array:
    return rows.reshape(shape)


def _matrix_held(node: gs.Node, rows: Array, _: tuple[int, ...]) -> Array:
    return rows if _turned(node) else rows.T


def _times(tensor: gs.Tensor, sizes: list[int | str]) -> Sums:
    known = [int(size) for size in sizes if isinstance(size, (int, np.integer))]
    return (tensor, math.prod(known)) if len(known) == len(sizes) else None


def _conv_sums(node: gs.Node) -> Sums:
    return _times(node.outputs[0], list(node.inputs[1].shape or ["?"])[1:])


def _transposed_sums(node: gs.Node) -> Sums:
    return _times(node.inputs[0], list(node.inputs[1].shape or ["?"])[1:])


def _matrix_sums(node: gs.Node) -> Sums:
    before, weights = (list(t.shape or []) for t in node.inputs[:2])
    if not before or not weights:
        return None
    length = weights[-1] if _turned(node) else weights[max(len(weights) - 2, 0)]
    return _times(node.outputs[0], before[-1:] if is_constant(node.inputs[0]) else [length])


def _conv_fan_out(node: gs.Node, weights: Array) -> float:
    return _used(node, weights, places=list(node.outputs[0].shape or [])[2:], inputs=int(weights.shape[1]))


def _transposed_fan_out(_: gs.Node, weights: Array) -> float:
    return int(np.count_nonzero(weights)) / int(weights.shape[0])


def _matrix_fan_out(node: gs.Node, weights: Array) -> float:
    return _used(node, weights, places=list(node.outputs[0].shape or [])[1:-1], inputs=int(weights.shape[0]))


def _used(node: gs.Node, weights: Array, *, places: list[int | str], inputs: int) -> float:
    """Weights that are not zero, times the places where they are used, over the inputs that share them."""
    nonzero = int(np.count_nonzero(weights))
    before = [] if node.outputs[0].shape is None else list(node.inputs[0].shape or [])[1:]
    if not before or not static([*places, *before]):
        return nonzero / max(inputs, 1)
    return nonzero * math.prod(map(float, places)) / max(math.prod(map(float, before)), 1.0)


def _bias(_: gs.Node) -> list[int]:
    return [2]


_LAYER = Operator(
    name="",
    bilinear=True,
    counts=counting.weighted,
    errors=error_rules.product,
    quantum=multiples.product,
)
_CONVOLUTION = replace(_LAYER, linear=conditions.dot, terms=_bias, channels_second=True)

OPERATORS = (
    replace(
        _CONVOLUTION, name="Conv", windows=True, roundings=roundings.convolved, parts=window_parts.convolved,
        weights=Weights(
            read=_conv_read, written=_conv_written, channels=1, inputs=1, outputs=_conv_outputs, rows=_conv_rows,
            held=_conv_held, sums=_conv_sums, fan_out=_conv_fan_out,
        ),
    ),
    replace(
        _CONVOLUTION, name="ConvTranspose", roundings=roundings.spread_out, parts=window_parts.spread_out,
        weights=Weights(
            read=_transposed_read, written=_transposed_written, channels=1, inputs=1, outputs=_transposed_outputs,
            rows=_no_rows, held=_conv_held, sums=_transposed_sums, fan_out=_transposed_fan_out,
        ),
    ),
    replace(
        _LAYER, name="Gemm", spelled=plain.of_rows, linear=conditions.gemm, terms=_bias, roundings=roundings.gemm,
        quantum=multiples.scaled_product,
        weights=Weights(
            read=_gemm_read, written=_gemm_written, channels=1, inputs=1, outputs=_matrix_outputs, rows=_matrix_rows,
            held=_matrix_held, sums=_matrix_sums, fan_out=_matrix_fan_out,
        ),
    ),
    replace(
        _LAYER, name="MatMul", multiplies=True, linear=conditions.matmul, roundings=roundings.matmul, parts=parts.multiplied,
        weights=Weights(
            read=_matmul_read, written=_matmul_written, channels=-1, inputs=-1, outputs=_matrix_outputs, rows=_matrix_rows,
            held=_matrix_held, sums=_matrix_sums, fan_out=_matrix_fan_out,
        ),
    ),
)  # fmt: skip
