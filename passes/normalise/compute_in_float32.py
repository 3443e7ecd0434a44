"""All arithmetic in float32, whatever the file computes in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, Names, graph_pass, is_constant
from onnx2snn.operators import of

_OTHER_FLOATS = frozenset({"float16", "bfloat16", "float64"})
_OTHER_FLOAT_CODES = frozenset({onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE})
#: Attributes that name an element type.
_TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype")


@graph_pass
def compute_in_float32(graph: gs.Graph) -> gs.Graph:
    """Give every float16, bfloat16 and float64 tensor the type float32.

        x: float16 ─▶ Conv ─▶ y: float16     becomes     x ─▶ Cast ─▶ Conv ─▶ Cast ─▶ y

    1. Inputs and outputs of the graph keep their names and types; a Cast stands at each.
    2. Constants, and attributes that name a type (``Cast``, ``EyeLike``) or hold a tensor (``ConstantOfShape``), follow.
    """
    nodes = list(_all_nodes(graph))
    if not any(is_other_float(t.dtype) for node in nodes for t in [*node.inputs, *node.outputs]):
        return graph
    names = Names(graph)
    _cast_inputs(graph, names)
    _cast_outputs(graph, names)
    pinned = {id(t) for t in [*graph.inputs, *graph.outputs]}
    narrowed: dict[int, tuple[Array, Array]] = {}
    for node in nodes:
        if not any(id(t) in pinned for t in node.outputs):  # what writes an output is a Cast to its type
            _retype_attributes(node)
        for tensors in (node.inputs, node.outputs):
            for position, tensor in enumerate(tensors):
                if is_other_float(tensor.dtype) and id(tensor) not in pinned:
                    if is_constant(tensor):
                        tensors[position] = gs.Constant(tensor.name, _float32(tensor.values, narrowed))
                    else:
                        tensor.dtype = np.float32
    return graph


def is_other_float(dtype: object) -> bool:
    """Whether ``dtype`` is a floating-point type other than float32."""
    return dtype is not None and np.dtype(dtype).name in _OTHER_FLOATS  # type: ignore[call-overload]


def _all_nodes(graph: gs.Graph) -> Iterator[gs.Node]:
    yield from graph.nodes
    for subgraph in graph.subgraphs(recursive=True):
        yield from subgraph.nodes


def _float32(values: Array, done: dict[int, tuple[Array, Array]]) -> Array:
    """Values that were shared stay shared; ``done`` keeps the old ones alive, so that no other array gets their id."""
    if id(values) not in done:
        with np.errstate(over="ignore"):
            done[id(values)] = values, values.astype(np.float32)
    return done[id(values)][1]


def _cast_inputs(graph: gs.Graph, names: Names) -> None:
    """Case 1: readers of an input read its Cast."""
    for tensor in graph.inputs:
        if is_other_float(tensor.dtype) and any(not of(reader).typed_by for reader in tensor.outputs):
            twin = gs.Variable(names.fresh(f"{tensor.name}/float32"), np.float32, tensor.shape)
            for reader in list(tensor.outputs):
                reader.inputs = [twin if t is tensor else t for t in reader.inputs]
            _cast(graph, names, tensor, twin)


def _cast_outputs(graph: gs.Graph, names: Names) -> None:
    """Case 1: what was written to an output is written to its twin, and read from there."""
    for tensor in graph.outputs:
        settled = all(of(writer).typed_by for writer in tensor.inputs) and not tensor.outputs
        if is_other_float(tensor.dtype) and not settled:
            twin = gs.Variable(names.fresh(f"{tensor.name}/float32"), np.float32, tensor.shape)
            for writer in list(tensor.inputs):
                writer.outputs = [twin if t is tensor else t for t in writer.outputs]
            for reader in list(tensor.outputs):
                reader.inputs = [twin if t is tensor else t for t in reader.inputs]
            _cast(graph, names, twin, tensor)


def _cast(graph: gs.Graph, names: Names, source: gs.Tensor, result: gs.Tensor) -> None:
    to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(result.dtype))
    name = names.fresh(f"{source.name}/Cast")
    graph.nodes.append(gs.Node("Cast", name, {"to": to}, inputs=[source], outputs=[result]))


def _retype_attributes(node: gs.Node) -> None:
    """Case 2."""
    for key in _TYPE_ATTRIBUTES:
        if node.attrs.get(key) in _OTHER_FLOAT_CODES:
            node.attrs[key] = int(onnx.TensorProto.FLOAT)
    value = node.attrs.get("value")
    if is_constant(value) and is_other_float(value.dtype):
        node.attrs["value"] = gs.Constant(value.name, value.values.astype(np.float32))
