"""The level of a neuron whose thresholds are scaled by the sample, in few operators: a division guesses, one comparison decides.

Such a neuron (METHOD 13) compares v with c(t)·s, and takes θ(t)·s from it, θ(t) = 2^j·θ, where s is a value of the sample. Its
spikes have reached level k, whose lowest bit is j, exactly where

    v ≥ (k − 2^j)·u + fl(c_j·s),    u = fl(θ·s)

since powers of two scale without rounding, and v − 2^j·u is exact while 2^j·u/2 ≤ v ≤ 2^(j+1)·u (Sterbenz). The right side is
exact in float64. So k̂ = floor(v/u + 1 − h + δ), where c_j = (2^j − 1 + h)·θ, is the level or one more: the division and the
thresholds' own rounding move a border by less than δ, and the comparison decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from onnx2snn.compile.draft import Draft, Place, is_dialect
from onnx2snn.compile.thresholds import thresholds_of
from onnx2snn.dialect.functions import SCALED_IF

#: More levels would need a wider δ.
_TIMESTEPS = 12
_DELTA = 2.0**-9
#: How far c_j may be from its place, in units of θ.
_NEAR = 2.0**-11


@dataclass(frozen=True)
class ScaledSearch:
    """The constants of a neuron with one threshold for all.

    Attributes:
        theta: θ.
        ceiling: What v/s is cut to.
        start: 1 − h.
        compare: c_j of the lowest bit of each level, −∞ of level 0; (2^T,) float32.
        below: k − 2^j of each level; (2^T,) float32.
    """

    theta: np.float32
    ceiling: np.float32
    start: float
    compare: NDArray[np.float32]
    below: NDArray[np.float32]

    def write(self, at: Place, v: str, scale: str, output: str) -> None:
        """The level of ``v``, scaled by ``scale``."""
        v = at.add("Min", [v, at.add("Mul", [at.constant([self.ceiling]), scale])])
        u = at.add("Mul", [at.constant([self.theta]), scale])
        near = at.add("Floor", [at.add("Add", [at.add("Div", [v, u]), at.constant([self.start + _DELTA])])])
        # What is no number, behind a token that looks at nothing, is a whole one below zero: it reaches no level.
        lowest, top = (at.constant(end, np.int32) for end in (0, len(self.below) - 1))
        whole = at.add("Clip", [at.add("Cast", [near], to=TensorProto.INT32), lowest, top])
        guess, places = at.add("Cast", [whole], to=TensorProto.FLOAT), at.flat(whole)
        below = at.shaped(at.looked_up(at.constant(self.below), places), guess)
        compare = at.shaped(at.looked_up(at.constant(self.compare), places), guess)
        last, wide_u, wide_v, wide_below = (
            at.add("Cast", [value], to=TensorProto.DOUBLE)
            for value in (at.add("Mul", [compare, scale]), u, v, below)
        )
        threshold = at.add("Add", [at.add("Mul", [wide_below, wide_u]), last])
        missed = at.add("Cast", [at.add("Less", [wide_v, threshold])], to=TensorProto.FLOAT)
        at.add("Sub", [guess, missed], output=output)


def scaled_search(draft: Draft, node: onnx.NodeProto) -> ScaledSearch | None:
    """Of a ScaledIF node; None of another, and where its neurons have thresholds of their own, or by another rule."""
    held = thresholds_of(node, draft) if is_dialect(node, SCALED_IF) else None
    if held is None or not draft.target.elements:
        return None
    timesteps = len(held.compare)
    if held.compare.size != timesteps or held.subtract.size != timesteps or held.ceiling.size != 1:
        return None
    compare, subtract = held.compare.reshape(-1)[::-1], held.subtract.reshape(-1)[::-1]  # of bit j
    theta = subtract[0]
    powers = np.ldexp(np.float32(1), np.arange(timesteps)).astype(np.float32)
    if timesteps > _TIMESTEPS or not theta > 0 or not np.array_equal(subtract, powers * theta):
        return None
    h = compare.astype(np.float64) / np.float64(theta) - (powers - 1)
    if np.ptp(h) > _NEAR or not 0.25 <= h[0] <= 1 + _NEAR:  # less than that is lost beside (k − 2^j)·u
        return None
    levels = np.arange(2**timesteps)
    lowest = levels & -levels
    bits = np.log2(np.maximum(lowest, 1)).astype(int)
    return ScaledSearch(
        theta=theta,
        ceiling=held.ceiling.reshape(-1)[0],
        start=float(1 - h[0]),
        compare=np.where(levels == 0, -np.inf, compare[bits]).astype(np.float32),
        below=(levels - lowest).astype(np.float32),
    )
