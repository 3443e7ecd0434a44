"""Roundings: n = R(h(z)) as a step function of z, jump by jump."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.piecewise_linear import (
    Curve,
    Line,
    NotPiecewiseLinearError,
    Rationals,
    decide,
    flat,
    rationals,
    rationals_of,
)

#: A function with more steps is not taken apart.
MAX_STEPS = 4096
#: Three roundings to float32, relative.
ROUNDINGS = Fraction(3, 2**24)


@dataclass(frozen=True)
class Rounded:
    """n = R(inner(z)); ``rule`` is floor, ceil, half_even or trunc."""

    rule: str
    inner: Curve
    node: gs.Node

    @property
    def is_open(self) -> bool:
        """Whether it has no lowest level, or no highest, in some channel."""
        return any(np.any(piece.slope != 0) for piece in (self.inner.pieces[0], self.inner.pieces[-1]))


def round_rationals(values: Rationals, rule: str) -> Rationals:
    """Exact rounding of each rational."""
    rules: dict[str, Callable[..., int]] = {
        "floor": math.floor,
        "ceil": math.ceil,
        "half_even": round,
        "trunc": math.trunc,
    }
    exact = rationals(values)
    return rationals_of(rules[rule](v) for v in exact.ravel()).reshape(exact.shape)


@dataclass(frozen=True)
class Jump:
    """f rises by ``rise`` where z ≥ ``threshold`` (``strict``: where z > ``threshold``)."""

    threshold: Rationals
    rise: Rationals
    strict: bool


def exact(value: Any) -> Rationals:
    """An array of rationals."""
    return np.asarray(value, dtype=object)


def jumps_of_curve(curve: Curve) -> tuple[Rationals, list[Jump]]:
    """Where a step function starts, and its jumps.

    Raises:
        NotPiecewiseLinearError: it is none.
    """
    if not curve.is_step:
        raise NotPiecewiseLinearError("it is continuous: nothing rounds it")
    jumps = []
    for edge, point, (left, right) in zip(curve.breaks, curve.points, pairwise(curve.pieces), strict=True):
        jumps.append(Jump(edge, exact(point - left.offset), strict=False))
        jumps.append(Jump(edge, exact(right.offset - point), strict=True))
    return curve.pieces[0].offset, jumps


def jumps_of_rounding(rounded: Rounded, of_level: Curve) -> tuple[Rationals, list[Jump]]:
    """Where g(n), n = R(h(z)), starts, and its jumps: h rises or falls, and g may jump wherever n does.

    Raises:
        NotPiecewiseLinearError: it has too many levels, or h does neither.
    """
    inner = rounded.inner
    rising = _direction(inner)
    lowest, highest = (inner.pieces[0], inner.pieces[-1])[:: 1 if rising else -1]
    first, last = (_rounded(end, rounded.rule) for end in (lowest, highest))
    if first is None or last is None:
        low, high = _changing(of_level)
        first = low if first is None else first
        last = high if last is None else last
    if last - first > MAX_STEPS:
        raise NotPiecewiseLinearError(f"it has {last - first + 1} levels")
    values = [of_level.at(exact(n)) for n in range(first, last + 1)]
    jumps = []
    for n, (below, above) in zip(range(first + 1, last + 1), pairwise(values), strict=True):
        edge, strict = _edge(rounded.rule, n)
        rise = exact(above - below)
        threshold = _crossing(inner, edge)
        jumps.append(Jump(threshold, rise if rising else -rise, strict if rising else not strict))
    return (values[0], jumps) if rising else (values[-1], jumps[::-1])


def _direction(curve: Curve) -> bool:
    """Whether a continuous function rises; False if it falls."""
    rising = any(not piece.is_flat and decide(piece.slope > 0) for piece in curve.pieces)
    falling = any(not piece.is_flat and decide(piece.slope < 0) for piece in curve.pieces)
    together = zip(curve.breaks, curve.points, pairwise(curve.pieces), strict=True)
    if rising == falling or any(
        np.any(left.at(x) != y) or np.any(right.at(x) != y) for x, y, (left, right) in together
    ):
        raise NotPiecewiseLinearError("it rounds what neither rises nor falls throughout")
    return rising


def _rounded(end: Line, rule: str) -> int | None:
    """The level far out, where h stays flat; None where it goes on for ever."""
    return _whole(round_rationals(end.offset, rule)) if end.is_flat else None


def _crossing(curve: Curve, edge: Fraction) -> Rationals:
    """Where a function that rises or falls throughout takes the value ``edge``."""
    for position, line in enumerate(curve.pieces):
        if line.is_flat:
            continue
        x = exact((edge - line.offset) / line.slope)
        after = position == 0 or decide(x >= curve.breaks[position - 1])
        before = position == len(curve.breaks) or decide(x <= curve.breaks[position])
        if after and before:
            return x
    raise NotPiecewiseLinearError("it jumps where it is clipped")


def _whole(n: Rationals) -> int:
    different = {int(x) for x in np.asarray(n, dtype=object).ravel()}
    if len(different) > 1:
        raise NotPiecewiseLinearError("its channels are clipped at different levels")
    return different.pop()


def _changing(of_level: Curve) -> tuple[int, int]:
    """Between which n the function is not flat; it must be flat on both sides."""
    if not of_level.breaks or not of_level.pieces[0].is_flat or not of_level.pieces[-1].is_flat:
        raise NotPiecewiseLinearError("its levels have no bound")
    edges = [x for edge in (of_level.breaks[0], of_level.breaks[-1]) for x in exact(edge).ravel()]
    return math.floor(min(edges)) - 1, math.ceil(max(edges)) + 1


def _edge(rule: str, n: int) -> tuple[Any, bool]:
    """Where R(h) goes from n − 1 to n, and whether strictly above it."""
    if rule == "half_even":
        return Fraction(2 * n - 1, 2), n % 2 == 1
    if rule == "floor" or (rule == "trunc" and n >= 1):
        return Fraction(n), False
    return Fraction(n - 1), True


def step_curve(start: Rationals, jumps: Sequence[Jump]) -> Curve:
    """The step function that begins at ``start`` and makes ``jumps``, whose thresholds do not fall."""
    breaks: list[Rationals] = []
    values, points = [start], []
    for jump in jumps:
        if not breaks or not decide(jump.threshold == breaks[-1]):
            breaks.append(jump.threshold)
            points.append(values[-1])
            values.append(values[-1])
        values[-1] = exact(values[-1] + jump.rise)
        if not jump.strict:
            points[-1] = exact(points[-1] + jump.rise)
    return Curve(tuple(breaks), tuple(flat(v) for v in values), tuple(points)).simplified()
