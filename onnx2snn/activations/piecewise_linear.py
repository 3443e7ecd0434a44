"""Piecewise linear functions of one variable, exact and per channel: what the recogniser computes with.

A clipped, shifted, scaled, compared or masked pre-activation is a piecewise linear function of it, in whatever
operators it is written: sums, products with masks, minima, maxima and comparisons of such functions are such functions
again. :class:`Curve` is closed under all of them. Coefficients are exact rationals, one for each channel
(:mod:`.rationals`; they broadcast like the constants of the graph), so equality is equality: ``x + (q - x)`` is ``q``,
and no tolerance decides what a network computes.

        y
        │        ┌───── pieces[2]            breaks  x₀ < x₁ < ...        where the line changes
        │      ╱                             pieces  one line between two breaks, slope·x + offset
        │    ╱ pieces[1]                     points  the value at each break itself (a step may be
        └──┴─┴─────────▶ x                           closed on either side, or on neither)
           x₀  x₁
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from onnx2snn.activations.distinct_places import Mask
from onnx2snn.activations.rationals import NotPiecewiseLinearError, Rationals, ratio, rationals, where


class ChannelsDifferError(Exception):
    """Channels need different cases (one clips where another does not)."""

    def __init__(self, text: str = "channels differ in the order of their breakpoints") -> None:
        super().__init__(text)


def again(error: Exception) -> Exception:
    """The same error, raised nowhere yet: what is kept must not hold the graph that it arose in."""
    return type(error)(*error.args)


def decide(condition: Mask) -> bool:
    """The one answer of all channels.

    Raises:
        ChannelsDifferError: they do not agree.
    """
    if condition.all():
        return True
    if not condition.any():
        return False
    raise ChannelsDifferError


ZERO, ONE = ratio(0), ratio(1)


@dataclass(frozen=True, eq=False)
class Line:
    """slope·x + offset, each a rational per channel."""

    slope: Rationals
    offset: Rationals

    def at(self, x: Rationals) -> Rationals:
        """The value at ``x``."""
        return self.slope * x + self.offset

    @property
    def is_flat(self) -> bool:
        """Whether the slope is zero, on all channels alike."""
        return decide(self.slope == 0)

    def same(self, other: Line) -> bool:
        """Exact equality, on every channel."""
        return (self.slope == other.slope).all() and (self.offset == other.offset).all()


def flat(value: Rationals) -> Line:
    """The constant line."""
    return Line(ZERO, value)


@dataclass(frozen=True, eq=False)
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
        if self.breaks or (self.pieces[0].slope != 0).any():
            return None
        return self.pieces[0].offset

    @property
    def is_affine(self) -> bool:
        """Whether it is one line."""
        return not self.breaks

    @property
    def is_step(self) -> bool:
        """Piecewise constant with at least one break."""
        return bool(self.breaks) and all((p.slope == 0).all() for p in self.pieces)

    def simplified(self) -> Curve:
        """Without breaks at which nothing happens."""
        breaks, pieces, points = [], [self.pieces[0]], []
        for x, point, piece in zip(self.breaks, self.points, self.pieces[1:], strict=True):
            if piece.same(pieces[-1]) and (point == piece.at(x)).all():
                continue
            breaks.append(x)
            points.append(point)
            pieces.append(piece)
        return Curve(tuple(breaks), tuple(pieces), tuple(points))


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


def pointwise(on_lines: Callable[..., Line], on_points: Callable[..., Rationals], *curves: Curve) -> Curve:
    """Combine curves piece by piece and point by point."""
    curves = aligned(*curves)
    return Curve(
        curves[0].breaks,
        tuple(on_lines(*lines) for lines in zip(*(c.pieces for c in curves), strict=True)),
        tuple(on_points(*values) for values in zip(*(c.points for c in curves), strict=True)),
    ).simplified()


def add(f: Curve, g: Curve) -> Curve:
    """The sum."""
    return pointwise(lambda a, b: Line(a.slope + b.slope, a.offset + b.offset), lambda a, b: a + b, f, g)


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
        return Line(a.offset * b.slope, a.offset * b.offset)

    return pointwise(lines, lambda a, b: a * b, f, g)


def reciprocal(f: Curve) -> Curve:
    """One over a constant."""
    value = f.value
    if value is None:
        raise NotPiecewiseLinearError("it divides by the activation")
    if (value == 0).any():
        raise NotPiecewiseLinearError("it divides by zero")
    return Curve((), (flat(ONE / value),), ())


def select(condition: Curve, f: Curve, g: Curve) -> Curve:
    """``f`` where ``condition`` (0 or 1 everywhere) is 1, else ``g``; plateaus are chosen channel by channel."""

    def values(c: Rationals, a: Rationals, b: Rationals) -> Rationals:
        return where(c != 0, a, b)

    def lines(c: Line, a: Line, b: Line) -> Line:
        if (a.slope == 0).all() and (b.slope == 0).all():
            return flat(values(c.offset, a.offset, b.offset))
        return a if decide(c.offset != 0) else b

    return pointwise(lines, values, condition, f, g)


def positive(f: Curve, *, closed: bool) -> Curve:
    """1 where f > 0 (``closed``: f ≥ 0), else 0."""
    difference = split_at_zeros(f)

    def value(y: Rationals) -> Rationals:
        return where(y >= 0 if closed else y > 0, ONE, ZERO)

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
        return breaks[0] - 1
    if position == len(breaks):
        return breaks[-1] + 1
    return (breaks[position - 1] + breaks[position]) / 2


def split_at_zeros(f: Curve) -> Curve:
    """The same function, with a break wherever a line crosses zero."""
    zeros: list[Rationals] = []
    for position, line in enumerate(f.pieces):
        if line.is_flat:
            continue
        zero = -line.offset / line.slope
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
