"""The level of a neuron behind whole-number weights, where no rounding operator meets all its thresholds.

In eight bits thresholds (k − 1/2)·θ come as near to whole numbers as float32 rounds a product. A product tells the level up to
one, though, and what it leaves of the potential decides:

    k ← floor(clip(v / θ + offset, 0, K − 1));   d ← v − k·θ;   level = k + [d ≥ next]

θ is the sum of two float32 numbers, the first so short that k times it is exact; then so is the difference, and what k times the
second adds is rounded far less than a potential, a whole number, can be from a threshold. All of it rises with v, so that
levels are equal everywhere if they are at both sides of each threshold: this is computed by channel before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from onnx2snn.compile.draft import Array, Place
from onnx2snn.compile.integers import by_channels, first_integers
from onnx2snn.compile.thresholds import Thresholds

_EXACT = 2**24
#: Bits of a float32.
_BITS = 24
_SEARCHED = 48
#: The product tells a level up to one wherever thresholds are farther than this, in units of θ, from whole numbers.
_NEAREST = 0.25


@dataclass(frozen=True)
class CorrectedRounding:
    """See the module; arrays broadcast to a sample.

    Attributes:
        levels: K.
        multiplier: About 1/θ.
        offset: What brings thresholds about half of θ above whole numbers; 0 where levels are the nearest ones.
        long: The first part of θ.
        rest: The second.
        next: What is left of the lowest potential of the next level.
    """

    levels: int
    multiplier: NDArray[np.float32]
    offset: NDArray[np.float32]
    long: NDArray[np.float32]
    rest: NDArray[np.float32]
    next: NDArray[np.float32]

    def write(self, at: Place, v: str, output: str) -> None:
        """The level of ``v``."""
        near = at.add("Mul", [v, at.constant(self.multiplier)])
        if np.any(self.offset):
            near = at.add("Add", [near, at.constant(self.offset)])
        k = at.add("Floor", [at.add("Clip", [near, at.constant(0), at.constant(self.levels - 1)])])
        left = at.add("Sub", [v, at.add("Mul", [k, at.constant(self.long)])])
        left = at.add("Sub", [left, at.add("Mul", [k, at.constant(self.rest)])])
        reached = at.add("GreaterOrEqual", [left, at.constant(self.next)])
        at.add("Add", [k, at.add("Cast", [reached], to=TensorProto.FLOAT)], output=output)

    def found(self, v: Array) -> Array:
        """Levels of ``v`` (..., C) as they are written, in float32: (2, ..., C), products and sums rounded apart, and fused."""
        near = v * self.multiplier + self.offset
        k = np.floor(np.clip(near, np.float32(0), np.float32(self.levels - 1)))
        left = v - k * self.long
        apart = left - k * self.rest
        fused = (left.astype(np.float64) - k.astype(np.float64) * self.rest).astype(np.float32)
        return np.stack([k + (one >= self.next) for one in (apart, fused)])


def corrected_rounding(neuron: Thresholds, bias: Array, shape: Sequence[int]) -> CorrectedRounding | None:
    """What gives the neuron's level for every potential that is a whole number plus ``bias``; None: nothing that is known.

    Args:
        neuron: As of :func:`onnx2snn.compile.integers.whole_rounding`.
        bias: Likewise.
        shape: Likewise.
    """
    held = by_channels(neuron, bias, shape)
    if held is None or held[1] < 2:
        return None
    fraction, levels = held
    theta = np.broadcast_to(neuron.subtract[-1].reshape(-1), shape[0]).astype(np.float64)
    first = first_integers(neuron, theta, levels, fraction)
    if first is None or np.abs(first).max() >= _EXACT or np.any(theta <= 2):
        return None
    lowest, below = (whole.astype(np.float32) + fraction for whole in (first, first - 1))
    slope, shift = _middle_line(lowest.astype(np.float64), below.astype(np.float64), theta)
    made = _of_line(slope, shift, levels)
    steps = np.arange(1, len(first) + 1)[:, None]
    if np.any(made.found(lowest) != steps) or np.any(made.found(below) != steps - 1):
        return None
    column = (-1,) + (1,) * (len(shape) - 1)
    parts = (made.multiplier, made.offset, made.long, made.rest, made.next)
    return CorrectedRounding(made.levels, *(part.reshape(column) for part in parts))


def _middle_line(
    lowest: NDArray[np.float64], below: NDArray[np.float64], theta: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By channel, θ and s so that s + (k − 1/2)·θ lies in the middle between the ``lowest`` (K, C) of level k, and ``below``.

    How far it can be from both ends is concave in θ: a ternary search finds what keeps farthest.
    """
    middles = np.arange(1, len(lowest) + 1)[:, None] - 0.5

    def ends(slope: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return (below - slope * middles).max(axis=0), (lowest - slope * middles).min(axis=0)

    low, high = theta - 1 / len(lowest), theta + 1 / len(lowest)
    for _ in range(_SEARCHED):
        one, other = low + (high - low) / 3, high - (high - low) / 3
        wider = np.subtract(*ends(one)) < np.subtract(*ends(other))
        low, high = np.where(wider, low, one), np.where(wider, other, high)
    slope = (low + high) / 2
    return slope, np.add(*ends(slope)) / 2


def _of_line(slope: NDArray[np.float64], shift: NDArray[np.float64], levels: int) -> CorrectedRounding:
    """Levels that begin at shift + (k − 1/2)·slope."""
    mantissa, exponent = np.frexp(slope)
    bits = _BITS - int(levels).bit_length()
    long = np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits).astype(np.float32)
    away = -shift / slope
    parts = (1 / slope, np.where(np.abs(away) < _NEAREST, 0, away), long, slope - long, shift + slope / 2)
    return CorrectedRounding(levels, *(part.astype(np.float32) for part in parts))
