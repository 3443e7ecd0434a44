"""Exact rationals, one for each place of a tensor, each distinct one held once: whole numbers in arrays over whole numbers.

Parameters of a layer are few numbers at many places (a scale for each of 256 codes at 50,000 places of a bias). A
:class:`Rationals` holds the distinct ones and which of them stands where; sums, products and comparisons work on those alone.
Numerators are integers of any size, for products of three float32 numbers are beyond int64; the denominator is one for
all of them, until a division gives each its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from onnx2snn.activations.distinct_places import Bools, Mask, Places, joined, one_place, taken

#: Whole numbers of any size.
Integers: TypeAlias = NDArray[Any]

#: Fractions whose denominator has more bits are reduced.
_LONG = 128


class NotPiecewiseLinearError(Exception):
    """The result is no piecewise linear function; the message says why, in the user's terms."""


class Rationals:
    """See the module. Operators take whole numbers as well.

    >>> third = rationals([1.0, 2.0, 1.0]) / 3
    >>> (third + third).floats().tolist(), (third * 3 == rationals([1, 2, 1])).all(), third.shape
    ([0.6666666666666666, 1.3333333333333333, 0.6666666666666666], True, (3,))

    Args:
        top: Numerators (U,) of the distinct numbers.
        bottom: Their denominators (U,), or that of all (1,); positive.
        places: Where they stand.
    """

    __slots__ = ("bottom", "places", "top")
    __hash__ = None  # type: ignore[assignment]  # equality is told place by place
    __array_ufunc__ = None

    def __init__(self, top: Integers, bottom: Integers, places: Places) -> None:
        if int(bottom[0]).bit_length() > _LONG:
            divisor = np.gcd(top, bottom) if len(bottom) > 1 else np.gcd(np.gcd.reduce(top), bottom)
            top, bottom = top // divisor, bottom // divisor
        self.top, self.bottom, self.places = top, bottom, places

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.places.shape

    @property
    def ndim(self) -> int:
        """Axes of the array."""
        return len(self.places.shape)

    def reshape(self, shape: tuple[int, ...]) -> Rationals:
        """The same numbers in another shape."""
        if shape == self.places.shape:
            return self
        places = (
            one_place(shape)
            if self.places.count == 1
            else Places(shape, self.places.inverse, self.places.count)
        )
        return Rationals(self.top, self.bottom, places)

    def _with(self, other: Rationals | int) -> tuple[Places, Integers, Integers, Integers, Integers]:
        """Common places; numerators of both, and denominators."""
        if not isinstance(other, Rationals):
            return self.places, self.top, _whole(other), self.bottom, _UNIT
        if self.places is other.places:
            return self.places, self.top, other.top, self.bottom, other.bottom
        places, mine, theirs = joined(self.places, other.places)
        return (
            places,
            taken(self.top, mine),
            taken(other.top, theirs),
            taken(self.bottom, mine),
            taken(other.bottom, theirs),
        )

    def __add__(self, other: Rationals | int) -> Rationals:
        places, a, b, p, q = self._with(other)
        if p is q or (len(p) == len(q) == 1 and p[0] == q[0]):
            return Rationals(a + b, p, places)
        return Rationals(a * q + b * p, p * q, places)

    def __sub__(self, other: Rationals | int) -> Rationals:
        return self + -other

    def __neg__(self) -> Rationals:
        return Rationals(-self.top, self.bottom, self.places)

    def __abs__(self) -> Rationals:
        return Rationals(abs(self.top), self.bottom, self.places)

    def __mul__(self, other: Rationals | int) -> Rationals:
        places, a, b, p, q = self._with(other)
        return Rationals(a * b, p * q, places)

    def __truediv__(self, other: Rationals | int) -> Rationals:
        places, a, b, p, q = self._with(other)
        signs = np.where(b < 0, -1, 1).astype(object)
        return Rationals(a * q * signs, p * b * signs, places)

    def _told(self, other: Rationals | int, comparison: Callable[[Any, Any], Any]) -> Mask:
        places, a, b, p, q = self._with(other)
        same = p is q or (len(p) == len(q) == 1 and p[0] == q[0])
        found = comparison(a, b) if same else comparison(a * q, b * p)
        return Mask(np.broadcast_to(np.asarray(found, bool), (places.count,)), places)

    def __eq__(self, other: Rationals | int) -> Mask:  # type: ignore[override]
        return self._told(other, np.equal)

    def __ne__(self, other: Rationals | int) -> Mask:  # type: ignore[override]
        return self._told(other, np.not_equal)

    def __lt__(self, other: Rationals | int) -> Mask:
        return self._told(other, np.less)

    def __le__(self, other: Rationals | int) -> Mask:
        return self._told(other, np.less_equal)

    def __gt__(self, other: Rationals | int) -> Mask:
        return self._told(other, np.greater)

    def __ge__(self, other: Rationals | int) -> Mask:
        return self._told(other, np.greater_equal)

    def rounded(self, rule: str) -> Rationals:
        """To whole numbers: by ``floor``, ``ceil``, ``trunc`` or ``half_even``."""
        below = self.top // self.bottom
        rest = self.top - below * self.bottom
        up: Any = np.zeros(len(below), bool)
        if rule == "half_even":
            up = (2 * rest > self.bottom) | ((2 * rest == self.bottom) & (below % 2 == 1))
        elif rule != "floor":
            up = (rest > 0) & ((rule == "ceil") | (self.top < 0))
        return Rationals(below + up.astype(int).astype(object), _UNIT, self.places)

    @property
    def is_whole(self) -> bool:
        """Whether all are whole numbers."""
        return not np.any(self.top % self.bottom)

    def odd(self) -> Bools:
        """Which of whole numbers are odd, at their places."""
        return self.places.spread(np.asarray(self.rounded("floor").top % 2 == 1, bool))

    def floats(self) -> NDArray[np.float64]:
        """The float64 numbers next to them, at their places."""
        return self.places.spread((self.top / self.bottom).astype(np.float64))

    def integers(self) -> NDArray[np.int64]:
        """Whole numbers, at their places."""
        return self.places.spread(self.rounded("floor").top.astype(np.int64))


def _whole(number: int) -> Integers:
    return np.array([number], dtype=object)


_UNIT = _whole(1)


def ratio(top: int, bottom: int = 1) -> Rationals:
    """One number, of shape ()."""
    return Rationals(_whole(top), _whole(bottom), one_place(()))


def rationals(values: ArrayLike) -> Rationals:
    """The exact value of each number: every float is a rational.

    Raises:
        NotPiecewiseLinearError: a value is infinite or not a number.
    """
    array = np.asarray(values)
    array = array.astype(
        np.int64 if array.dtype.kind == "b" else array.dtype if array.dtype.kind in "iu" else np.float64
    )
    if not array.size or not np.all(np.isfinite(array)):
        raise NotPiecewiseLinearError("a constant is infinite or not a number")
    if array.size == 1:
        distinct, places = array.reshape(1), one_place(array.shape)
    else:
        distinct, inverse = np.unique(array, return_inverse=True)
        places = Places(array.shape, inverse.reshape(-1), len(distinct))
    ratios = [number.as_integer_ratio() for number in distinct.tolist()]
    bottom = max(q for _, q in ratios)  # powers of two
    return Rationals(np.array([p * (bottom // q) for p, q in ratios], dtype=object), _whole(bottom), places)


def where(mask: Mask, one: Rationals, other: Rationals) -> Rationals:
    """``one`` where ``mask`` is true, else ``other``."""
    whole = np.broadcast_shapes(mask.places.shape, one.shape, other.shape)
    for alone, always in ((one, mask.all()), (other, not mask.any())):
        if always and alone.shape == whole:
            return alone
    places, first, second = joined(mask.places, one.places)
    common, both, third = joined(places, other.places)
    chosen = taken(taken(np.broadcast_to(mask.values, (mask.places.count,)), first), both)
    parts = []
    for a, b in zip((one.top, one.bottom), (other.top, other.bottom), strict=True):
        parts.append(np.where(chosen, taken(taken(a, second), both), taken(b, third)))
    top, bottom = (np.broadcast_to(part, (common.count,)) for part in parts)
    return Rationals(top, bottom, common)


def larger(one: Rationals, other: Rationals) -> Rationals:
    """The larger of both, place by place."""
    return where(one >= other, one, other)


def smaller(one: Rationals, other: Rationals) -> Rationals:
    """The smaller of both, place by place."""
    return where(one <= other, one, other)


def measure(one: Rationals, other: Rationals) -> Rationals:
    """The largest number of which both are multiples, place by place; 0 of zeros."""
    places, a, b, p, q = one._with(other)  # noqa: SLF001 - of the same class
    return Rationals(np.gcd(a * q, b * p), p * q, places)


def moved(
    parts: Sequence[Rationals], function: Callable[[list[NDArray[Any]]], NDArray[Any] | None]
) -> Rationals | None:
    """What ``function`` makes of arrays that it copies entries of: it is given numbers' positions, the same for the same."""
    numbers: dict[tuple[int, int], int] = {}
    arrays = []
    for part in parts:
        divisor = np.gcd(part.top, part.bottom)
        pairs = zip((part.top // divisor).tolist(), (part.bottom // divisor).tolist(), strict=True)
        arrays.append(
            part.places.spread(np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs]))
        )
    result = function(arrays)
    if result is None:
        return None
    kinds, inverse = np.unique(result, return_inverse=True)
    held = list(numbers)
    top, bottom = (np.array([held[kind][i] for kind in kinds.tolist()], dtype=object) for i in range(2))
    places = (
        one_place(result.shape) if len(kinds) == 1 else Places(result.shape, inverse.reshape(-1), len(kinds))
    )
    return Rationals(top, bottom, places)


def reduced(
    function: Callable[[Rationals, Rationals], Rationals], numbers: Rationals, axes: Iterable[int]
) -> Rationals:
    """All numbers along ``axes`` in one, by a function of two that may meet a number twice; their sizes become 1."""
    for axis in axes:
        while (size := numbers.shape[axis]) > 1:
            halves = (_part(numbers, axis, first, (size + 1) // 2) for first in (0, size // 2))
            numbers = functools.reduce(function, halves)
    return numbers


def _part(numbers: Rationals, axis: int, first: int, count: int) -> Rationals:
    return (
        moved([numbers], lambda arrays: np.take(arrays[0], range(first, first + count), axis=axis)) or numbers
    )
