"""Between which numbers a tensor stays: interval arithmetic, in the float32 of the operators themselves.

Rounding to float32 never turns an order around, so an operator that rises takes the ends of its input's interval to the
ends of its output's, to the last bit: a level that float32 reaches is not taken for out of reach, nor the other way round.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.selections import SELECTIONS, is_selection, normalisation, padding
from onnx2snn.graph.core import Array, is_constant, is_float, value_of
from onnx2snn.operators.linear import ORDER_PRESERVING, is_linear
from onnx2snn.operators.places import arriving, compact, joined
from onnx2snn.operators.scales import as_scale

#: Smallest and largest value, float32; shape () or, where it differs by place, that of one sample behind a batch axis of 1.
Interval: TypeAlias = "tuple[Array, Array]"
Rule: TypeAlias = "Callable[[gs.Node, list[Interval]], Interval | None]"

EVERYTHING: Interval = (np.float32(-np.inf), np.float32(np.inf))
_ULPS = np.float32(4 * np.finfo(np.float32).eps)


def intervals(graph: gs.Graph, known: Mapping[int, Interval]) -> dict[int, Interval]:
    """Of every tensor that stays between two numbers, or on one side of one, where that can be told.

    Args:
        graph: With inferred shapes, in topological order.
        known: What is known already, by the id of the tensor.
    """
    found = dict(known)
    for node in graph.nodes:
        rule = RULES.get(node.op) if not node.domain else None
        fresh = [t for t in node.outputs if id(t) not in known]
        if rule is None or not fresh:
            continue
        read = [_of(t, found) for t in node.inputs if not t.is_empty()]
        with np.errstate(all="ignore"):
            result = rule(node, read)
        if result is None or any(np.any(np.isnan(end)) for end in result):
            continue
        for tensor in fresh:
            found[id(tensor)] = _shaped(result, tensor)
    return found


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
        return _hull(interval)
    low, high = (compact(as_scale(np.asarray(end), len(tensor.shape))) for end in interval)
    return tuple(  # type: ignore[return-value]
        np.asarray(end.reshape(()) if end.size == 1 else end, np.float32) for end in (low, high)
    )


def _hull(*parts: Interval) -> Interval:
    """From the smallest to the largest of all."""
    low, high = (np.concatenate([np.ravel(part[side]) for part in parts]) for side in (0, 1))
    return np.float32(low.min()), np.float32(high.max())


def _rising(function: Callable[..., Array]) -> Rule:
    """A function that rises in all that it reads."""

    def rule(_: gs.Node, read: list[Interval]) -> Interval:
        return function(*(r[0] for r in read)), function(*(r[1] for r in read))

    return rule


def _folded(function: Callable[[Array, Array], Array]) -> Rule:
    """A rising function of two, applied to any number one after the other."""
    return _rising(lambda *values: functools.reduce(function, values))


def _negated(interval: Interval) -> Interval:
    return -interval[1], -interval[0]


def _subtract(_: gs.Node, read: list[Interval]) -> Interval:
    low, high = _negated(read[1])
    return read[0][0] + low, read[0][1] + high


def _corners(function: Callable[[Array, Array], Array]) -> Rule:
    """A function of two that rises or falls in each: its ends are at corners."""

    def rule(_: gs.Node, read: list[Interval]) -> Interval:
        corners = [function(a, b) for a in read[0] for b in read[1]]
        return np.fmin.reduce(np.broadcast_arrays(*corners)), np.fmax.reduce(np.broadcast_arrays(*corners))

    return rule


def _quotient(node: gs.Node, read: list[Interval]) -> Interval | None:
    low, high = read[1]
    return None if np.any((low <= 0) & (high >= 0)) else _corners(np.divide)(node, read)


def _mean(_: gs.Node, read: list[Interval]) -> Interval:
    low, high = (functools.reduce(np.add, ends) for ends in zip(*read, strict=True))
    return _widened((low / np.float32(len(read)), high / np.float32(len(read))))


def _widened(interval: Interval) -> Interval:
    """By a few ulps, for operators that round more than once."""
    slack = _ULPS * np.maximum(abs(interval[0]), abs(interval[1]))
    return interval[0] - slack, interval[1] + slack


def _normalised(node: gs.Node, read: list[Interval]) -> Interval | None:
    if not is_linear(node) or not all(is_constant(t) for t in node.inputs[1:]):
        return None
    factor, term = normalisation(node)
    ends = [(factor * end + term).astype(np.float32) for end in read[0]]
    return _widened((np.minimum(*ends), np.maximum(*ends)))


def _absolute(_: gs.Node, read: list[Interval]) -> Interval:
    low, high = read[0]
    return np.maximum(0, np.maximum(low, -high)), np.maximum(abs(low), abs(high))


def _clip(node: gs.Node, read: list[Interval]) -> Interval:
    (low, high), *bounds = read
    placed = iter(bounds)
    present = [not t.is_empty() for t in node.inputs[1:]]
    for there, function in zip(present, (np.maximum, np.minimum), strict=False):
        if there:
            bound = next(placed)
            low, high = function(low, bound[0]), function(high, bound[1])
    return low, high


def _chosen(_: gs.Node, read: list[Interval]) -> Interval:
    return np.minimum(read[1][0], read[2][0]), np.maximum(read[1][1], read[2][1])


def _mask(_node: gs.Node, _read: list[Interval]) -> Interval:
    return np.float32(0), np.float32(1)


def _cast(node: gs.Node, read: list[Interval]) -> Interval:
    kind = node.outputs[0].dtype
    if kind is None or np.dtype(kind) == bool:
        return np.float32(0), np.float32(1)
    low, high = read[0]
    return (low, high) if is_float(node.outputs[0]) else (np.trunc(low), np.trunc(high))


def _copied(node: gs.Node, read: list[Interval]) -> Interval | None:
    """Copies of entries of one sample, perhaps beside a number that pads them; and the largest of some."""
    if node.op not in ORDER_PRESERVING and not is_selection(node):
        return None
    if node.op == "Concat":
        ends = [joined(node, [np.asarray(part[side]) for part in read]) for side in (0, 1)]
        return _hull(*read) if ends[0] is None or ends[1] is None else (ends[0], ends[1])
    fill = padding(node)
    if fill is not None:
        return _hull(read[0], (np.float32(fill), np.float32(fill)))
    return _arrived(node, read[0])


def _averaged(node: gs.Node, read: list[Interval]) -> Interval | None:
    """Means of entries of one sample, perhaps beside zeros that pad them."""
    if not is_linear(node):
        return None
    padded = any(node.attrs.get("pads", ())) or node.attrs.get("auto_pad", "NOTSET") != "NOTSET"
    whole = _hull(read[0], (np.float32(0), np.float32(0))) if padded else _arrived(node, read[0])
    return _widened(whole)


def _arrived(node: gs.Node, interval: Interval) -> Interval:
    low, high = (arriving(node, np.asarray(end)) for end in interval)
    return _hull(interval) if low is None or high is None else (low, high)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("And", "Equal", "Greater", "GreaterOrEqual", "HardSigmoid", "Less"), _mask),
    **dict.fromkeys(("LessOrEqual", "Not", "Or", "Sigmoid", "Xor"), _mask),
    **dict.fromkeys((*SELECTIONS, *ORDER_PRESERVING), _copied),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "ReduceMean"), _averaged),
    "Abs": _absolute,
    "Add": _folded(np.add),
    "BatchNormalization": _normalised,
    "Cast": _cast,
    "Ceil": _rising(np.ceil),
    "Clip": _clip,
    "Div": _quotient,
    "Floor": _rising(np.floor),
    "Identity": _rising(np.positive),
    "Max": _folded(np.maximum),
    "Mean": _mean,
    "Min": _folded(np.minimum),
    "Mul": _corners(np.multiply),
    "Neg": lambda _, read: _negated(read[0]),
    "Relu": _rising(lambda x: np.maximum(x, np.float32(0))),
    "Round": _rising(np.rint),
    "Sign": _rising(np.sign),
    "Sub": _subtract,
    "Sum": _folded(np.add),
    "Where": _chosen,
}
