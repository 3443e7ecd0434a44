"""Places of an array, and which of them hold the same: what is told of each kind of place is held once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bools: TypeAlias = NDArray[np.bool_]


class Places:
    """Which of ``count`` distinct numbers stands at each place of an array.

    Args:
        shape: Of the array.
        inverse: For each of its places, in order, the position of its number; every position occurs.
        count: How many there are.
    """

    __slots__ = ("count", "inverse", "shape")

    def __init__(self, shape: tuple[int, ...], inverse: NDArray[np.intp], count: int) -> None:
        self.shape, self.inverse, self.count = shape, inverse, count

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Distinct ``values`` at their places."""
        return np.broadcast_to(values, (self.count,))[self.inverse].reshape(self.shape)


@functools.lru_cache(maxsize=256)
def one_place(shape: tuple[int, ...]) -> Places:
    """The same number everywhere."""
    return Places(shape, np.zeros(int(np.prod(shape)), np.intp), 1)


Taken: TypeAlias = "NDArray[np.intp] | None"


def joined(one: Places, other: Places) -> tuple[Places, Taken, Taken]:
    """Places that tell apart what either does, and the position in each of every number there (None: as it is)."""
    if one is other or (other.count == 1 and _holds(one.shape, other.shape)):
        return one, None, None
    if one.count == 1 and _holds(other.shape, one.shape):
        return other, None, None
    return _told_apart(one, other)


def together(one: Places, other: Places) -> Places:
    """Places that tell apart what either does."""
    return joined(one, other)[0]


def _holds(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return not other or np.broadcast_shapes(shape, other) == shape


@functools.lru_cache(maxsize=64)
def _told_apart(one: Places, other: Places) -> tuple[Places, Taken, Taken]:
    shape = np.broadcast_shapes(one.shape, other.shape)
    whole = [np.broadcast_to(p.inverse.reshape(p.shape), shape).ravel() for p in (one, other)]
    pairs, inverse = np.unique(whole[0] * other.count + whole[1], return_inverse=True)
    first, second = np.divmod(pairs, other.count)
    if len(pairs) == one.count and shape == one.shape:
        return one, None, second
    if len(pairs) == other.count and shape == other.shape:
        return other, first[np.argsort(second)], None
    places = one_place(shape) if len(pairs) == 1 else Places(shape, inverse.reshape(-1), len(pairs))
    return places, first, second


def taken(values: NDArray[Any], at: Taken) -> NDArray[Any]:
    """What stands at positions that :func:`joined` told."""
    return values if at is None or len(values) == 1 else values[at]


@dataclass(frozen=True, eq=False, slots=True)
class Mask:
    """True or false at each place."""

    values: Bools
    places: Places

    def all(self) -> bool:
        """Whether it is true everywhere."""
        return bool(self.values.all())

    def any(self) -> bool:
        """Whether it is true somewhere."""
        return bool(self.values.any())

    def __and__(self, other: Mask) -> Mask:
        places, mine, theirs = joined(self.places, other.places)
        return Mask(taken(self.values, mine) & taken(other.values, theirs), places)

    def __invert__(self) -> Mask:
        return Mask(~self.values, self.places)
