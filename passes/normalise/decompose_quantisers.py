"""Quantisers as float arithmetic: no integer codes are left (METHOD 1)."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import CodeGrid, Spelling, code_range, is_integer_type
from onnx2snn.graph.core import Array, Names, constant_input, graph_pass, is_constant, value_of
from onnx2snn.operators import of
from onnx2snn.operators.integer_codes import IntegerCodes
from onnx2snn.operators.spelled.integer_arithmetic import expand_integer_operator
from onnx2snn.operators.spelled.qonnx import spell_qonnx
from onnx2snn.operators.spelled.ranges_of_samples import spell_dynamic_quantiser

_SPELLINGS = (expand_integer_operator, spell_dynamic_quantiser, spell_qonnx)


@graph_pass
def decompose_quantisers(graph: gs.Graph) -> gs.Graph:
    """Write quantisers in float32 operators of exactly the same meaning.

        QuantizeLinear(x, s, z)      becomes    Clip(Round(x / s) + z, lo, hi)     a float32 tensor of integers
        DequantizeLinear(q, s, z)    becomes    (q − z)·s
        Quant, BipolarQuant (QONNX)  become     what their domain says; see :mod:`.qonnx`
        QLinearConv, QGemm ...       become     all three: dequantise, the float operator, quantise
        DynamicQuantizeLinear(x)     becomes    the same, of a range; see :mod:`onnx2snn.operators.spelled.ranges_of_samples`

    1. Per-axis parameters are reshaped to broadcast.
    2. An integer constant becomes its numbers in float32.
    3. Parameters that are not constant, or blocked: the node stays, and is refused by name later. Codes that are small floats,
       whose steps are not alike: it stays, and becomes a table.

    What stood between quantisers on integer codes (pooling, reshapes, Clip) then runs on float32 numbers; see
    :class:`IntegerCodes` for where integers are met.
    """
    names = Names(graph)
    codes = IntegerCodes(graph)
    for node in list(graph.nodes):
        if any(spell(graph, names, node) for spell in _SPELLINGS):
            continue
        if of(node).quantiser:
            _linear(graph, names, node)
    return codes.settle(graph, names)


def _aligned(values: Array, node: gs.Node) -> Array:
    """Case 1."""
    if values.size == 1:
        return values.reshape(())
    rank = len(node.inputs[0].shape)
    axis = int(node.attrs.get("axis", 1)) % rank
    return values.reshape((-1,) + (1,) * (rank - 1 - axis))


def _linear(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    scale = constant_input(node, 1)
    has_zero = len(node.inputs) > 2 and not node.inputs[2].is_empty()
    zero = constant_input(node, 2)
    if scale is None or (has_zero and zero is None) or node.attrs.get("block_size", 0) or scale.ndim > 1:
        return
    if not node.inputs[0].shape and scale.size > 1:  # of unknown rank, or of none
        return
    zeros = np.zeros(1, np.float32) if zero is None else zero.astype(np.float32)
    quantises = of(node).whole
    codes = _code_type(node, zero)
    if not is_integer_type(codes) and (quantises or not is_constant(node.inputs[0])):
        return
    low, high = code_range(codes) if quantises else (0.0, 0.0)
    grid = CodeGrid(_aligned(scale.astype(np.float32), node), _aligned(zeros, node), low, high)
    spelling = Spelling(graph, names, node)
    output = node.outputs[0]
    node.outputs.clear()
    if quantises:
        spelling.quantise(node.inputs[0], grid, output=output)
    else:
        spelling.dequantise(_as_float(spelling, node.inputs[0]), grid, output=output)


def _code_type(node: gs.Node, zero: Array | None) -> object:
    if zero is not None:
        return zero.dtype
    read = node.inputs[0].dtype
    if not of(node).whole and read is not None and np.dtype(read).isbuiltin != 1:
        return np.dtype(read)
    named = node.attrs.get("output_dtype", 0)
    return onnx.helper.tensor_dtype_to_np_dtype(named) if named else np.dtype(np.uint8)


def _as_float(spelling: Spelling, tensor: gs.Tensor) -> gs.Tensor:
    """Case 2."""
    return spelling.constant(value_of(tensor).astype(np.float32)) if is_constant(tensor) else tensor
