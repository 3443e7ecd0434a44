"""Multipliers of an 8-bit kernel: by channel, the float32 number that passes thresholds between the same whole numbers."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Units in the last place by which a multiplier is moved to meet all thresholds.
_ULPS = tuple(sorted(range(-12, 13), key=abs))
#: How far that moves a product, of its size, rounded.
_MOVED = 2.0**-18
#: So far it moves to meet all; farther, it only has to be near enough to each.
_CLOSE = 4


class ByteThresholds(NamedTuple):
    """Thresholds in whole numbers: n of each, (J, 1); the smallest that reaches it, and where it lies, (J, C)."""

    places: NDArray[np.int64]
    least: Array
    real: Array


class ByteOffset(NamedTuple):
    """R, and some B, a row each."""

    r: int
    biases: Array


class ByteFit(NamedTuple):
    """A line by channel."""

    r: int
    bias: Array
    multiplier: NDArray[np.float32]
    exact: bool


def fitted(
    offset: ByteOffset | None, slope: Array, asked: ByteThresholds, tolerance: Array
) -> ByteFit | None:
    """The multiplier by channel that passes the most thresholds where neurons do; None where one is passed too far from there.

    Args:
        offset: Which r and B.
        slope: unit / d, by channel.
        asked: The thresholds.
        tolerance: How far from a threshold a whole number has to be to be on a side of it, (J, C).
    """
    if offset is None:
        return None
    wanted = asked.places + offset.r
    shape = np.broadcast_shapes(slope.shape, offset.biases[0].shape, asked.least.shape[1:])
    first = np.broadcast_to(slope.astype(np.float32), shape)
    all_of = partial(np.broadcast_to, shape=(len(asked.least), *shape))
    chosen, missed, bias = np.zeros(shape, np.float32), np.full(shape, np.inf), np.zeros(shape)
    for b in offset.biases:
        here = np.broadcast_to(b, shape)
        apart = all_of(asked.real) - asked.least
        near, hopeless = _near(
            all_of(asked.least) + here,
            first,
            wanted,
            np.abs(apart) >= tolerance,
            np.abs(apart + 1) >= tolerance,
        )
        held = [all_of(asked.least)[near] + here[near[1]], apart[near], all_of(tolerance)[near]]
        for ulps in _ULPS:
            wanting = np.isinf(missed) if abs(ulps) > _CLOSE else missed > 0
            wanting &= ~hopeless
            if not wanting.any():
                continue
            among = wanting[near[1]]
            at, n = near[1][among], wanted[near[0][among], 0]
            sums, off, far = (values[among] for values in held)
            m = first + np.float32(ulps) * np.spacing(first)
            late, early = _bytes(sums, m[at]).min(axis=0) < n, _bytes(sums - 1, m[at]).max(axis=0) >= n
            lost = late & (np.abs(off) >= far) | early & (np.abs(off + 1) >= far)
            wrong = np.bincount(at, late | early, minlength=shape[0]).astype(np.float64)
            wrong[at[lost]] = np.inf
            # the first that is near enough is nearest to the kernel of exact arithmetic
            c = np.flatnonzero(wanting & np.where(np.isinf(missed), np.isfinite(wrong), wrong == 0))
            chosen[c], bias[c], missed[c] = m[c], here[c], wrong[c]
    if np.isinf(missed).any():
        return None
    return ByteFit(offset.r, bias, chosen, not missed.any())


def _near(
    sums: Array,
    m: NDArray[np.float32],
    wanted: NDArray[np.int64],
    never_late: NDArray[np.bool_],
    never_early: NDArray[np.bool_],
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], NDArray[np.bool_]]:
    """(thresholds, channels) that some multiplier near ``m`` passes elsewhere; channels of which each passes one too far off."""
    over = sums * m.astype(np.float64) - (wanted - 0.5)
    most = _MOVED * (np.abs(wanted) + 1)
    lost = (over < -most) & never_late | (over >= m + most) & never_early
    hopeless: NDArray[np.bool_] = np.any(lost, axis=0)
    thresholds, channels = np.nonzero(((over <= most) | (over >= m - most)) & ~hopeless)
    return (thresholds, channels), hopeless


def _bytes(sums: Array, m: NDArray[np.float32]) -> Array:
    """What the kernel rounds to: its product is rounded, or not where what follows is fused with it; both."""
    held = sums.astype(np.float32)
    return np.stack([np.rint(held * m), np.rint(held.astype(np.float64) * m)])
