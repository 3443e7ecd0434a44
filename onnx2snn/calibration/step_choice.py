"""Choosing the step θ of a staircase that stands in for a clipped line, and what its levels stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.calibration.histogram import Histogram

#: Candidates for K·θ, as shares of the range of the histogram.
SHARES = np.unique(np.concatenate([np.geomspace(0.005, 0.1, 24), np.linspace(0.1, 1.0, 73)]))
#: Candidates for δ/θ, where it is chosen.
STARTS = (0.5, 0.3, 0.4, 0.6, 0.7)
#: Above so many levels δ is half a step: no other choice is felt.
FEW_LEVELS = 31
#: Above so many levels nothing is gained by clipping: rounding is finer than the histogram.
MOST_LEVELS = 1023


@dataclass(frozen=True)
class StepChoice:
    """k = clip(floor(u/θ + start), 0, K), a = α·k, of each channel.

    Attributes:
        theta: θ > 0, (C,), in units of the activation.
        start: δ/θ, (C,): 1/2 rounds half up.
        alpha: α, (C,).
        levels: K.
    """

    theta: NDArray[np.float64]
    start: NDArray[np.float64]
    alpha: NDArray[np.float64]
    levels: int

    def level(self, u: NDArray[Any]) -> NDArray[np.float32]:
        """Levels of ``u`` (C, n), in float32 as the network computes them."""
        theta, start = (v[:, None].astype(np.float32) for v in (self.theta, self.start))
        level: NDArray[np.float32] = np.clip(np.floor(u / theta + start), 0, self.levels)
        return level

    def __call__(self, u: NDArray[Any]) -> NDArray[np.float32]:
        """Activations that the levels stand for."""
        answer: NDArray[np.float32] = self.level(u) * self.alpha[:, None].astype(np.float32)
        return answer


def plain(theta: NDArray[np.float64], levels: int) -> StepChoice:
    """Steps of θ that round half up and stand for k·θ; a silent channel gets a threshold all the same."""
    alive = theta[theta > 0]
    held = np.where(theta > 0, theta, alive.mean() if alive.size else 1.0)
    return StepChoice(held, np.full(len(held), 0.5), held, levels)


def largest(found: Histogram, levels: int) -> StepChoice:
    """θ that clips nothing: the largest activation is level K (Diehl et al., IJCNN 2015)."""
    return plain(found.largest / levels, levels)


def percentile(found: Histogram, levels: int, share: float = 0.999) -> StepChoice:
    """θ that clips the largest 0.1 % of activations (Rueckauer et al., Front. Neurosci. 2017)."""
    return plain(found.quantile(share) / levels, levels)


def least_squares(
    found: Histogram, levels: int, *, starts: Sequence[float] = (0.5,), free: bool = False
) -> StepChoice:
    """Steps of least squared error Σ (α·k(u) − a)², exact on the histogram, for every candidate of θ and δ.

    With N(t) and A(t) the number of pairs with u ≥ t and their sum of a, and thresholds t_k = (k − δ/θ)·θ:

        Σ k·a = Σ_k A(t_k)        Σ k² = Σ_k (2k − 1)·N(t_k)        error = Σ a² − 2α·Σ k·a + α²·Σ k²

    Args:
        found: Of the activation.
        levels: K.
        starts: Candidates for δ/θ.
        free: Let α be what minimises the error, Σ k·a / Σ k², instead of θ.
    """
    if levels > MOST_LEVELS:
        return largest(found, levels)
    counts, totals = _tails(found.count), _tails(found.total)
    best = plain(found.largest / levels, levels)
    error = np.full(len(found.top), np.inf)
    k = np.arange(1.0, levels + 1)
    for start in starts if levels <= FEW_LEVELS else starts[:1]:
        at = np.ceil((k - start) * (SHARES[:, None] / levels) * found.bins).astype(np.int64)
        at = np.minimum(at, found.bins - 1)
        product, power = _summed(totals, at, np.ones(levels)), _summed(counts, at, 2 * k - 1)
        theta = found.top[:, None] * SHARES / levels
        alpha = np.divide(product, power, out=theta.copy(), where=power > 0) if free else theta
        wrong = found.squares[:, None] - 2 * alpha * product + alpha**2 * power
        first = np.argmin(wrong, axis=1)[:, None]
        picked = [np.take_along_axis(v, first, axis=1)[:, 0] for v in (theta, alpha, wrong)]
        better = (picked[2] < error) & (picked[0] > 0) & (picked[1] > 0)
        best = replace(
            best,
            theta=np.where(better, picked[0], best.theta),
            alpha=np.where(better, picked[1], best.alpha),
            start=np.where(better, start, best.start),
        )
        error = np.where(better, picked[2], error)
    return best


def _tails(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over each bin and all above it."""
    return np.ascontiguousarray(np.cumsum(values[:, ::-1], axis=1)[:, ::-1])


def _summed(
    tails: NDArray[np.float64], at: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Σ_k weights_k · tails[:, at[candidate, k]], (C, candidates): gathered, or as a product of matrices, what is less work."""
    candidates, levels = at.shape
    if levels <= FEW_LEVELS:
        return np.stack([tails[:, row] @ weights for row in at], axis=1)
    picked = np.zeros((tails.shape[1], candidates))
    np.add.at(picked, (at.T, np.arange(candidates)), weights[:, None])
    return np.asarray(tails @ picked)
