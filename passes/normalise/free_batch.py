"""The batch axis is free inside: time is folded into it."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.batch_axis import fixed_batches
from onnx2snn.analysis.facts import facts, forget
from onnx2snn.errors import ConversionError
from onnx2snn.graph.build import Spelling, make_constant
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_constant, is_operator, origin, tidy, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.graph.walks import forward
from onnx2snn.model.weights import weights_as_inputs
from onnx2snn.operators import of
from onnx2snn.operators.batch import static
from onnx2snn.operators.linear import ROWS, is_reshape
from onnx2snn.operators.spelled.plain import over_all_axes
from onnx2snn.operators.symbolic_sizes import spelled_sizes
from onnx2snn.passes.normalise.inference import inferred
from onnx2snn.passes.normalise.size_editor import SizeEditor
from onnx2snn.remedies import ALIKE, DYNAMIC_BATCH, either

BATCH = "N"

#: A batch that no exporter fixes: shapes are inferred for it, to see that nothing depends on the size.
_PROBE = 7919


@graph_pass
def free_batch(graph: gs.Graph) -> gs.Graph:
    """Spell no batch size anywhere, and name the batch axis ``N`` on every input.

    1. ``Reshape`` to sizes that name the batch, or are computed from it: [-1, other sizes], or 0 at the batch axis.
    2. ``Expand`` likewise: 1 at the batch axis.
    3. ``Resize`` to sizes, or by factors that are computed: to those of the other axes, or by factors that lead there.
    4. ``Shape`` of a hidden tensor: the batch is that of the network's input. The other sizes are those of a train, too.

    5. What folds rows of a sample (tokens, time) into axis 0, or unfolds them, is marked: it keeps samples apart. So does
       ``Squeeze``, ``Unsqueeze`` and ``Flatten`` of a batch that is fixed at 1, written as ``Reshape``.
    6. A constant beside each sample (a class token) that was repeated for a fixed batch: repeated for as many as come.

    Sizes come from shape inference on the graph as it was exported, so they are known before the batch is freed; those
    that are not known before the network runs are left to the operators that compute them.

    Raises:
        ConversionError: the file fixes its batch, and an operator works on that size only; or it fixes several.
    """
    names = Names(graph)
    batch = _fixed_batch(graph)
    if batch == 1:
        _reshape_single_samples(graph, names)
        forget(graph)
    axes = facts(graph).batch_axes
    fixed_by = _fixed_by(graph, batch)
    _mark_rows(graph)
    _free_sizes(graph, SizeEditor(graph, names), axes, batch)
    sized = [t.name for t in graph.outputs if batch is not None and t.name in axes]
    _forget_sizes(graph)
    if batch is not None:
        _check(graph, batch, fixed_by, (sized, axes))
    return graph


def _free_sizes(graph: gs.Graph, sizes: SizeEditor, axes: dict[str, int], batch: int | None) -> None:
    """Cases 1 to 4, and 6."""
    for node in list(graph.nodes):
        if of(node).sizes and of(node).entries:
            _shape(graph, sizes, node, axes)
        if node.domain or not node.outputs or node.outputs[0].name not in axes:
            continue
        axis = axes[node.outputs[0].name]
        if is_reshape(node):
            _reshape(sizes, node, axis, batch)
        elif of(node).sized_by is not None:
            _expand(sizes, node, axis)
        elif is_operator(node, "Resize"):
            _resize(sizes, node, axis)
        elif of(node).joins and batch is not None:
            _repeat(graph, sizes, node, axis, batch)


def _fixed_batch(graph: gs.Graph) -> int | None:
    batches = fixed_batches(graph)
    if len(batches) > 1:
        raise ConversionError(
            "its inputs fix batches of several sizes: there is no number of samples that all of them take",
            found=", ".join(f"{t.name}: {list(t.shape)}" for t in graph.inputs if t.shape),
            remedy=DYNAMIC_BATCH,
        )
    return batches.pop() if batches else None


def _fixed_by(graph: gs.Graph, batch: int | None) -> str:
    """The input that fixes the batch beside others that leave theirs open; empty where all fix it, or none does."""
    fixing = [t.name for t in graph.inputs if t.shape and t.shape[0] == batch]
    return "" if len(fixing) == len(graph.inputs) or not fixing else fixing[0]


def _reshape_single_samples(graph: gs.Graph, names: Names) -> None:
    """Case 5: the axis of the one sample is folded into the next one, or made of rows again."""
    single = [id(t) for t in graph.inputs if t.shape and t.shape[0] == 1]
    folded = forward(
        graph.nodes, lambda node, read: any(read) and not node.domain and not of(node).sizes, single
    )
    for node in graph.nodes:
        read = next((t for t in node.inputs if id(t) in folded), None)
        if read is None or node.domain or of(node).sizes:
            continue
        before, after = read.shape, node.outputs[0].shape
        if before is None or after is None or not static([*before, *after]) or not after:
            continue
        moved = of(node).plain and of(node).layout is not None and (before[0] == 1) != (after[0] == 1)
        if moved or is_operator(node, "Flatten"):
            node.op, node.attrs = "Reshape", {ORIGIN: origin(node)}
            target = make_constant(names, f"{node.name}/shape", np.array(after, np.int64))
            node.inputs = [read, target]


def _mark_rows(graph: gs.Graph) -> None:
    """Case 5; behind the last synapses nothing needs it."""
    feeding, samples = facts(graph).before_synapses, facts(graph).samples
    first = {name: found.inner for name, found in samples.items() if found.axis == 0 and found.outer == 1}
    for node in graph.nodes:
        read = next((t for t in node.inputs if t.name in first), None)
        before = None if read is None else first[read.name]
        for tensor in node.outputs if read is not None else ():
            rows = first.get(tensor.name)
            marked = rows is not None and (rows > 1 or rows != before)
            if marked and (not is_reshape(node) or id(tensor) in feeding):
                node.attrs[ROWS] = rows


def _reshape(sizes: SizeEditor, node: gs.Node, axis: int, batch: int | None) -> None:
    """Case 1."""
    after = list(node.outputs[0].shape)
    spelled = spelled_sizes(node.inputs[1])
    there = None if spelled is None or axis >= len(spelled) else spelled[axis]
    if there == -1 or (there == 0 and not node.attrs.get("allowzero", 0)):
        return
    if batch is not None and isinstance(after[axis], (int, np.integer)) and after[axis] % batch:
        return
    others = [size for position, size in enumerate(after) if position != axis]
    if static(others):
        target: gs.Tensor = sizes.constant(node, "shape", [*after[:axis], -1, *after[axis + 1 :]])
    else:
        before = node.inputs[0].shape
        kept = axis < len(before) and there is not None and there == before[axis]
        if not kept and (spelled is None or -1 in spelled):
            return
        target = sizes.replaced(node, "shape", node.inputs[1], (axis, len(after)), 0 if kept else -1)
    node.inputs[1] = target
    node.attrs.pop("allowzero", None)


def _expand(sizes: SizeEditor, node: gs.Node, axis: int) -> None:
    """Case 2."""
    after = list(node.outputs[0].shape)
    if is_constant(node.inputs[0]):
        return
    if static([*after[:axis], *after[axis + 1 :]]):
        node.inputs[1] = sizes.constant(node, "shape", [*after[:axis], 1, *after[axis + 1 :]])
    elif node.inputs[1].shape == [len(after)]:
        node.inputs[1] = sizes.replaced(node, "shape", node.inputs[1], (axis, len(after)), 1)


def _resize(sizes: SizeEditor, node: gs.Node, axis: int) -> None:
    """Case 3."""
    before, after = list(node.inputs[0].shape or ()), list(node.outputs[0].shape)
    read = [node.inputs[i] if len(node.inputs) > i else gs.Variable.empty() for i in range(4)]
    region, factors, target = read[1:]
    others = [i for i in range(len(before)) if i != axis]
    plain = node.attrs.get("axes") is None and len(before) == len(after)
    policy = node.attrs.get("keep_aspect_ratio_policy", "stretch")
    if not plain or policy != "stretch" or (target.is_empty() and is_constant(factors)):
        return
    if not target.is_empty() and static([s[i] for s in (before, after) for i in others]):
        changed = [i for i in others if before[i] != after[i]] or others[-1:]
        node.inputs[3] = sizes.constant(node, "sizes", [after[i] for i in changed])
    else:
        changed = others
        at, name = (2, "scales") if target.is_empty() else (3, "sizes")
        node.inputs[at] = sizes.taken(node, name, node.inputs[at], changed)
    node.attrs["axes"] = changed
    if is_constant(region) and value_of(region).size == 2 * len(before):
        corners = value_of(region).reshape(2, -1)[:, changed].reshape(-1)
        node.inputs[1] = sizes.constant(node, "roi", corners)
    over_all_axes(Spelling(sizes.graph, sizes.names, node), node)


def _shape(graph: gs.Graph, sizes: SizeEditor, node: gs.Node, axes: dict[str, int]) -> None:
    """Case 4."""
    source = node.inputs[0]
    given = next((t for t in graph.inputs if t.shape and t.name in axes), None)
    if given is None or not source.inputs or axes.get(source.name) != 0 or source.shape[0] != given.shape[0]:
        return
    rank = len(source.shape)
    start, end, _ = slice(node.attrs.get("start", 0), node.attrs.get("end")).indices(rank)
    if start > 0 or end < 1:
        return
    batch = sizes.add("Shape", f"{node.name}/batch", [given], 1, dtype=np.int64, start=0, end=1)
    parts: list[gs.Tensor] = [batch]
    if end > 1:
        others = sizes.add(
            "Shape", f"{node.name}/sample", [source], end - 1, dtype=np.int64, start=1, end=end
        )
        parts.append(others)
    node.op, node.attrs = "Concat", {"axis": 0, ORIGIN: origin(node)}
    node.inputs = parts


def _repeat(graph: gs.Graph, sizes: SizeEditor, node: gs.Node, axis: int, batch: int) -> None:
    """Case 6."""
    given = next(t for t in graph.inputs if t.shape)
    for position, tensor in enumerate(node.inputs):
        values = value_of(tensor) if is_constant(tensor) else np.empty(0)
        if values.ndim <= axis or values.shape[axis] != batch or node.attrs["axis"] % values.ndim == axis:
            continue
        one = values.take([0], axis)
        if not np.array_equal(values, np.broadcast_to(one, values.shape)):
            continue
        length = sizes.add("Shape", f"{node.name}/batch", [given], 1, dtype=np.int64, start=0, end=1)
        before, behind = (sizes.constant(node, "one", [1] * n) for n in (axis, values.ndim - axis - 1))
        shape: list[gs.Tensor] = [before, length, behind]
        target = sizes.add("Concat", f"{node.name}/shape", shape, values.ndim, node, axis=0)
        row = make_constant(sizes.names, tensor.name, one)
        node.inputs[position] = sizes.add("Expand", f"{tensor.name}/samples", [row, target], 0, node)
        node.inputs[position].shape = list(values.shape)


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


def _check(graph: gs.Graph, batch: int, fixed_by: str, ends: tuple[list[str], dict[str, int]]) -> None:
    """Shapes for another batch: they must exist, and the outputs must grow with the batch."""
    sized, axes = ends
    only, remedy = f"batches of {batch} only", DYNAMIC_BATCH
    if fixed_by:
        only, remedy = f"{only}, which input '{fixed_by}' fixes", either(ALIKE, DYNAMIC_BATCH)
    model = weights_as_inputs(to_split_model(tidy(graph)).structure)
    del model.graph.value_info[:]
    for info in model.graph.input:
        if info.type.tensor_type.shape.dim and info.type.tensor_type.shape.dim[0].dim_param == BATCH:
            info.type.tensor_type.shape.dim[0].dim_value = _PROBE
    for info in model.graph.output:
        info.type.tensor_type.ClearField("shape")
    try:
        sized_model = inferred(model, strict=True)
    except Exception as error:  # the library's own errors share no base class
        found = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConversionError(f"it is made for {only}", found=found, remedy=remedy) from error
    for info in sized_model.graph.output:
        dims = info.type.tensor_type.shape.dim
        size = dims[axes[info.name]].dim_value if info.name in sized and len(dims) > axes[info.name] else 0
        if size and size % _PROBE:
            message = f"its output '{info.name}' does not grow with the batch"
            raise ConversionError(message, found=only, remedy=remedy)
