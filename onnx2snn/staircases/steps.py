"""Step functions whose steps are not equal: sums of staircases.

    f(z) = f(−∞) + Σ_r α_r·k_r(z),      k_r a staircase of equal steps at equal distances

Sign is one: 0 at 0 alone, so two steps of one level in the same place, one closed, one open. A cast of signed numbers
to integers is another (it rounds towards zero from both sides), and so are logarithmic and learned quantisers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from onnx2snn.graph import Array
from onnx2snn.staircases.activation import Rounded, Value, round_rationals
from onnx2snn.staircases.curve import Curve, Line, NotPiecewiseLinearError, Rationals, decide
from onnx2snn.staircases.staircase import Rounding

#: A function with more steps is not taken apart.
MAX_STEPS = 4096
#: Nor one that needs more neurons for each of its own.
MAX_RUNS = 64


@dataclass(frozen=True)
class Jump:
    """f rises by ``rise`` where z ≥ ``threshold`` (``strict``: where z > ``threshold``)."""

    threshold: Rationals
    rise: Rationals
    strict: bool


@dataclass(frozen=True)
class Run:
    """``count`` equal jumps at equal distances ``gap``, the first at ``threshold``.

    All are closed (``floor``) or strict (``ceil``), or every other one is: the first is strict (``half_even``) or closed
    (``half_odd``).
    """

    threshold: Rationals
    gap: Rationals
    rise: Rationals
    count: int
    rule: Rounding


@dataclass(frozen=True)
class Steps:
    """f(z) = ``start`` + the sum of ``runs``."""

    start: Rationals
    runs: tuple[Run, ...]


def steps_of(value: Value) -> Steps:
    """The steps of a discrete function of the pre-activation.

    Raises:
        NotPiecewiseLinearError: it has too many, or is no step function.
        ChannelsDifferError: channels need different cases.
    """
    if value.of_level is None or value.rounded is None:
        start, jumps = _of_curve(value.of_root)
    else:
        if value.of_root.value is None:
            raise NotPiecewiseLinearError("it adds the unrounded activation to the rounded one")
        start, jumps = _of_rounding(value.rounded, value.of_level)
        start = _exact(start + value.of_root.pieces[0].offset)
    runs = _runs([jump for jump in jumps if np.any(jump.rise != 0)])
    if not runs or len(runs) > MAX_RUNS:
        raise NotPiecewiseLinearError(f"its steps are not equal, in {len(runs)} ways")
    return Steps(start, runs)


def _exact(value: Any) -> Rationals:
    return np.asarray(value, dtype=object)


def _of_curve(curve: Curve) -> tuple[Rationals, list[Jump]]:
    if not curve.is_step:
        raise NotPiecewiseLinearError("it is continuous: nothing rounds it")
    jumps = []
    for edge, point, (left, right) in zip(curve.breaks, curve.points, pairwise(curve.pieces), strict=True):
        jumps.append(Jump(edge, _exact(point - left.offset), strict=False))
        jumps.append(Jump(edge, _exact(right.offset - point), strict=True))
    return curve.pieces[0].offset, jumps


def _of_rounding(rounded: Rounded, of_level: Curve) -> tuple[Rationals, list[Jump]]:
    """g(n) with n = R(h(z)), h rising or falling: it may jump wherever n does."""
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
    values = [of_level.at(_exact(n)) for n in range(first, last + 1)]
    jumps = []
    for n, (below, above) in zip(range(first + 1, last + 1), pairwise(values), strict=True):
        edge, strict = _edge(rounded.rule, n)
        rise = _exact(above - below)
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
        x = _exact((edge - line.offset) / line.slope)
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
    edges = [x for edge in (of_level.breaks[0], of_level.breaks[-1]) for x in _exact(edge).ravel()]
    return math.floor(min(edges)) - 1, math.ceil(max(edges)) + 1


def _edge(rule: str, n: int) -> tuple[Any, bool]:
    """Where R(h) goes from n − 1 to n, and whether strictly above it."""
    if rule == "half_even":
        return Fraction(2 * n - 1, 2), n % 2 == 1
    if rule == "floor" or (rule == "trunc" and n >= 1):
        return Fraction(n), False
    return Fraction(n - 1), True


def _runs(jumps: Sequence[Jump]) -> tuple[Run, ...]:
    """Neighbours that are alike, and at the same distances."""
    runs: list[Run] = []
    for jump in jumps:
        if runs and (longer := _longer(runs[-1], jump)) is not None:
            runs[-1] = longer
        else:
            runs.append(Run(jump.threshold, _exact(1), jump.rise, 1, "ceil" if jump.strict else "floor"))
    return tuple(runs)


def _longer(run: Run, jump: Jump) -> Run | None:
    end = _exact(run.threshold + run.gap * (run.count - 1))
    gap = _exact(jump.threshold - end)
    if np.any(jump.rise != run.rise) or np.any(gap <= 0) or (run.count > 1 and np.any(gap != run.gap)):
        return None
    rules: list[Rounding] = [run.rule]
    if run.count == 1:
        rules.append("half_even" if run.rule == "ceil" else "half_odd")
    for rule in rules:
        if jump.strict == _strict(rule, run.count):
            return Run(run.threshold, gap, run.rise, run.count + 1, rule)
    return None


def _strict(rule: Rounding, position: int) -> bool:
    """Whether the jump at ``position`` (from 0) is strict."""
    return {"floor": False, "ceil": True, "half_even": position % 2 == 0, "half_odd": position % 2 == 1}[rule]


def floats(values: Rationals) -> Array:
    """The float32 next to each rational."""
    return np.asarray(values, dtype=object).astype(np.float64).astype(np.float32)
