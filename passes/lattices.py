"""On which lattice the values of a tensor lie: what sums, maxima and moves leave of neurons' levels.

    { low + n·unit :  n = 0 ... (high − low)/unit }

Levels times a scale lie on one; so do sums of such, where their scales have a common measure (two scales of 0.25 and 0.75 have
0.25; 0.1 and π/30 have none to speak of: as fractions of float32 they have one, with billions of values). Exact rationals
throughout: a lattice is a fact, no approximation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import Array, is_constant, is_float, signals, value_of
from onnx2snn.passes.arrivals import arriving, joined
from onnx2snn.passes.operators import (
    DOMAIN,
    ORDER_PRESERVING,
    STAIRCASE,
    axes_of,
    compared_axes,
    is_linear,
)
from onnx2snn.passes.scales import compact
from onnx2snn.passes.selections import SELECTIONS, decoding, is_selection, padding
from onnx2snn.passes.staircase_nodes import parameters
from onnx2snn.staircases.curve import Rationals, rationals
from onnx2snn.staircases.reduction import MAX_LEVELS, ROUNDINGS

#: Scales are compared in fractions up to this denominator.
MAX_RATIO = 64
#: A constant of more values is not followed, rational by rational.
MAX_ENTRIES = 1 << 15


@dataclass(frozen=True)
class Lattice:
    """Values low + n·unit up to high; rationals of shape (), or one for each place, behind a batch axis of 1.

    Attributes:
        low: The smallest value.
        high: The largest.
        unit: The distance of two neighbours; 0 where ``low`` is the only value.
    """

    low: Rationals
    high: Rationals
    unit: Rationals

    @property
    def levels(self) -> Rationals:
        """K = (high − low)/unit."""
        return _object(_quotient(self.high - self.low, self.unit))

    def map(self, function: Callable[[Rationals], Rationals]) -> Lattice:
        """``function`` of each array."""
        return Lattice(function(self.low), function(self.high), function(self.unit))


Rule: TypeAlias = "Callable[[gs.Node, list[Lattice]], Lattice | None]"


def lattices(graph: gs.Graph) -> dict[int, Lattice]:
    """By id, of every tensor that lies on one of at most :data:`MAX_LEVELS` + 1 values; ``graph`` has Staircase nodes."""
    found: dict[int, Lattice] = {}
    for node in graph.nodes:
        if node.op == STAIRCASE and node.domain == DOMAIN:
            lattice: Lattice | None = _of_levels(parameters(node).ceilings)
        else:
            lattice = _behind(node, found)
        if lattice is None or np.any(lattice.levels > MAX_LEVELS):
            continue
        for tensor in node.outputs:
            if is_float(tensor) and tensor.shape is not None:
                found[id(tensor)] = _of_rank(lattice, len(tensor.shape))
    return found


def _of_rank(lattice: Lattice, rank: int) -> Lattice:
    return lattice.map(lambda a: _ranked(a, rank))


def _of_levels(ceilings: Array) -> Lattice:
    whole = rationals(ceilings)
    return Lattice(_object(whole * 0), whole, _object(whole * 0 + 1))


def _behind(node: gs.Node, found: Mapping[int, Lattice]) -> Lattice | None:
    rule = RULES.get(node.op) if not node.domain else None
    if _is_nothing(node):
        return _single(0)
    if rule is None or not any(id(t) in found for t in signals(node)):
        return None
    read = [_read(t, found) for t in node.inputs if not t.is_empty()]
    return None if any(lattice is None for lattice in read) else rule(node, read)  # type: ignore[arg-type]


def _is_nothing(node: gs.Node) -> bool:
    """Whether ``node`` multiplies by zero: how a constant activation is written."""
    factors = [value_of(t) for t in node.inputs if is_constant(t)]
    return node.op == "Mul" and not node.domain and len(factors) == 1 and not np.any(factors[0])


def _read(tensor: gs.Tensor, found: Mapping[int, Lattice]) -> Lattice | None:
    if not is_constant(tensor):
        return found.get(id(tensor))
    values = value_of(tensor)
    if values.dtype.kind not in "fiu" or values.size > MAX_ENTRIES or not np.all(np.isfinite(values)):
        return None
    exact = rationals(values)
    return Lattice(exact, exact, _object(exact * 0))


def _object(value: Any) -> Rationals:
    return np.asarray(value, dtype=object)


def _ranked(values: Rationals, rank: int) -> Rationals:
    whole = compact(values.reshape((1,) * (rank - values.ndim) + values.shape))
    return whole.reshape(()) if whole.size == 1 else whole


@functools.lru_cache(maxsize=4096)
def _common_measure(a: Fraction, b: Fraction) -> Fraction:
    """The largest number of which both are multiples; 0 of zeros.

    Where that is too small to count by, and float32 cannot tell ``a`` from p/q of ``b``: b/q (0.3 and 0.1 in float32).
    """
    whole = Fraction(
        math.gcd(a.numerator * b.denominator, b.numerator * a.denominator), a.denominator * b.denominator
    )
    if whole and max(abs(a), abs(b)) > MAX_LEVELS * whole:
        ratio = abs(a / b)
        near = ratio.limit_denominator(MAX_RATIO)
        if near and _same_float(ratio, near):
            return abs(b) / near.denominator
    return whole


def _same_float(a: Fraction, b: Fraction) -> bool:
    """Whether they are as close as roundings of one number to float32."""
    return abs(a - b) <= ROUNDINGS * max(abs(a), abs(b))


@functools.lru_cache(maxsize=4096)
def _nearest_multiple(value: Fraction, unit: Fraction) -> Fraction:
    """The multiple of ``unit`` that float32 cannot tell from ``value``; ``value`` itself if there is none."""
    near = round(value / unit) * unit if unit else value
    return near if _same_float(value, near) else value


_snapped = np.frompyfunc(_nearest_multiple, 2, 1)
_measure = np.frompyfunc(_common_measure, 2, 1)
_quotient = np.frompyfunc(lambda a, b: a / b if b else Fraction(0), 2, 1)


def united(*parts: Lattice) -> Lattice:
    """The lattice that holds the values of all, place by place."""
    low, high, unit = parts[0].low, parts[0].high, parts[0].unit
    for part in parts[1:]:
        unit = _object(_measure(_object(_measure(unit, part.unit)), _object(low - part.low)))
        low, high = _object(np.minimum(low, part.low)), _object(np.maximum(high, part.high))
    return Lattice(low, high, unit)


def _gathered(lattice: Lattice, axes: Iterable[int] | None = None) -> Lattice:
    """One lattice for all places along ``axes`` (None: for all there are)."""
    low, high, unit = (np.array(a) for a in np.broadcast_arrays(lattice.low, lattice.high, lattice.unit))
    least = low
    for axis in range(low.ndim) if axes is None else axes:
        least = least.min(axis=axis, keepdims=True)
        high = high.max(axis=axis, keepdims=True)
        unit = _measure.reduce(unit, axis=axis, keepdims=True)
    above = _object(low - least)
    for axis in range(low.ndim) if axes is None else axes:
        above = _measure.reduce(above, axis=axis, keepdims=True)
    result = Lattice(_object(least), _object(high), _object(_measure(unit, above)))
    return result if axes is not None else result.map(lambda a: a.reshape(()))


def _sum(_: gs.Node, read: list[Lattice]) -> Lattice:
    varied = [part for part in read if np.any(part.unit != 0)]
    if len(varied) == 1:
        unit = varied[0].unit
        terms = [_object(_snapped(part.low, unit)) for part in read if part is not varied[0]]
        read = [*varied, *(Lattice(term, term, _object(term * 0)) for term in terms)]
    total = read[0]
    for part in read[1:]:
        unit = _object(_measure(total.unit, part.unit))
        total = Lattice(_object(total.low + part.low), _object(total.high + part.high), unit)
    return total


def _times(lattice: Lattice, factor: Rationals) -> Lattice:
    one, other = lattice.low * factor, lattice.high * factor
    return Lattice(
        _object(np.minimum(one, other)), _object(np.maximum(one, other)), _object(lattice.unit * abs(factor))
    )


def _product(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    if not is_linear(node):
        return None
    constant = int(is_constant(node.inputs[1]))
    return _times(read[1 - constant], read[constant].low)


def _divided(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    divisor = read[1].low
    if not is_linear(node) or np.any(divisor == 0):
        return None
    return _times(read[0], _object(1 / divisor))


def _negated(lattice: Lattice) -> Lattice:
    return _times(lattice, _object(Fraction(-1)))


def _normalised(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    if not is_linear(node) or not all(is_constant(t) for t in node.inputs[1:]):
        return None
    factor, term = (rationals(values.astype(np.float32)) for values in decoding([node]))
    shift = Lattice(term, term, _object(term * 0))
    return _sum(node, [_times(read[0], factor), shift])


def _copied(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    """Copies of entries of one sample, perhaps beside a number that pads them; and the largest of some."""
    if node.op in ORDER_PRESERVING:
        return _largest(node, read[0])
    if not is_selection(node):
        return None
    if node.op == "Concat":
        columns = [joined(node, [getattr(part, name) for part in read]) for name in ("low", "high", "unit")]
        if any(column is None for column in columns):
            return united(*(_gathered(part) for part in read))
        return Lattice(*columns)  # type: ignore[arg-type]
    fill = padding(node)
    whole = read[0] if fill is None else united(read[0], _single(fill))
    return _arrived(node, whole)


def _single(number: float) -> Lattice:
    value = rationals(np.float32(number))
    return Lattice(value, value, _object(Fraction(0)))


def _arrived(node: gs.Node, lattice: Lattice) -> Lattice:
    low, high, unit = (arriving(node, a) for a in (lattice.low, lattice.high, lattice.unit))
    if low is None or high is None or unit is None:
        return _gathered(lattice)
    return Lattice(low, high, unit)


def _largest(node: gs.Node, lattice: Lattice) -> Lattice | None:
    """What is compared comes on one lattice first."""
    rank, axes = len(node.inputs[0].shape), compared_axes(node)
    if axes is None:
        return None
    spread = lattice.map(lambda a: a.reshape((1,) * (rank - a.ndim) + a.shape))
    return _arrived(node, _of_rank(_gathered(spread, axes), rank))


def _averaged(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    """Means of as many entries everywhere, zeros that pad them among them."""
    count = _averaged_entries(node)
    if count is None or not is_linear(node):
        return None
    padded = node.op == "AveragePool" and any(node.attrs.get("pads", ()))
    whole = _arrived(node, united(read[0], _single(0)) if padded else read[0])
    return Lattice(whole.low, whole.high, _object(whole.unit / count))


def _averaged_entries(node: gs.Node) -> int | None:
    """Of how many entries ``node`` takes the mean; None where that differs by place, or is not known."""
    if node.op == "AveragePool":
        counted = node.attrs.get("count_include_pad", 0) or not any(node.attrs.get("pads", ()))
        other = node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.attrs.get(
            "ceil_mode", 0
        )
        return math.prod(node.attrs["kernel_shape"]) if counted and not other else None
    shape = node.inputs[0].shape
    axes = range(2, len(shape)) if node.op == "GlobalAveragePool" else axes_of(node)
    sizes = [shape[axis] for axis in axes or ()]
    whole = sizes and all(isinstance(size, (int, np.integer)) for size in sizes)
    return int(math.prod(sizes)) if whole else None


def _larger(one: Lattice, other: Lattice) -> Lattice:
    """The larger of both, place by place."""
    for a, b in ((one, other), (other, one)):
        if np.all(a.low >= b.high):
            return a
    both = united(one, other)
    return Lattice(_object(np.maximum(one.low, other.low)), both.high, both.unit)


def _smaller(one: Lattice, other: Lattice) -> Lattice:
    return _negated(_larger(_negated(one), _negated(other)))


def _folded(function: Callable[[Lattice, Lattice], Lattice]) -> Rule:
    return lambda _, read: functools.reduce(function, read)


def _clip(node: gs.Node, read: list[Lattice]) -> Lattice:
    result, bounds = read[0], iter(read[1:])
    for tensor, function in zip(node.inputs[1:], (_larger, _smaller), strict=False):
        if not tensor.is_empty():
            result = function(result, next(bounds))
    return result


def _mean(node: gs.Node, read: list[Lattice]) -> Lattice:
    return _times(_sum(node, read), _object(Fraction(1, len(read))))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys((*SELECTIONS, *ORDER_PRESERVING), _copied),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "ReduceMean"), _averaged),
    "Add": _sum,
    "BatchNormalization": _normalised,
    "Clip": _clip,
    "Div": _divided,
    "Max": _folded(_larger),
    "Mean": _mean,
    "Min": _folded(_smaller),
    "Mul": _product,
    "Neg": lambda _, read: _negated(read[0]),
    "Relu": lambda _, read: _larger(read[0], _single(0)),
    "Sub": lambda node, read: _sum(node, [read[0], _negated(read[1])]),
    "Sum": _sum,
}
