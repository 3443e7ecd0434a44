"""From the graph that passes work on back to an ONNX model."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues

from onnx2snn.graph.core import is_constant
from onnx2snn.graph.large_constants import take_weights_out
from onnx2snn.model.weights import SplitModel, hollow

#: Attributes with this prefix are the passes' own notes.
PRIVATE = "_onnx2snn"


def to_model(graph: gs.Graph) -> onnx.ModelProto:
    """The graph as a model; notes of the passes are left out, equal constants are stored once."""
    return to_split_model(graph).whole()


def to_split_model(graph: gs.Graph) -> SplitModel:
    """As :func:`to_model`, the large weights left in the arrays where they are."""
    copy = graph.copy()
    _share_constants(copy)
    weights = take_weights_out(copy)
    _pack_constants(copy)
    for node in copy.nodes:
        for name in [name for name in node.attrs if name.startswith(PRIVATE)]:
            del node.attrs[name]
    model: onnx.ModelProto = gs.export_onnx(copy, do_type_check=False)
    given = [info for info in model.graph.input if info.name in weights]
    kept = [info for info in model.graph.input if info.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    for info in given:
        kind = info.type.tensor_type
        model.graph.initializer.append(
            hollow(info.name, kind.elem_type, [d.dim_value for d in kind.shape.dim])
        )
    return SplitModel(model, weights)


def _share_constants(graph: gs.Graph) -> None:
    held: dict[tuple[object, ...], gs.Constant] = {}
    for node in graph.nodes:
        for position, tensor in enumerate(node.inputs):
            if not is_constant(tensor):
                continue
            values = tensor.values
            key: tuple[object, ...] = (id(values),)
            if values.size <= 64:
                key = (str(values.dtype), values.shape, np.ascontiguousarray(values).tobytes())
            first = held.setdefault(key, tensor)
            if first is not tensor:
                node.inputs[position] = first


def _pack_constants(graph: gs.Graph) -> None:
    """Types that numpy has not: 4-bit numbers are stored two in a byte."""
    for node in graph.nodes:
        for position, tensor in enumerate(node.inputs):
            if is_constant(tensor) and isinstance(tensor.dtype, np.dtype) and tensor.dtype.isbuiltin != 1:
                packed = LazyValues(onnx.numpy_helper.from_array(tensor.values, tensor.name))
                node.inputs[position] = gs.Constant(tensor.name, packed)
