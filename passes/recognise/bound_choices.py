"""Bounds for roundings that comparisons choose from: a clip that is spelled with Where."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import Staircase
from onnx2snn.activations.jumps import Rounded, exact
from onnx2snn.activations.neuron import ARRAYS
from onnx2snn.activations.piecewise_linear import ChannelsDifferError, Rationals
from onnx2snn.activations.recognise import expressions, recognise
from onnx2snn.activations.steps import floats
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, graph_pass


@graph_pass
def bound_choices(graph: gs.Graph) -> gs.Graph:
    """Clip what is rounded to where comparisons let it through, and a level beyond.

        z ─▶ Round ─▶ Where(z > t, c, ·) ─▶ a      becomes      z ─▶ Max ─▶ Min t + 1 level ─▶ Round ─▶ Where(z > t, c, ·) ─▶ a

    1. The activation is another one if it is clipped two levels beyond: the comparisons do not hide it; nothing is done.
    2. It is no staircase then either: nothing is done.
    """
    for rounded in recognise(graph).unbounded if any(node.op == "Where" for node in graph.nodes) else ():
        bounds = _levels_between_comparisons(graph, rounded)
        if bounds is None:
            continue
        first, second = (_staircases(graph, rounded, bounds, beyond) for beyond in (1, 2))
        if first and first.keys() == second.keys() and all(_same(first[k], second[k]) for k in first):
            _clip(graph, rounded.node, bounds, 1)
    return graph


def _levels_between_comparisons(graph: gs.Graph, rounded: Rounded) -> tuple[Rationals, Rationals] | None:
    """What is rounded at the outermost thresholds of its root, before it is rounded."""
    found = expressions(graph)
    value = found.get(id(rounded.node.inputs[0]))
    if value is None or value.root is None:
        return None
    steps = [v.of_root for v in found.values() if v.root is value.root and v.of_level is None]
    breaks = [x for curve in steps if curve.is_step for x in curve.breaks]
    try:
        ends = [rounded.inner.at(x) for x in breaks]
    except ChannelsDifferError:
        return None
    if not ends:
        return None
    return exact(np.minimum.reduce(np.broadcast_arrays(*ends))), exact(
        np.maximum.reduce(np.broadcast_arrays(*ends))
    )


def _clip(graph: gs.Graph, node: gs.Node, bounds: tuple[Rationals, Rationals], beyond: int) -> None:
    spelling = Spelling(graph, Names(graph), node)
    low, high = (np.atleast_1d(floats(end)) for end in bounds)
    clipped = spelling.apply("Max", node.inputs[0], low - np.float32(beyond))
    node.inputs[0] = spelling.apply("Min", clipped, high + np.float32(beyond))


def _staircases(
    graph: gs.Graph, rounded: Rounded, bounds: tuple[Rationals, Rationals], beyond: int
) -> dict[str, Staircase]:
    """The activations that ``rounded`` is a part of, clipped so many levels beyond the comparisons; by what they write."""
    copy = graph.copy()
    node = next(n for n in copy.nodes if n.outputs[0].name == rounded.node.outputs[0].name)
    _clip(copy, node, bounds, beyond)
    copy.toposort()
    found = recognise(copy).found
    return {one.output.name: one.staircase for one in found if any(n is node for n in one.nodes)}


def _same(one: Staircase, other: Staircase) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)
