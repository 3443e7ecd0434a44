"""Entries picked from a flat view of all samples, as entries picked within each."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import (
    Array,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    is_operator,
    nodes_of,
    producer_of,
    value_of,
)
from onnx2snn.operators.symbolic_sizes import spelled_sizes

#: Indices c·n + offsets of sample n, which is counted along the first of their axes: c, and (1, ...).
Affine: TypeAlias = "tuple[int, Array]"


@graph_pass
def gather_in_samples(graph: gs.Graph) -> gs.Graph:
    """Write Gather from samples in one row, by indices that count samples, as Gather from each of them.

        [N·E] ─▶ Gather(Range(N)·E + i)      becomes      [N·E] ─▶ Reshape ─▶ [N, E] ─▶ Gather(i), axis 1

    Exporters spell strided views (``as_strided``) like that.

    1. The number of samples is open: indices are computed from it.
    2. It is fixed: they are constant.
    """
    names, samples = Names(graph), facts(graph).samples
    for node in nodes_of(graph, "Gather"):
        source, indices = node.inputs[:2]
        found = samples.get(source.name)
        if found is None or source.shape is None or len(source.shape) != 1 or node.attrs.get("axis", 0):
            continue
        size, batch = found.inner, next((t.shape[0] for t in graph.inputs if t.shape), None)
        if batch is None or found.axis != 0 or found.outer != 1 or not isinstance(size, (int, np.integer)):
            continue
        affine = _constant(indices, batch, int(size)) if is_constant(indices) else _affine(indices, batch)
        if affine is None or affine[0] != size or affine[1].min() < 0 or affine[1].max() >= size:
            continue
        spelling, output = Spelling(graph, names, node), node.outputs[0]
        node.outputs.clear()
        own = np.array([-1, size], np.int64)
        apart = spelling.apply("Reshape", source, own, sizes=[batch, int(size)])
        spelling.apply("Gather", apart, affine[1][0], axis=1, output=output)
    return graph


def _constant(indices: gs.Tensor, batch: int | str | None, size: int) -> Affine | None:
    """Case 2."""
    values = value_of(indices)
    if not values.ndim or len(values) != batch or not values.size:
        return None
    counted = np.arange(len(values)).reshape(-1, *(1,) * (values.ndim - 1)) * size
    return (size, values[:1]) if np.array_equal(values, counted + values[:1]) else None


def _affine(tensor: gs.Tensor, batch: int | str | None) -> Affine | None:
    """Case 1."""
    node = producer_of(tensor)
    if node is None or batch is None:
        return None
    if is_operator(node, "Range"):
        start, step = constant_input(node, 0), constant_input(node, 2)
        counts = spelled_sizes(node.inputs[1]) == [batch]
        return (
            (int(step), np.reshape(start, 1)) if counts and start is not None and step is not None else None
        )
    if is_operator(node, "Cast"):
        return _affine(node.inputs[0], batch)
    if is_operator(node, "Unsqueeze"):
        axes, inner = constant_input(node, 1), _affine(node.inputs[0], batch)
        if axes is None or inner is None or np.any(axes % (inner[1].ndim + axes.size) == 0):
            return None
        return inner[0], np.expand_dims(inner[1], tuple(int(axis) for axis in axes.ravel()))
    return _of_two(node, batch)


def _of_two(node: gs.Node, batch: int | str | None) -> Affine | None:
    """Counted samples times a number, or plus an offset."""
    constant = next((t for t in node.inputs if is_constant(t)), None)
    counted = next((t for t in node.inputs if t is not constant), None)
    inner = None if constant is None or counted is None else _affine(counted, batch)
    if inner is None or constant is None or len(node.inputs) != 2:
        return None
    values = value_of(constant)
    if is_operator(node, "Mul") and values.size == 1:
        return inner[0] * int(values.flat[0]), inner[1] * values.flat[0]
    fits = values.ndim < inner[1].ndim or (values.ndim == inner[1].ndim and values.shape[0] == 1)
    return (inner[0], inner[1] + values) if is_operator(node, "Add") and fits else None
