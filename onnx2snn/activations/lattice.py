"""Lattices: equally distant numbers, which sums, maxima and scales of levels are.

    { low + n·unit :  n = 0 ... (high − low)/unit }

Two scales of 0.25 and 0.75 have the common measure 0.25; 0.1 and π/30 have none to speak of: as fractions of float32 they
have one, with billions of values. Rationals are exact, but for one thing: numbers that differ from a simple ratio by no more
than float32's own rounding have that ratio.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnx2snn.activations.reduction import MAX_LEVELS

#: Exact rationals, one per place: an object array of Fraction.
Rationals: TypeAlias = NDArray[Any]
#: Three roundings to float32, relative.
ROUNDINGS = Fraction(3, 2**24)

#: Scales are compared in fractions up to this denominator.
MAX_RATIO = 64


def exact(value: Any) -> Rationals:
    """An array of rationals."""
    return np.asarray(value, dtype=object)


def fractions(values: ArrayLike) -> Rationals:
    """The exact value of each finite number."""
    array = np.asarray(values)
    held = np.empty(array.size, dtype=object)
    held[:] = [Fraction(value) for value in array.ravel().tolist()]
    return held.reshape(array.shape)


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
        return exact(_quotient(self.high - self.low, self.unit))

    def map(self, function: Callable[[Rationals], Rationals]) -> Lattice:
        """``function`` of each array."""
        return Lattice(function(self.low), function(self.high), function(self.unit))


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


def single(number: float) -> Lattice:
    """One float32 number."""
    value = fractions(np.float32(number))
    return Lattice(value, value, exact(Fraction(0)))


def united(*parts: Lattice) -> Lattice:
    """The lattice that holds the values of all, place by place."""
    low, high, unit = parts[0].low, parts[0].high, parts[0].unit
    for part in parts[1:]:
        unit = exact(_measure(exact(_measure(unit, part.unit)), exact(low - part.low)))
        low, high = exact(np.minimum(low, part.low)), exact(np.maximum(high, part.high))
    return Lattice(low, high, unit)


def gathered(lattice: Lattice, axes: Iterable[int] | None = None) -> Lattice:
    """One lattice for all places along ``axes`` (None: for all there are)."""
    low, high, unit = (np.array(a) for a in np.broadcast_arrays(lattice.low, lattice.high, lattice.unit))
    least = low
    for axis in range(low.ndim) if axes is None else axes:
        least = least.min(axis=axis, keepdims=True)
        high = high.max(axis=axis, keepdims=True)
        unit = _measure.reduce(unit, axis=axis, keepdims=True)
    above = exact(low - least)
    for axis in range(low.ndim) if axes is None else axes:
        above = _measure.reduce(above, axis=axis, keepdims=True)
    result = Lattice(exact(least), exact(high), exact(_measure(unit, above)))
    return result if axes is not None else result.map(lambda a: a.reshape(()))


def added(parts: Sequence[Lattice]) -> Lattice:
    """Of sums of a value of each, place by place; constants are taken for the multiples of the unit that they are near."""
    varied = [part for part in parts if np.any(part.unit != 0)]
    if len(varied) == 1:
        unit = varied[0].unit
        terms = [exact(_snapped(part.low, unit)) for part in parts if part is not varied[0]]
        parts = [*varied, *(Lattice(term, term, exact(term * 0)) for term in terms)]
    total = parts[0]
    for part in parts[1:]:
        measure = exact(_measure(total.unit, part.unit))
        total = Lattice(exact(total.low + part.low), exact(total.high + part.high), measure)
    return total


def scaled(lattice: Lattice, factor: Rationals) -> Lattice:
    """Of the multiples by ``factor``, place by place."""
    one, other = lattice.low * factor, lattice.high * factor
    return Lattice(
        exact(np.minimum(one, other)), exact(np.maximum(one, other)), exact(lattice.unit * abs(factor))
    )


def negated(lattice: Lattice) -> Lattice:
    """Of the negatives."""
    return scaled(lattice, exact(Fraction(-1)))


def larger(one: Lattice, other: Lattice) -> Lattice:
    """The larger of both, place by place."""
    for a, b in ((one, other), (other, one)):
        if np.all(a.low >= b.high):
            return a
    both = united(one, other)
    return Lattice(exact(np.maximum(one.low, other.low)), both.high, both.unit)


def smaller(one: Lattice, other: Lattice) -> Lattice:
    """The smaller of both, place by place."""
    return negated(larger(negated(one), negated(other)))
