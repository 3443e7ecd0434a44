"""What an IF node computes, read from its constants: a rounding operator where one does, comparisons otherwise.

With θ = 1 and the thresholds of a rounding rule, generation equals the rule for every float32 v (METHOD 5; each
subtraction v − 2^j happens with 2^j ≤ v < 2^(j+1) and is exact):

    floor      k = floor(clip(v, 0, pred(K + 1)))         pred: the float32 below
    half_even  k = round(clip(v, 0, K))
    ceil       k = ceil(clip(v, 0, K))
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.draft import Array, Draft, attributes

_INFINITY = np.float32(np.inf)


@dataclass(frozen=True)
class RoundingOperator:
    """A neuron that rounds: operator(clip((v − shift)·multiplier, 0, top)).

    Attributes:
        operator: ``Floor``, ``Round`` or ``Ceil``.
        top: What the potential is cut to before; one value, or one per channel.
        multiplier: None for 1.
        shift: None for 0.
    """

    operator: str
    top: Array
    multiplier: Array | None = None
    shift: Array | None = None


@dataclass(frozen=True)
class Thresholds:
    """The constants of an IF node (METHOD 3).

    Attributes:
        compare: (T, ...).
        subtract: (T, ...).
        ceiling: Broadcasts to one sample.
    """

    compare: Array
    subtract: Array
    ceiling: Array

    @property
    def rounding(self) -> RoundingOperator | None:
        """The rounding operator that gives the same level for every potential, if there is one."""
        timesteps = len(self.compare)
        powers = np.ldexp(np.float32(1), np.arange(timesteps - 1, -1, -1)).astype(np.float32)
        powers = powers.reshape((-1,) + (1,) * (self.subtract.ndim - 1))
        if timesteps > 22 or not np.array_equal(self.subtract, np.broadcast_to(powers, self.subtract.shape)):
            return None
        half, last = powers - np.float32(0.5), powers == 1
        floored = self.ceiling - np.float32(0.5)
        for operator, compare, highest, top in (
            ("Floor", powers, floored, np.nextafter(floored + 1, -_INFINITY)),
            ("Ceil", np.nextafter(powers - np.float32(1), _INFINITY), self.ceiling + np.float32(0.5), None),
            ("Round", np.where(last, np.nextafter(half, _INFINITY), half), self.ceiling, None),
        ):
            levels = np.array_equal(highest, np.floor(highest)) and np.all(highest < 2 * powers[0])
            if levels and np.array_equal(self.compare, np.broadcast_to(compare, self.compare.shape)):
                return RoundingOperator(operator, (highest if top is None else top).astype(np.float32))
        return None

    def levels(self, v: Array) -> NDArray[np.int64]:
        """The level of potentials ``v`` (..., C), by the node's own comparisons, in float32."""
        v = np.minimum(v.astype(np.float32), self.ceiling.reshape(-1))
        level = np.zeros(v.shape, np.int64)
        for compare, subtract in zip(self.compare, self.subtract, strict=True):
            fires = v >= compare.reshape(-1)
            v = v - fires * subtract.reshape(-1)
            level = 2 * level + fires
        return level

    @property
    def flat(self) -> Thresholds:
        """The same of each entry of a sample, side by side: as many of them as compare, subtract and ceiling have together."""
        shape = np.broadcast_shapes(self.compare.shape[1:], self.subtract.shape[1:], self.ceiling.shape)
        compare, subtract = (
            np.stack([np.broadcast_to(row, shape).reshape(-1) for row in values])
            for values in (self.compare, self.subtract)
        )
        return Thresholds(compare, subtract, np.broadcast_to(self.ceiling, shape).reshape(-1))

    @property
    def table(self) -> Array | None:
        """The lowest potential of each level, float32 (channels, 2^T − 1), +∞ for levels that none has; None: not known.

        Where each subtraction is exact (Sterbenz: θ/2 ≤ v ≤ 2θ), spikes compare v with exact sums, and higher potentials have
        higher levels. The lowest one of a level is then the highest of these sums over its spikes.
        """
        timesteps = len(self.compare)
        flat = self.flat
        compare, subtract, ceiling = flat.compare, flat.subtract, flat.ceiling
        if not _subtracts_exactly(compare, subtract, ceiling):
            return None
        levels = np.arange(1, 2**timesteps)[:, None]
        taken, lowest = np.zeros((len(levels), ceiling.size)), np.full((len(levels), ceiling.size), -np.inf)
        for step in range(timesteps):
            fires = (levels >> (timesteps - 1 - step)) & 1
            lowest = np.maximum(lowest, np.where(fires, taken + compare[step], -np.inf))
            taken = taken + fires * subtract[step].astype(np.float64)
        near = lowest.astype(np.float32)
        near = np.where(near < lowest, np.nextafter(near, _INFINITY), near)
        near = np.where(flat.levels(near) == levels, near, _INFINITY)
        return np.asarray(np.minimum.accumulate(near[::-1])[::-1].T)


def _subtracts_exactly(compare: Array, subtract: Array, ceiling: Array) -> bool:
    """Whether no v − θ of a neuron rounds, whatever its potential."""
    highest = ceiling
    for threshold, taken in zip(compare, subtract, strict=True):
        if np.any(threshold < taken / 2) or np.any(highest > 2 * taken):
            return False
        below = np.nextafter(threshold, -_INFINITY)
        highest = np.maximum(np.minimum(highest, below), highest - taken)
    return True


def thresholds_of(node: onnx.NodeProto, draft: Draft) -> Thresholds | None:
    """Of an IF node; None where they are no constants."""
    compare, subtract, ceiling = (draft.value(name) for name in node.input[2:5])
    if compare is None or subtract is None or ceiling is None:
        return None
    return Thresholds(compare, subtract, ceiling)


def timesteps_of(node: onnx.NodeProto) -> int:
    """T of a neuron."""
    return int(attributes(node)["timesteps"])


def steps_of(node: onnx.NodeProto) -> int:
    """S of a neuron or an Integrate: the time steps of what it reads."""
    return int(attributes(node)["input_steps"])
