"""The batch axis is free inside: time is folded into it."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs
from onnx import shape_inference

from onnx2snn.errors import ConversionError
from onnx2snn.graph import Array, Names, constant_input, graph_pass, is_constant
from onnx2snn.passes.batch_axis import batch_axes, static
from onnx2snn.passes.exporter import to_model
from onnx2snn.passes.spelled_sizes import spelled_sizes
from onnx2snn.passes.staircase_nodes import make_constant
from onnx2snn.passes.weights_aside import graph_without_weights

BATCH = "N"

#: A batch that no exporter fixes: shapes are inferred for it, to see that nothing depends on the size.
_PROBE = 7919


@graph_pass
def free_batch(graph: gs.Graph) -> gs.Graph:
    """Spell no batch size anywhere, and name the batch axis ``N`` on every input.

    1. ``Reshape`` to sizes that name the batch, or are computed from it: [-1, static sizes], or 0 at the batch axis.
    2. ``Expand`` likewise: 1 at the batch axis.
    3. ``Resize`` to sizes: to those of the other axes.

    Sizes come from shape inference on the graph as it was exported, so they are known before the batch is freed.

    Raises:
        ConversionError: the file fixes its batch, and an operator works on that size only.
    """
    names = Names(graph)
    axes = batch_axes(graph)
    batch = _fixed_batch(graph)
    for node in graph.nodes:
        if node.domain or not node.outputs or node.outputs[0].name not in axes:
            continue
        axis = axes[node.outputs[0].name]
        if node.op == "Reshape":
            _reshape(names, node, axis, batch)
        elif node.op == "Expand":
            _expand(names, node, axis)
        elif node.op == "Resize":
            _resize(names, node, axis)
    sized = [t.name for t in graph.outputs if batch is not None and t.name in axes]
    _forget_sizes(graph)
    if batch is not None:
        _check(graph, batch, sized, axes)
    return graph


def _fixed_batch(graph: gs.Graph) -> int | None:
    sizes = {tensor.shape[0] for tensor in graph.inputs if tensor.shape}
    return int(sizes.pop()) if len(sizes) == 1 and static(list(sizes)) else None


def _reshape(names: Names, node: gs.Node, axis: int, batch: int | None) -> None:
    """Case 1."""
    after = list(node.outputs[0].shape)
    target = constant_input(node, 1)
    if target is not None and (
        target[axis] == -1 or (target[axis] == 0 and not node.attrs.get("allowzero", 0))
    ):
        return
    if batch is not None and isinstance(after[axis], (int, np.integer)) and after[axis] % batch:
        return
    others = [size for position, size in enumerate(after) if position != axis]
    if static(others):
        sizes = np.array([*after[:axis], -1, *after[axis + 1 :]], np.int64)
    else:
        found = _kept_batch(node, axis)
        if found is None:
            return
        sizes = found
    node.inputs[1] = make_constant(names, f"{node.name}/shape", sizes)
    node.attrs.pop("allowzero", None)


def _kept_batch(node: gs.Node, axis: int) -> Array | None:
    """The target with 0 at ``axis``, where it names the size that the input has there; None if it does not."""
    target, before = spelled_sizes(node.inputs[1]), node.inputs[0].shape
    if target is None or axis >= min(len(before), len(target)) or target[axis] in (None, -1):
        return None
    if target[axis] != before[axis]:
        return None
    others = [size for position, size in enumerate(target) if position != axis]
    if not all(isinstance(size, int) for size in others):
        return None
    return np.array([0 if position == axis else size for position, size in enumerate(target)], np.int64)


def _expand(names: Names, node: gs.Node, axis: int) -> None:
    """Case 2."""
    after = list(node.outputs[0].shape)
    if static([*after[:axis], *after[axis + 1 :]]) and not is_constant(node.inputs[0]):
        sizes = np.array([*after[:axis], 1, *after[axis + 1 :]], np.int64)
        node.inputs[1] = make_constant(names, f"{node.name}/shape", sizes)


def _resize(names: Names, node: gs.Node, axis: int) -> None:
    """Case 3."""
    before, after = list(node.inputs[0].shape or ()), list(node.outputs[0].shape)
    sized = len(node.inputs) > 3 and not node.inputs[3].is_empty()
    others = [i for i in range(len(before)) if i != axis]
    if (
        not sized
        or node.attrs.get("axes") is not None
        or node.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch"
        or not static([sizes[i] for sizes in (before, after) for i in others])
    ):
        return
    changed = [i for i in others if before[i] != after[i]] or others[-1:]
    node.attrs["axes"] = changed
    sizes = np.array([after[i] for i in changed], np.int64)
    node.inputs[3] = make_constant(names, f"{node.name}/sizes", sizes)


def _forget_sizes(graph: gs.Graph) -> None:
    for tensor in graph.inputs:
        if tensor.shape:
            tensor.shape = [BATCH, *tensor.shape[1:]]
    outputs = {id(tensor) for tensor in graph.outputs}
    for tensor in (t for node in graph.nodes for t in node.outputs):
        if id(tensor) not in outputs:
            tensor.shape = None
        elif tensor.shape:
            tensor.shape = [BATCH, *tensor.shape[1:]]


def _check(graph: gs.Graph, batch: int, sized: list[str], axes: dict[str, int]) -> None:
    """Shapes for another batch: they must exist, and the outputs must grow with the batch."""
    model = to_model(graph_without_weights(graph)[0])
    del model.graph.value_info[:]
    for info in model.graph.input:
        if info.type.tensor_type.shape.dim and info.type.tensor_type.shape.dim[0].dim_param == BATCH:
            info.type.tensor_type.shape.dim[0].dim_value = _PROBE
    for info in model.graph.output:
        info.type.tensor_type.ClearField("shape")
    remedy = "export it with a dynamic batch axis"
    try:
        inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:  # the library's own errors share no base class
        found = (str(error).strip() or type(error).__name__).splitlines()[0]
        message = f"it is made for batches of {batch} only"
        raise ConversionError(message, found=found, remedy=remedy) from error
    for info in inferred.graph.output:
        dims = info.type.tensor_type.shape.dim
        size = dims[axes[info.name]].dim_value if info.name in sized and len(dims) > axes[info.name] else 0
        if size and size % _PROBE:
            message = f"its output '{info.name}' does not grow with the batch"
            raise ConversionError(message, found=f"batches of {batch} only", remedy=remedy)
