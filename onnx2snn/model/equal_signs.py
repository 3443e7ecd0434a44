"""8-bit operands of one sign: what onnxruntime's kernels multiply exactly on every processor.

ONNX adds the products of 8-bit numbers in 32 bits. Kernels for x86 without VNNI do so where both operands are signed or
both are not; for uint8 activations and int8 weights they add pairs of products in 16 bits, which saturate (255·127·2
is above 2^15 − 1), and answers depend on the machine. ``w − z`` is what an operator reads of a weight, so

    w (int8), z (int8)  =  w + 128 (uint8), z + 128 (uint8)

is the same weight for every operator, and kernels of uint8 with uint8 do not saturate. The other way round where int8
activations meet uint8 weights, which ConvInteger's kernel, with its operands swapped, gets wrong too.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.model.subgraphs import all_nodes, subgraphs
from onnx2snn.model.weights import SplitModel, is_hollow

#: Positions of activations (None: they are quantised inside, to uint8), weights, and their zero points.
_OPERANDS: Mapping[str, tuple[int | None, int | None, int, int]] = {
    "ConvInteger": (0, 2, 1, 3),
    "DynamicQuantizeMatMul": (None, None, 1, 3),
    "MatMulInteger": (0, 2, 1, 3),
    "MatMulIntegerToFloat": (0, 4, 1, 5),
    "QAttention": (0, 6, 1, 7),
    "QGemm": (0, 2, 3, 5),
    "QLinearConv": (0, 2, 3, 5),
    "QLinearMatMul": (0, 2, 3, 5),
}

_OTHER: Mapping[int, int] = {TensorProto.INT8: TensorProto.UINT8, TensorProto.UINT8: TensorProto.INT8}


def with_equal_signs(model: SplitModel) -> SplitModel:
    """``model``, which is not changed, with weights of the sign that activations have wherever 8-bit numbers are multiplied.

    Returns:
        A model that answers the same for every input in exact arithmetic, and in onnxruntime on every processor; the
        given one where there is nothing to do.
    """
    if not any(node.op_type in _OPERANDS for node in all_nodes(model.structure.graph.node)):
        return model
    structure = onnx.ModelProto()
    structure.CopyFrom(model.structure)
    weights = dict(model.weights)
    typed = onnx.shape_inference.infer_shapes(structure)
    _rewrite(structure.graph, typed.graph, _Visible({}, {}, weights))
    return SplitModel(structure, weights)


@dataclass(frozen=True)
class _Visible:
    """What names mean inside a graph: its own, and those of the graphs around it."""

    types: MutableMapping[str, int]
    constants: MutableMapping[str, TensorProto]
    weights: dict[str, NDArray[Any]]

    def inside(self, graph: onnx.GraphProto) -> _Visible:
        types = {
            i.name: i.type.tensor_type.elem_type for i in [*graph.input, *graph.value_info, *graph.output]
        }
        constants = {tensor.name: tensor for tensor in graph.initializer}
        types |= {name: tensor.data_type for name, tensor in constants.items()}
        return _Visible(ChainMap(types, self.types), ChainMap(constants, self.constants), self.weights)


def _rewrite(graph: onnx.GraphProto, typed: onnx.GraphProto, around: _Visible) -> None:
    scope = around.inside(typed)
    for node, typed_node in zip(graph.node, typed.node, strict=True):
        for body, typed_body in zip(subgraphs(node), subgraphs(typed_node), strict=True):
            _rewrite(body, typed_body, scope)
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if _signs_differ(node, scope):
            _turn_weights(graph, node, scope)
        graph.node.append(node)


def _signs_differ(node: onnx.NodeProto, scope: _Visible) -> bool:
    if node.op_type not in _OPERANDS:
        return False
    activation, zero_point, weight, weight_zero_point = _OPERANDS[node.op_type]
    inside = TensorProto.UINT8 if activation is None else _type(node, (activation, zero_point), scope)
    return {inside, _type(node, (weight, weight_zero_point), scope)} == set(_OTHER)


def _type(node: onnx.NodeProto, positions: tuple[int | None, ...], scope: _Visible) -> int:
    """The type of an operand, which is its zero point's too; 0 where neither is known."""
    names = [node.input[p] for p in positions if p is not None and p < len(node.input)]
    return next((kind for kind in (scope.types.get(name, 0) for name in names if name) if kind), 0)


def _turn_weights(graph: onnx.GraphProto, node: onnx.NodeProto, scope: _Visible) -> None:
    """Weights and zero point of the other sign; a zero point that was left out is one of zero."""
    *_, weight, zero_point = _OPERANDS[node.op_type]
    kind = _OTHER[_type(node, (weight, zero_point), scope)]
    node.input.extend([""] * (zero_point + 1 - len(node.input)))
    node.input[weight] = _turned(graph, node.input[weight], kind, scope)
    node.input[zero_point] = _turned(graph, node.input[zero_point] or _zero(graph, kind, scope), kind, scope)


def _zero(graph: onnx.GraphProto, kind: int, scope: _Visible) -> str:
    """A zero of the other type than ``kind``."""
    return _add(graph, "zero_point", numpy_helper.from_array(np.zeros((), _numpy(_OTHER[kind]))), scope)


def _turned(graph: onnx.GraphProto, name: str, kind: int, scope: _Visible) -> str:
    """The name of ``name`` as ``kind``: a constant anew, anything else by nodes, which are appended."""
    stem = f"{name}/{TensorProto.DataType.Name(kind).lower()}"
    constant = scope.constants.get(name)
    if constant is None:
        return _computed(graph, name, kind, scope)
    if stem in scope.constants:
        return stem
    if is_hollow(constant):
        scope.weights[stem] = _shifted(scope.weights[name], kind)
        tensor = TensorProto(data_type=kind, dims=constant.dims, data_location=TensorProto.EXTERNAL)
    else:
        tensor = numpy_helper.from_array(_shifted(numpy_helper.to_array(constant), kind))
    return _add(graph, stem, tensor, scope)


def _shifted(values: NDArray[Any], kind: int) -> NDArray[Any]:
    """128 more as uint8, 128 less as int8: the highest bit, turned round."""
    bits = np.ascontiguousarray(values).view(np.uint8) ^ np.uint8(0x80)
    shifted: NDArray[Any] = bits.view(_numpy(kind)).reshape(values.shape)
    return shifted


def _computed(graph: onnx.GraphProto, name: str, kind: int, scope: _Visible) -> str:
    shift = np.array(128 if kind == TensorProto.UINT8 else -128, np.int32)
    added = _add(graph, f"{name}/shift", numpy_helper.from_array(shift), scope)
    wide, moved, narrow = (f"{added}/{step}" for step in ("wide", "moved", "narrow"))
    graph.node.append(helper.make_node("Cast", [name], [wide], to=TensorProto.INT32))
    graph.node.append(helper.make_node("Add", [wide, added], [moved]))
    graph.node.append(helper.make_node("Cast", [moved], [narrow], to=kind))
    return narrow


def _add(graph: onnx.GraphProto, stem: str, tensor: TensorProto, scope: _Visible) -> str:
    """An initializer of ``graph``, named after ``stem``."""
    name = stem
    while name in scope.types:
        name += "_"
    tensor.name = name
    scope.types[name] = tensor.data_type
    scope.constants[name] = tensor
    graph.initializer.append(tensor)
    return name


def _numpy(kind: int) -> np.dtype[Any]:
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind))
