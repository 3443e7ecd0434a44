"""Shapes and types of all tensors, by ONNX's own inference."""

from __future__ import annotations

import onnx
import onnx_graphsurgeon as gs
from onnx import shape_inference

from onnx2snn.graph import graph_pass, is_constant
from onnx2snn.passes.exporter import to_model
from onnx2snn.passes.weights_aside import graph_without_weights


@graph_pass
def infer_shapes(graph: gs.Graph) -> gs.Graph:
    """Write the inferred shape and type on every tensor; what was known and cannot be inferred stays."""
    produced = {id(t) for node in graph.nodes for t in node.outputs}
    model = to_model(graph_without_weights(graph)[0])
    del model.graph.value_info[:]
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    known = {v.name: v for v in [*inferred.value_info, *inferred.output]}
    for name, tensor in graph.tensors().items():
        if is_constant(tensor) or name not in known or id(tensor) not in produced:
            continue
        described = known[name].type.tensor_type
        if described.elem_type:
            tensor.dtype = onnx.helper.tensor_dtype_to_np_dtype(described.elem_type)
        if described.HasField("shape"):
            tensor.shape = [_size(dim, i, tensor.name) for i, dim in enumerate(described.shape.dim)]
    return graph


def _size(dim: onnx.TensorShapeProto.Dimension, axis: int, name: str) -> int | str:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return str(dim.dim_param) or f"{name}_{axis}"
