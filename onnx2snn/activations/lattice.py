"""Lattices: equally distant numbers, which sums, maxima and scales of levels are.

    { low + n·unit :  n = 0 ... (high − low)/unit }

Two scales of 0.25 and 0.75 have the common measure 0.25; 0.1 and π/30 have none to speak of: as fractions of float32 they
have one, with billions of values. Rationals are exact, but for one thing: numbers that differ from a simple ratio by no more
than float32's own rounding have that ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from onnx2snn.activations import rationals as exact
from onnx2snn.activations.jumps import same_float
from onnx2snn.activations.piecewise_linear import ONE, ZERO
from onnx2snn.activations.rationals import Rationals, rationals, reduced, where
from onnx2snn.activations.reduction import MAX_LEVELS

#: Scales are compared in fractions up to this denominator.
MAX_RATIO = 64


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
        there = self.unit != 0
        return where(there, (self.high - self.low) / where(there, self.unit, ONE), ZERO)

    def map(self, function: Callable[[Rationals], Rationals]) -> Lattice:
        """``function`` of each array."""
        return Lattice(function(self.low), function(self.high), function(self.unit))


def _measure(a: Rationals, b: Rationals) -> Rationals:
    """The largest number of which both are multiples; 0 of zeros.

    Where that is too small to count by, and float32 cannot tell ``a`` from p/q of ``b``: b/q (0.3 and 0.1 in float32).
    """
    whole = exact.measure(a, b)
    fine = (whole != 0) & (exact.larger(abs(a), abs(b)) > whole * MAX_LEVELS)
    if not fine.any():
        return whole
    ratio, divisor = abs(where(fine, a, ONE) / where(fine, b, ONE)), ZERO
    for q in range(1, MAX_RATIO + 1):
        near = (ratio * q).rounded("half_even") / q
        found = same_float(ratio, near) & (near != 0) & (divisor == 0)
        divisor = where(found, ONE * q, divisor)
    told = fine & (divisor != 0)
    return where(told, abs(b) / where(told, divisor, ONE), whole)


def _snapped(value: Rationals, unit: Rationals) -> Rationals:
    """The multiple of ``unit`` that float32 cannot tell from ``value``; ``value`` itself if there is none."""
    there = unit != 0
    near = (value / where(there, unit, ONE)).rounded("half_even") * unit
    return where(there & same_float(value, near), near, value)


def single(number: float) -> Lattice:
    """One float32 number."""
    return of_constants(rationals(np.float32(number)))


def of_constants(numbers: Rationals) -> Lattice:
    """Each of ``numbers`` alone."""
    return Lattice(numbers, numbers, numbers * 0)


def united(*parts: Lattice) -> Lattice:
    """The lattice that holds the values of all, place by place."""
    low, high, unit = parts[0].low, parts[0].high, parts[0].unit
    for part in parts[1:]:
        unit = _measure(_measure(unit, part.unit), low - part.low)
        low, high = exact.smaller(low, part.low), exact.larger(high, part.high)
    return Lattice(low, high, unit)


def gathered(lattice: Lattice, axes: Iterable[int] | None = None) -> Lattice:
    """One lattice for all places along ``axes`` (None: for all there are)."""
    nothing = (lattice.low + lattice.high + lattice.unit) * 0
    low, high, unit = lattice.low + nothing, lattice.high + nothing, lattice.unit + nothing
    along = range(low.ndim) if axes is None else list(axes)
    least, high = reduced(exact.smaller, low, along), reduced(exact.larger, high, along)
    unit, above = (reduced(_measure, part, along) for part in (unit, low - least))
    result = Lattice(least, high, _measure(unit, above))
    return result if axes is not None else result.map(lambda a: a.reshape(()))


def added(parts: Sequence[Lattice]) -> Lattice:
    """Of sums of a value of each, place by place; constants are taken for the multiples of the unit that they are near."""
    varied = [part for part in parts if (part.unit != 0).any()]
    if len(varied) == 1:
        unit = varied[0].unit
        parts = [*varied, *(of_constants(_snapped(p.low, unit)) for p in parts if p is not varied[0])]
    total = parts[0]
    for part in parts[1:]:
        total = Lattice(total.low + part.low, total.high + part.high, _measure(total.unit, part.unit))
    return total


def scaled(lattice: Lattice, factor: Rationals) -> Lattice:
    """Of the multiples by ``factor``, place by place."""
    one, other = lattice.low * factor, lattice.high * factor
    return Lattice(exact.smaller(one, other), exact.larger(one, other), lattice.unit * abs(factor))


def negated(lattice: Lattice) -> Lattice:
    """Of the negatives."""
    return scaled(lattice, -ONE)


def larger(one: Lattice, other: Lattice) -> Lattice:
    """The larger of both, place by place."""
    for a, b in ((one, other), (other, one)):
        if (a.low >= b.high).all():
            return a
    both = united(one, other)
    return Lattice(exact.larger(one.low, other.low), both.high, both.unit)


def smaller(one: Lattice, other: Lattice) -> Lattice:
    """The smaller of both, place by place."""
    return negated(larger(negated(one), negated(other)))
