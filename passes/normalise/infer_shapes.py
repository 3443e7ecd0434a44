"""Shapes and types of all tensors, by ONNX's own inference, or by looking."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import Array, graph_pass, is_constant
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import SplitModel, weights_as_inputs
from onnx2snn.passes.normalise.inference import inferred

#: Values of one tensor, at most: 4 TiB of them.
MOST_VALUES = 1 << 40

#: Sizes that a dynamic axis is given, one after the other, to see which axes follow it.
_TRIED = (2, 3)


@graph_pass
def infer_shapes(graph: gs.Graph) -> gs.Graph:
    """Write the inferred shape and type on every tensor; what was known and cannot be inferred stays.

    1. ONNX's inference knows the operator.
    2. It does not (classical machine learning, other domains): what was never known is read off from the answers to
       two batches of zeros, if the network runs at all and only its batch is dynamic.
    """
    produced = {id(t) for node in graph.nodes for t in node.outputs}
    model = weights_as_inputs(to_split_model(graph).structure)
    del model.graph.value_info[:]
    found = inferred(model).graph
    known = {v.name: v for v in [*found.value_info, *found.output]}
    for name, tensor in graph.tensors().items():
        if is_constant(tensor) or name not in known or id(tensor) not in produced:
            continue
        described = known[name].type.tensor_type
        if described.elem_type:
            tensor.dtype = onnx.helper.tensor_dtype_to_np_dtype(described.elem_type)
        if described.HasField("shape"):
            tensor.shape = [_size(dim, i, tensor.name) for i, dim in enumerate(described.shape.dim)]
            _check_size(tensor)
    for tensor in graph.inputs:
        if tensor.shape is not None:
            _check_size(tensor)
    others = {name for name, info in known.items() if not info.type.HasField("tensor_type")}
    others |= {t.name for t in graph.outputs}  # the file declares them; some are no tensors
    blank = [
        t
        for node in graph.nodes
        for t in node.outputs
        if (t.shape is None or t.dtype is None) and not t.is_empty() and t.name not in others
    ]
    if blank:
        _observe(graph, blank)
    return graph


def _observe(graph: gs.Graph, blank: Sequence[gs.Tensor]) -> None:
    """Case 2."""
    dynamic = {t.shape[0] for t in graph.inputs if t.shape and isinstance(t.shape[0], str)}
    fixed = all(isinstance(size, int) for t in graph.inputs for size in (t.shape or [""])[1:])
    if len(dynamic) > 1 or not fixed:
        return
    model = to_split_model(graph, blank)
    first, second = (_answers(model, graph, size) for size in _TRIED)
    batch = next(iter(dynamic), "")
    for tensor in blank:
        if tensor.name in first and tensor.name in second:
            a, b = first[tensor.name], second[tensor.name]
            tensor.dtype = a.dtype
            tensor.shape = [x if x == y else batch for x, y in zip(a.shape, b.shape, strict=True)]


def _answers(model: SplitModel, graph: gs.Graph, batch: int) -> dict[str, Array]:
    zeros = {
        t.name: np.zeros([size if isinstance(size, int) else batch for size in t.shape], t.dtype)
        for t in graph.inputs
    }
    try:
        return run_reference(model, zeros)
    except InvalidModelError:
        return {}


def _check_size(tensor: gs.Tensor) -> None:
    sizes = [size for size in tensor.shape if isinstance(size, int)]
    if min(sizes, default=0) < 0 or math.prod(sizes) > MOST_VALUES:
        found = " × ".join(map(str, sizes))
        raise InvalidModelError(
            f"no machine holds a tensor of this size: '{tensor.name}'",
            found=found,
            remedy="export the network again",
        )


def _size(dim: onnx.TensorShapeProto.Dimension, axis: int, name: str) -> int | str:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return str(dim.dim_param) or f"{name}_{axis}"
