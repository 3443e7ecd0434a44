"""Bounds for roundings that have none of their own, where what they round has."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import plateaus
from onnx2snn.activations.entrywise import Opsets
from onnx2snn.activations.jumps import Rounded
from onnx2snn.activations.recognise import recognise
from onnx2snn.analysis.intervals import Interval, intervals, is_bounded
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Array, Names, graph_pass, is_float
from onnx2snn.graph.walks import forward
from onnx2snn.operators import of


@graph_pass
def bound_roundings(graph: gs.Graph) -> gs.Graph:
    """Clip what is rounded without a clip to the values that it can take: a staircase of so many levels (METHOD 1).

        a = α·clip(R(z/θ), 0, K) ─▶ Mul c ─▶ Round ─▶ b      becomes      ... ─▶ Mul c ─▶ Max lo ─▶ Min hi ─▶ Round ─▶ b

    Activations, and what moves, joins, pools, adds and scales them, stay between two numbers: the clip changes nothing. It
    may be that clips behind the rounding do nothing any more either, which fall between two levels that are out of reach.

    1. It rounds to even: levels are counted from even ones in every channel, or from odd ones in every channel; if it falls, from
       both ends.
    2. The rounding, or a clip in front of or behind it, has bounds: nothing is done.
    3. What it rounds has no bounds (a convolution's result, the network's input): nothing is done.
    """
    recognition = recognise(graph) if _rounds_levels(graph) else None
    if recognition is None or not recognition.unbounded:
        return graph
    names = Names(graph)
    ends = plateaus(recognition.found, Opsets.of(graph))
    known = {id(one.output): interval for one, interval in zip(recognition.found, ends, strict=True)}
    found = intervals(graph, known)
    for rounded in recognition.unbounded:
        interval = found.get(id(rounded.node.inputs[0]))
        if interval is not None and is_bounded(interval):
            _bound(graph, names, rounded, interval)
    return graph


def _rounds_levels(graph: gs.Graph) -> bool:
    """Whether anything rounds what was rounded before, with no synapses between."""

    def passes(node: gs.Node, read: list[bool]) -> bool:
        follows = any(read)
        return of(node).transfer is not None if follows else _jumps(node) and any(map(is_float, node.inputs))

    rounded = forward(graph.nodes, passes)
    again = (node for node in graph.nodes if _jumps(node) and not of(node).whole)
    return any(id(t) in rounded for node in again for t in node.inputs)


def _jumps(node: gs.Node) -> bool:
    """Whether ``node`` rounds, or compares; a Cast does where it casts to integers."""
    operator = of(node)
    return operator.jumps or (operator.elementwise and operator.any_type)


def _bound(graph: gs.Graph, names: Names, rounded: Rounded, interval: Interval) -> None:
    spelling = Spelling(graph, names, rounded.node)
    low, high = (np.atleast_1d(end) for end in interval)
    if rounded.rule == "half_even":
        low = _of_one_parity(low, high)
        if all((piece.slope <= 0).all() for piece in rounded.inner.pieces):
            high = -_of_one_parity(-high, -low)
    rounded.node.inputs[0] = spelling.apply("Min", spelling.apply("Max", rounded.node.inputs[0], low), high)


def _of_one_parity(low: Array, high: Array) -> Array:
    """Lower bounds, in some channels one level lower, so that ties go to even levels in all channels or to odd ones."""
    levels = np.rint(low)
    aligned = [np.where(levels % 2 == parity, low, levels - 1) for parity in (0, 1)]
    if any(np.array_equal(one, low) for one in aligned):
        return low
    return min(aligned, key=lambda one: float(np.max(np.rint(high) - np.rint(one)))).astype(np.float32)
