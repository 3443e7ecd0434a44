"""Between which numbers a tensor stays: interval arithmetic, in the float32 of the operators themselves.

Rounding to float32 never turns an order around, so an operator that rises takes the ends of its input's interval to the
ends of its output's, to the last bit: a level that float32 reaches is not taken for out of reach, nor the other way round.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, is_constant, value_of
from onnx2snn.graph.walks import carried
from onnx2snn.operators import of
from onnx2snn.operators.places import compact
from onnx2snn.operators.scales import as_scale
from onnx2snn.operators.transfer import Domain

#: Smallest and largest value, float32; shape () or, where it differs by place, that of one sample behind a batch axis of 1.
Interval: TypeAlias = "tuple[Array, Array]"

EVERYTHING: Interval = (np.float32(-np.inf), np.float32(np.inf))
_ULPS = np.float32(4 * np.finfo(np.float32).eps)


def intervals(graph: gs.Graph, known: Mapping[int, Interval]) -> dict[int, Interval]:
    """Of every tensor that stays between two numbers, or on one side of one, where that can be told.

    Args:
        graph: With inferred shapes, in topological order.
        known: What is known already, by the id of the tensor.
    """

    def rule(node: gs.Node, found: dict[int, Interval]) -> Iterable[tuple[int, Interval]]:
        transfer = of(node).transfer
        fresh = [t for t in node.outputs if id(t) not in known]
        if transfer is None or not fresh:
            return ()
        read = [_of(t, found) for t in node.inputs if not t.is_empty()]
        with np.errstate(all="ignore"):
            result: Interval | None = transfer(_DOMAIN, node, read)
        if result is None or any(np.any(np.isnan(end)) for end in result):
            return ()
        return [(id(tensor), _shaped(result, tensor)) for tensor in fresh]

    return carried(graph.nodes, rule, known)


def is_bounded(interval: Interval) -> bool:
    """Whether both ends are numbers."""
    return all(bool(np.all(np.isfinite(end))) for end in interval)


def _of(tensor: gs.Tensor, found: Mapping[int, Interval]) -> Interval:
    if not is_constant(tensor):
        return found.get(id(tensor), EVERYTHING)
    values = value_of(tensor)
    if values.dtype.kind not in "fiub":
        return EVERYTHING
    values = values.astype(np.float32)
    return values, values


def _shaped(interval: Interval, tensor: gs.Tensor) -> Interval:
    """Both ends of the tensor's rank, or one number each."""
    if tensor.shape is None:
        return _DOMAIN.gathered(interval)
    low, high = (compact(as_scale(np.asarray(end), len(tensor.shape))) for end in interval)
    return tuple(  # type: ignore[return-value]
        np.asarray(end.reshape(()) if end.size == 1 else end, np.float32) for end in (low, high)
    )


def _widened(interval: Interval) -> Interval:
    """By a few ulps, for operators that round more than once."""
    slack = _ULPS * np.maximum(abs(interval[0]), abs(interval[1]))
    return interval[0] - slack, interval[1] + slack


def _corners(function: Callable[[Array, Array], Array], read: Sequence[Interval]) -> Interval:
    """A function of two that rises or falls in each: its ends are at corners."""
    corners = np.broadcast_arrays(*(function(a, b) for a in read[0] for b in read[1]))
    return np.fmin.reduce(corners), np.fmax.reduce(corners)


class _Intervals(Domain[Interval]):
    """Interval arithmetic."""

    def number(self, value: float) -> Interval:
        return np.float32(value), np.float32(value)

    def total(self, parts: Sequence[Interval]) -> Interval:
        low, high = (functools.reduce(np.add, ends) for ends in zip(*parts, strict=True))
        return low, high

    def negated(self, part: Interval) -> Interval:
        return -part[1], -part[0]

    def product(self, _: gs.Node, parts: list[Interval]) -> Interval:
        return _corners(np.multiply, parts)

    def quotient(self, _: gs.Node, parts: list[Interval]) -> Interval | None:
        low, high = parts[1]
        return None if np.any((low <= 0) & (high >= 0)) else _corners(np.divide, parts)

    def mean(self, parts: Sequence[Interval]) -> Interval:
        low, high = self.total(parts)
        return _widened((low / np.float32(len(parts)), high / np.float32(len(parts))))

    def average(self, _: gs.Node, part: Interval) -> Interval:
        return _widened(part)

    def affine(self, part: Interval, factor: Array, term: Array) -> Interval:
        ends = [(factor * end + term).astype(np.float32) for end in part]
        return _widened((np.minimum(*ends), np.maximum(*ends)))

    def larger(self, one: Interval, other: Interval) -> Interval:
        return np.maximum(one[0], other[0]), np.maximum(one[1], other[1])

    def smaller(self, one: Interval, other: Interval) -> Interval:
        return np.minimum(one[0], other[0]), np.minimum(one[1], other[1])

    def united(self, one: Interval, other: Interval) -> Interval:
        return np.minimum(one[0], other[0]), np.maximum(one[1], other[1])

    def gathered(self, part: Interval) -> Interval:
        return np.float32(np.min(part[0])), np.float32(np.max(part[1]))

    def mapped(self, part: Interval, function: Callable[[Array], Array | None]) -> Interval | None:
        low, high = (function(np.asarray(end)) for end in part)
        return None if low is None or high is None else (low, high)

    def joined(
        self, parts: Sequence[Interval], function: Callable[[list[Array]], Array | None]
    ) -> Interval | None:
        low, high = (function([np.asarray(end) for end in ends]) for ends in zip(*parts, strict=True))
        return None if low is None or high is None else (low, high)

    def rising(self, function: Callable[[Array], Array], part: Interval) -> Interval:
        return function(part[0]), function(part[1])

    def between(self, low: float, high: float) -> Interval:
        return np.float32(low), np.float32(high)

    def chosen(self, one: Interval, other: Interval) -> Interval:
        return self.united(one, other)


_DOMAIN = _Intervals()
