"""The line of an 8-bit kernel: one rounding that passes every threshold of a layer between the same whole numbers as its neurons.

An 8-bit convolution of ONNX (QLinearConv) ends in

    a = clip(round(float32(V + B) · m) + zero, 0, 255)          V: a sum of whole numbers, exact;  B: whole, by channel

with ties to even. Neurons that read one potential p = unit·V + own have thresholds T. Where all T lie on a grid, T = T_0 + n·d
with whole n, as those of a quantiser do, and where B is whole, byte a says which thresholds are reached:

    p ≥ T_0 + n·d    ⇔    a ≥ zero + n + r          B = (own − T_0 + (r − ½)·d) / unit,    m = unit / d

``r`` is a whole number that all channels share. It is looked for: the bias of a neuron holds the zero point of its quantiser,
rounded to float32, which leaves B whole but for that rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx2snn.compile.byte_multipliers import ByteOffset, ByteThresholds, fitted
from onnx2snn.operators.signals import UNIT

Array = NDArray[np.float64]

#: Bytes.
HIGHEST = 255
#: Roundings of float32 that potentials and thresholds have gone through: nearer to a threshold, float32 itself decides.
_ROUNDINGS = 6
#: Those of a threshold and a bias alone: nearer to one, a level is explained by them. A sum of n products is √n roundings off.
_DECIDED = 6
#: A line that says less than this of the place of a whole number says nothing.
_VAGUE = 1.0
#: Numbers of so many bits are not the rounded ones of others, where those of all channels are such; of one channel, fewer.
_SPARE, _FEW = 21, 16
#: Parts into which the smallest difference of thresholds is divided in search of a grid.
_PARTS = 8


@dataclass(frozen=True)
class ByteLine:
    """See the module.

    Attributes:
        multiplier: m by channel, (C,) float32.
        bias: B by channel, (C,) int32.
        zero: What is added behind the rounding.
        reached: By neuron, the byte from which on each of its thresholds is reached.
        exact: Whether each threshold is passed where float32 passes it; else some are passed one whole number apart, where
            the potential is so near that float32's own rounding decides.
    """

    multiplier: NDArray[np.float32]
    bias: NDArray[np.int32]
    zero: int
    reached: tuple[NDArray[np.int64], ...]
    exact: bool


def line_of(
    thresholds: Sequence[Array], own: Array, unit: Array, *, whole: bool, terms: int = 1, free: bool = True
) -> ByteLine | None:
    """The line of neurons that read one potential, if there is one.

    Args:
        thresholds: By neuron, finite and rising: (J,), or (C, J) of a neuron whose channels have their own.
        own: What is added to the sums, (C,), float32 values.
        unit: What a whole number is of the potential, (C,).
        whole: Potentials are whole numbers plus ``own``, in float32 too.
        terms: How many products a sum has.
        free: B may be any whole number; else it is 0.
    """
    grid = grid_of(thresholds)
    if grid is None:
        return None
    first, step, places = grid
    distinct, at = np.unique(np.concatenate(places), return_index=True)
    channels = max([len(t) for t in thresholds if t.ndim == 2], default=1)
    table = np.concatenate([np.broadcast_to(t, (channels, t.shape[-1])) for t in thresholds], axis=1).T[at]
    top = int(distinct[-1])
    if top >= HIGHEST:
        return None
    largest = np.maximum(np.abs(own), np.maximum(np.abs(first), np.abs(first + top * step)))
    numbers = own[:, None], table.T, unit[:, None]
    exact = are_short(*numbers)
    exact = exact if exact.all() else are_short(*numbers, bits=_FEW)
    near = _ROUNDINGS * UNIT * largest / unit
    if np.any(near > _VAGUE):
        return None
    roundings = max(_DECIDED, math.sqrt(terms)) * ~exact
    tolerance = roundings * UNIT * np.maximum(np.abs(own), np.abs(table)) / unit
    least, real = np.ceil((table - own) / unit), (table - own) / unit
    if whole:
        least = _reached_in_float32(least, table, own)
    asked = ByteThresholds(distinct[:, None], least, real)
    slope = unit / step
    offset = _shared_offset((own - first) / unit, step / unit, near, top, free=free)
    found = fitted(offset, slope, asked, tolerance)
    if whole and (found is None or not found.exact):
        middle = -np.rint(least[0] - step / (2 * unit))
        tried = np.stack([np.rint(own / unit), middle, middle - 1, middle + 1])
        found = fitted(ByteOffset(1, tried), slope, asked, 0 * tolerance) or found
    if found is None:
        return None
    zero = min(max(1 - found.r, 0), HIGHEST - found.r - top)
    reached = tuple(n + found.r + zero for n in places)
    return ByteLine(found.multiplier, found.bias.astype(np.int32), zero, reached, exact=whole and found.exact)


def grid_of(thresholds: Sequence[Array]) -> tuple[Array, Array, list[NDArray[np.int64]]] | None:
    """(T_0, d, n by neuron): T_0 and d of one number, or by channel."""
    if any(t.shape[-1] == 0 for t in thresholds):
        return None
    if any(t.ndim == 2 for t in thresholds):
        return _grid_by_channel(thresholds)
    every = np.unique(np.concatenate(thresholds))
    for total in _totals(every, 4 * _ROUNDINGS * UNIT * np.abs(every).max()):
        step = np.atleast_1d((every[-1] - every[0]) / total if total else 1.0)
        places = [np.rint((t - every[0]) / step).astype(np.int64) for t in thresholds]
        if all(_are_on(t[None], every[:1], step, n) for t, n in zip(thresholds, places, strict=True)):
            return every[:1], step, places
    return None


def _grid_by_channel(thresholds: Sequence[Array]) -> tuple[Array, Array, list[NDArray[np.int64]]] | None:
    """Of channels whose thresholds differ by scale and place."""
    channels = max(len(t) for t in thresholds if t.ndim == 2)
    every = np.concatenate([np.broadcast_to(t, (channels, t.shape[-1])) for t in thresholds], axis=1)
    order = np.argsort(every[0], kind="stable")
    table = every[:, order]
    span, largest = table[:, -1] - table[:, 0], np.abs(table).max(axis=1)
    if np.all(span == 0):
        return table[:, 0], np.ones(channels), [np.zeros(t.shape[-1], np.int64) for t in thresholds]
    if np.any(span <= 0):
        return None
    sharpest = int(np.argmin(largest / span))
    shape = (table[sharpest] - table[sharpest, 0]) / span[sharpest]
    for total in _totals(shape, 8 * _ROUNDINGS * UNIT * (largest / span)[sharpest]):
        n = np.rint(shape * total).astype(np.int64)
        if _are_on(table, table[:, 0], span / total, n):
            places = n[np.argsort(order, kind="stable")]
            return (
                table[:, 0],
                span / total,
                np.split(places, np.cumsum([t.shape[-1] for t in thresholds])[:-1]),
            )
    return None


def _totals(values: Array, near: float) -> list[int]:
    """In how many steps rising ``values`` may be: the smallest difference is a step, or some of them."""
    apart = np.diff(values)
    real = apart[apart > near]
    if not real.size:
        return [0]
    totals = [int(np.rint((values[-1] - values[0]) / (real.min() / part))) for part in range(1, _PARTS + 1)]
    return [total for total in totals if total < HIGHEST]


def _are_on(table: Array, first: Array, step: Array, n: NDArray[np.int64]) -> bool:
    """Whether thresholds (C, J) are first + n·step, but for roundings."""
    there = first[:, None] + n * step[:, None]
    return bool(
        np.all(step > 0)
        and np.all(np.abs(there - table) <= _ROUNDINGS * UNIT * np.abs(table).max(axis=1, keepdims=True))
    )


def _shared_offset(start: Array, step: Array, near: Array, top: int, *, free: bool) -> ByteOffset | None:
    """The r for which every channel's B is nearest to whole, or to 0; 1, which needs no zero, before others as near."""
    r = np.concatenate([[1], np.delete(np.arange(-HIGHEST + 1, HIGHEST - top + 1), HIGHEST)])
    exact = start + (r[:, None] - 0.5) * step
    whole = np.rint(exact) * free
    off = (np.abs(exact - whole) / near).max(axis=1)
    best = 0 if off[0] <= 1 else int(np.argmin(off))
    if off[best] > 1 or np.abs(whole[best]).max() >= 2**31:
        return None
    return ByteOffset(int(r[best]), whole[best][None])


def are_short(*values: Array, bits: int = _SPARE) -> NDArray[np.bool_]:
    """By row, whether all numbers are multiples of one power of two, with bits to spare in float32: none of them was rounded.

    A threshold that is open is the number above a short one; that is let pass.
    """
    shape = np.broadcast_shapes(*((len(v), 1) for v in values))
    lowest, largest = np.full(shape, np.inf), np.zeros(shape)
    for each in values:
        mantissa, exponent = np.frexp(each.astype(np.float64))
        whole = np.rint(np.ldexp(mantissa, bits + 1)).astype(np.int64)
        ends = np.where(whole == 0, np.inf, exponent - bits - 1 + np.log2(np.maximum(whole & -whole, 1)))
        lowest = np.minimum(lowest, ends.min(axis=1, keepdims=True))
        largest = np.maximum(largest, np.abs(each).max(axis=1, keepdims=True))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log2(largest) - lowest <= bits)[:, 0]


def _reached_in_float32(least: Array, thresholds: Array, own: Array) -> Array:
    """The smallest whole numbers that reach float32 thresholds, ``own`` added in float32."""
    threshold, bias = thresholds.astype(np.float32), own.astype(np.float32)
    found = least + 1
    for v in (least, least - 1):
        found = np.where(v.astype(np.float32) + bias >= threshold, v, found)
    return found
