"""Piecewise linear functions of one variable, exact and per channel: what the recogniser computes with.

A clipped, shifted, scaled, compared or masked pre-activation is a piecewise linear function of it, in whatever
operators it is written: sums, products with masks, minima, maxima and comparisons of such functions are such functions
again. :class:`Curve` is closed under all of them. Coefficients are exact rationals, one for each channel (arrays of
``fractions.Fraction`` that broadcast like the constants of the graph), so equality is equality: ``x + (q - x)``
is ``q``, and no tolerance decides what a network computes.

        y
        │        ┌───── pieces[2]            breaks  x₀ < x₁ < ...        where the line changes
        │      ╱                             pieces  one line between two breaks, slope·x + offset
        │    ╱ pieces[1]                     points  the value at each break itself (a step may be
        └──┴─┴─────────▶ x                           closed on either side, or on neither)
           x₀  x₁
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Exact rationals, one per channel: an object array of Fraction, broadcastable to the tensor.
Rationals: TypeAlias = NDArray[Any]


class NotPiecewiseLinearError(Exception):
    """The result is no piecewise linear function; the message says why, in the user's terms."""


class ChannelsDifferError(Exception):
    """Channels need different cases (one clips where another does not); ``mask`` tells them apart."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        super().__init__("channels differ in the order of their breakpoints")
        self.mask = mask


def rationals(values: ArrayLike) -> Rationals:
    """The exact value of each number: every float is a rational.

    Raises:
        NotPiecewiseLinearError: a value is infinite or not a number.
    """
    array = np.asarray(values)
    if array.dtype == object:
        return array
    if array.dtype.kind not in "iub" and not np.all(np.isfinite(array)):
        raise NotPiecewiseLinearError("a constant is infinite or not a number")
    return rationals_of(array.ravel().tolist()).reshape(array.shape)


def rationals_of(values: Iterable[float]) -> Rationals:
    """A vector of the exact values of ``values``."""
    listed = [Fraction(value) for value in values]
    exact = np.empty(len(listed), dtype=object)
    exact[:] = listed
    return exact


def decide(condition: Any) -> bool:
    """The one answer of all channels.

    Raises:
        ChannelsDifferError: they do not agree.
    """
    mask = np.asarray(condition, dtype=bool)
    if mask.all():
        return True
    if not mask.any():
        return False
    raise ChannelsDifferError(mask)


ZERO = rationals(0)
ONE = rationals(1)


@dataclass(frozen=True)
class Line:
    """slope·x + offset, each a rational per channel."""

    slope: Rationals
    offset: Rationals

    def at(self, x: Rationals) -> Rationals:
        """The value at ``x``."""
        return np.asarray(self.slope * x + self.offset, dtype=object)

    @property
    def is_flat(self) -> bool:
        """Whether the slope is zero, on all channels alike."""
        return decide(self.slope == 0)

    def same(self, other: Line) -> bool:
        """Exact equality, on every channel."""
        return bool(np.all(self.slope == other.slope) and np.all(self.offset == other.offset))


def flat(value: Rationals) -> Line:
    """The constant line."""
    return Line(ZERO, value)


def _object(value: Any) -> Rationals:
    return np.asarray(value, dtype=object)


@dataclass(frozen=True)
class Curve:
    """A piecewise linear function; see the module's picture. ``len(pieces) == len(breaks) + 1 == len(points) + 1``."""

    breaks: tuple[Rationals, ...]
    pieces: tuple[Line, ...]
    points: tuple[Rationals, ...]

    @classmethod
    def identity(cls) -> Curve:
        """The line y = x."""
        return cls((), (Line(ONE, ZERO),), ())

    @classmethod
    def constant(cls, value: ArrayLike) -> Curve:
        """The line y = value."""
        return cls((), (flat(rationals(value)),), ())

    @property
    def value(self) -> Rationals | None:
        """The constant that this curve is, or None."""
        if self.breaks or np.any(self.pieces[0].slope != 0):
            return None
        return self.pieces[0].offset

    @property
    def is_affine(self) -> bool:
        """Whether it is one line."""
        return not self.breaks

    @property
    def is_step(self) -> bool:
        """Piecewise constant with at least one break."""
        return bool(self.breaks) and all(bool(np.all(p.slope == 0)) for p in self.pieces)

    def simplified(self) -> Curve:
        """Without breaks at which nothing happens."""
        breaks, pieces, points = [], [self.pieces[0]], []
        for x, point, piece in zip(self.breaks, self.points, self.pieces[1:], strict=True):
            if piece.same(pieces[-1]) and np.all(point == piece.at(x)):
                continue
            breaks.append(x)
            points.append(point)
            pieces.append(piece)
        return Curve(tuple(breaks), tuple(pieces), tuple(points))

    def at(self, x: Rationals) -> Rationals:
        """The value at ``x``; all channels must find ``x`` in the same piece."""
        for position, edge in enumerate(self.breaks):
            if decide(x < edge):
                return self.pieces[position].at(x)
            if decide(x == edge):
                return self.points[position]
        return self.pieces[-1].at(x)


def refine(curve: Curve, breaks: Sequence[Rationals]) -> Curve:
    """The same function, with breaks at each of ``breaks`` (ascending, all of the curve's own among them)."""
    pieces, points, position = [curve.pieces[0]], [], 0
    for x in breaks:
        if position < len(curve.breaks) and decide(curve.breaks[position] == x):
            points.append(curve.points[position])
            position += 1
        else:
            points.append(curve.pieces[position].at(x))
        pieces.append(curve.pieces[position])
    return Curve(tuple(breaks), tuple(pieces), tuple(points))


def merged(first: Sequence[Rationals], second: Sequence[Rationals]) -> list[Rationals]:
    """Both lists of breaks in one ascending list, each value once."""
    result: list[Rationals] = []
    one, two = list(first), list(second)
    while one and two:
        if decide(one[0] == two[0]):
            result.append(one.pop(0))
            two.pop(0)
        else:
            result.append(one.pop(0) if decide(one[0] < two[0]) else two.pop(0))
    return result + one + two


def aligned(*curves: Curve) -> tuple[Curve, ...]:
    """The same functions on common breaks."""
    breaks: list[Rationals] = []
    for curve in curves:
        breaks = merged(breaks, curve.breaks)
    return tuple(refine(curve, breaks) for curve in curves)


def pointwise(on_lines: Callable[..., Line], on_points: Callable[..., Any], *curves: Curve) -> Curve:
    """Combine curves piece by piece and point by point."""
    curves = aligned(*curves)
    return Curve(
        curves[0].breaks,
        tuple(on_lines(*lines) for lines in zip(*(c.pieces for c in curves), strict=True)),
        tuple(_object(on_points(*values)) for values in zip(*(c.points for c in curves), strict=True)),
    ).simplified()


def add(f: Curve, g: Curve) -> Curve:
    """The sum."""
    return pointwise(
        lambda a, b: Line(_object(a.slope + b.slope), _object(a.offset + b.offset)), lambda a, b: a + b, f, g
    )


def negate(f: Curve) -> Curve:
    """The negative."""
    return multiply(f, Curve.constant(-1))


def multiply(f: Curve, g: Curve) -> Curve:
    """The product; on each piece one factor must be constant (a scale, or a mask)."""

    def lines(a: Line, b: Line) -> Line:
        if not a.is_flat:
            a, b = b, a
        if not a.is_flat:
            raise NotPiecewiseLinearError("it multiplies the activation by itself")
        return Line(_object(a.offset * b.slope), _object(a.offset * b.offset))

    return pointwise(lines, lambda a, b: a * b, f, g)


def reciprocal(f: Curve) -> Curve:
    """One over a constant."""
    value = f.value
    if value is None:
        raise NotPiecewiseLinearError("it divides by the activation")
    if np.any(value == 0):
        raise NotPiecewiseLinearError("it divides by zero")
    return Curve.constant(_object(1 / value))


def select(condition: Curve, f: Curve, g: Curve) -> Curve:
    """``f`` where ``condition`` (0 or 1 everywhere) is 1, else ``g``; plateaus are chosen channel by channel."""

    def values(c: Any, a: Any, b: Any) -> Rationals:
        return _object(np.where(np.asarray(c != 0, bool), a, b))

    def lines(c: Line, a: Line, b: Line) -> Line:
        if np.all(a.slope == 0) and np.all(b.slope == 0):
            return flat(values(c.offset, a.offset, b.offset))
        return a if decide(c.offset != 0) else b

    return pointwise(lines, values, condition, f, g)


def positive(f: Curve, *, closed: bool) -> Curve:
    """1 where f > 0 (``closed``: f ≥ 0), else 0."""
    difference = split_at_zeros(f)

    def value(y: Any) -> Rationals:
        above = np.asarray(y >= 0 if closed else y > 0, bool)
        return _object(np.where(above, ONE, ZERO))

    pieces = []
    for position, line in enumerate(difference.pieces):
        if line.is_flat:
            pieces.append(flat(value(line.offset)))
        else:
            pieces.append(flat(value(line.at(inside(difference.breaks, position)))))
    return Curve(difference.breaks, tuple(pieces), tuple(value(y) for y in difference.points)).simplified()


def inside(breaks: Sequence[Rationals], position: int) -> Rationals:
    """Some x strictly inside piece ``position``."""
    if not breaks:
        return ZERO
    if position == 0:
        return _object(breaks[0] - 1)
    if position == len(breaks):
        return _object(breaks[-1] + 1)
    return _object((breaks[position - 1] + breaks[position]) / 2)


def split_at_zeros(f: Curve) -> Curve:
    """The same function, with a break wherever a line crosses zero."""
    zeros: list[Rationals] = []
    for position, line in enumerate(f.pieces):
        if line.is_flat:
            continue
        zero = _object(-line.offset / line.slope)
        after = position == 0 or decide(zero > f.breaks[position - 1])
        before = position == len(f.breaks) or decide(zero < f.breaks[position])
        if after and before:
            zeros.append(zero)
    return refine(f, merged(f.breaks, zeros))


def maximum(f: Curve, g: Curve) -> Curve:
    """The larger of both, point by point."""
    return select(positive(add(f, negate(g)), closed=True), f, g)


def minimum(f: Curve, g: Curve) -> Curve:
    """The smaller of both, point by point."""
    return negate(maximum(negate(f), negate(g)))
