"""Entries picked from a flat view of all samples, as entries picked within each."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.graph.build import Spelling, spells
from onnx2snn.graph.core import Array, is_constant, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.reference import run_reference
from onnx2snn.operators import of
from onnx2snn.operators.batch import static
from onnx2snn.operators.linear import decided_by_sizes
from onnx2snn.passes.normalise.fold_constants import become


@spells("Gather")
def gather_in_samples(spelling: Spelling, node: gs.Node) -> None:
    """Write Gather from samples in one row, by indices that count samples, as Gather from each of them.

        [N·E] ─▶ Gather(Range(N)·E + i)      becomes      [N·E] ─▶ Reshape ─▶ [N, E] ─▶ Gather(i), axis 1

    Exporters spell strided views (``as_strided``) like that.

    1. The number of samples is open: indices are computed from it. They are computed of two numbers.
    2. It is fixed: they are constant.
    """
    source, indices = node.inputs[:2]
    found = facts(spelling.graph).samples.get(source.name)
    batch = next((t.shape[0] for t in spelling.graph.inputs if t.shape), None)
    if found is None or source.shape is None or len(source.shape) != 1 or node.attrs.get("axis", 0):
        return
    if batch is None or found.axis != 0 or found.outer != 1 or found.inner is None:
        return
    size, output = int(found.inner), node.outputs[0]
    row = _row(spelling.graph, indices, batch, size)
    if row is None or row.min() < 0 or row.max() >= size:
        return
    node.outputs.clear()
    apart = spelling.apply("Reshape", source, np.array([-1, size], np.int64), sizes=[batch, size])
    spelling.apply("Gather", apart, row, axis=1, output=output)


def _row(graph: gs.Graph, indices: gs.Tensor, batch: int | str, size: int) -> Array | None:
    """i, of indices n·size + i of sample n; None of others."""
    if is_constant(indices):
        return _counted(value_of(indices), batch, size)
    if not decided_by_sizes(indices):
        return None
    few, more = (_counted(_of_samples(graph, indices, batch, count), count, size) for count in (2, 3))
    return few if few is not None and more is not None and np.array_equal(few, more) else None


def _counted(values: Array | None, batch: int | str, size: int) -> Array | None:
    if values is None or not values.ndim or len(values) != batch or not values.size:
        return None
    first = np.arange(len(values)).reshape(-1, *(1,) * (values.ndim - 1)) * size
    return values[0] if np.array_equal(values, first + values[:1]) else None


def _of_samples(graph: gs.Graph, indices: gs.Tensor, batch: int | str, count: int) -> Array | None:
    """Case 1: what the network's own operators make of so many samples."""
    copy = graph.copy()
    sized = [(node, node.inputs[0].shape) for node in copy.nodes if of(node).sizes and of(node).entries]
    for node, shape in sized:
        sizes = None if shape is None else [count if size == batch else size for size in shape]
        if sizes is not None and static(sizes):
            told = np.array(sizes, np.int64)[slice(node.attrs.get("start", 0), node.attrs.get("end"))]
            become(node.outputs[0], told)
    wanted = copy.tensors()[indices.name]
    model = to_split_model(copy, [wanted])
    return None if model.structure.graph.input else run_reference(model, {})[wanted.name]
