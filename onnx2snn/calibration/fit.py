"""One activation's staircase, on the pre-activations that the quantised network really has: chosen by measured gain.

Candidates are fitted on the even samples and judged on the odd ones, by the mean squared error of the activation:

    correction   none; each channel's mean (Nagel et al., ICCV 2019, section 4.2); the weights in front, by ridge regression
                 of what is missing on what they read (as in layer-wise reconstruction: Hubara et al., ICML 2021)
    thresholds   one per channel, or one per layer

The best is fitted again on all samples. A few samples thus choose a simple correction, many a rich one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx2snn.calibration.arguments import ArgumentReader
from onnx2snn.calibration.histogram import Histogram
from onnx2snn.calibration.step_choice import STARTS, StepChoice, least_squares
from onnx2snn.calibration.synapses_ahead import Synapses
from onnx2snn.graph.core import Array

#: Rows are drawn until there are so many values; more change nothing that can be measured.
MOST_VALUES = 4_000_000
MOST_OPERANDS = 12_000_000
#: Ridge penalties, as shares of the mean square of what the weights read.
RIDGES = (0.003, 0.03, 0.3)
BINS = 1024
#: Rows for a correction of weights: so many for each term of a sum, or at least so many.
ROWS_PER_TERM, FEWEST_ROWS = 24, 16384


@dataclass(frozen=True)
class SampledRows:
    """Values of all channels at drawn positions of every sample.

    Attributes:
        samples: Of each row, (R,).
        places: Position among those of the tensor, (R,).
    """

    samples: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def even(self) -> NDArray[np.bool_]:
        """Rows to fit on; the others judge."""
        return np.asarray(self.samples % 2 == 0)

    @property
    def all(self) -> NDArray[np.bool_]:
        """Every row."""
        return np.ones(len(self.samples), np.bool_)

    def of(self, values: Array, axis: int) -> NDArray[np.float32]:
        """(C, R) of ``values`` (N, ...)."""
        wide = np.moveaxis(values, axis, -1)
        flat = wide.reshape(len(wide), -1, wide.shape[-1])
        return np.ascontiguousarray(flat[self.samples, self.places].T, np.float32)


def draw_rows(shape: tuple[int, ...], axis: int, terms: int, seed: int = 0) -> SampledRows:
    """The same number of positions of every sample, as many as fit in memory."""
    samples, channels = shape[0], shape[axis]
    places = int(np.prod(shape[1:])) // channels
    limit = MOST_VALUES // channels
    if terms:
        limit = min(limit, MOST_OPERANDS // terms, max(FEWEST_ROWS, ROWS_PER_TERM * terms))
    limit //= samples
    each = int(np.clip(limit, 1, places))
    random = np.random.default_rng(seed)
    drawn = [np.sort(random.choice(places, each, replace=False)) for _ in range(samples)]
    return SampledRows(np.repeat(np.arange(samples), each), np.concatenate(drawn).astype(np.int64))


@dataclass(frozen=True)
class Choice:
    """What to do for one activation.

    Attributes:
        mean: Whether each channel's mean is corrected.
        ridge: Penalty of the correction of weights; None for none.
        per_channel: Whether each channel has its own threshold.
    """

    mean: bool
    ridge: float | None
    per_channel: bool


def weight_changes(
    operands: NDArray[np.float32], missing: NDArray[np.float64], ridges: Sequence[float]
) -> list[NDArray[np.float64]]:
    """ΔW that makes ΔW·x nearest to what is missing, both without their means, for each penalty.

    Args:
        operands: x of each row, (groups, R, terms).
        missing: (C, R), channels of a group together.
        ridges: Penalties on ΔW², relative to the mean of x².

    Returns:
        (groups, terms, channels of a group) each.
    """
    groups, rows, terms = operands.shape
    centred = operands - operands.mean(axis=1, keepdims=True)
    target = (missing - missing.mean(axis=1, keepdims=True)).reshape(groups, -1, rows).astype(np.float32)
    gram = (centred.transpose(0, 2, 1) @ centred).astype(np.float64) / rows
    product = (centred.transpose(0, 2, 1) @ target.transpose(0, 2, 1)).astype(np.float64) / rows
    level = np.trace(gram, axis1=1, axis2=2) / terms
    unit = (level + 1e-12)[:, None, None] * np.eye(terms)
    return [np.linalg.solve(gram + ridge * unit, product) for ridge in ridges]


def changed(operands: NDArray[np.float32], change: NDArray[np.float64]) -> NDArray[np.float32]:
    """ΔW·x of each row, (C, R)."""
    moved = (operands @ change.astype(np.float32)).transpose(0, 2, 1)
    return np.asarray(moved.reshape(-1, operands.shape[1]))


@dataclass(frozen=True)
class Problem:
    """One activation at drawn rows.

    Attributes:
        rows: Which.
        wanted: Pre-activations of the float network, (C, R), as the activation is driven by them.
        found: Those of the quantised one.
        slope: Of the activation's line, (C,): what a change of z changes.
        synapses: In front, if their weights can be corrected.
        operands: What they read.
        reading: Of the activation; None for a readout, which is none.
        target: Activations ≥ 0 of the float network.
        levels: K.
    """

    rows: SampledRows
    wanted: NDArray[np.float32]
    found: NDArray[np.float32]
    slope: NDArray[np.float64]
    synapses: Synapses | None
    operands: NDArray[np.float32] | None
    reading: ArgumentReader | None = None
    target: NDArray[np.float32] | None = None
    levels: int = 1

    @property
    def may_shift(self) -> bool:
        """Whether channels are told apart: behind synapses, and where an activation stands."""
        return self.synapses is not None or self.reading is None or not self.reading.place.ranged

    def changes(self, ridges: Sequence[float], rows: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
        """ΔW fitted on ``rows``, for each penalty; none where there are no weights to change."""
        if self.synapses is None or self.operands is None:
            return []
        gain = (self.synapses.gain * self.slope)[:, None]
        missing = (self.wanted - self.found)[:, rows] / gain
        return weight_changes(self.operands[:, rows], missing, ridges)

    def moved(self, change: NDArray[np.float64]) -> NDArray[np.float32]:
        """Pre-activations behind weights that were changed."""
        if self.synapses is None or self.operands is None:
            raise AssertionError("no weights to change")
        gain = (self.synapses.gain * self.slope)[:, None].astype(np.float32)
        return self.found + gain * changed(self.operands, change)

    def shift(self, driven: NDArray[np.float32], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What each channel's mean lacks, (C,)."""
        missing: NDArray[np.float64] = np.mean(self.wanted[:, rows], axis=1, dtype=np.float64)
        return missing - np.mean(driven[:, rows], axis=1, dtype=np.float64)


def choose(problem: Problem, *, per_channel: bool | None = None) -> Choice:
    """The candidate of least error on the odd rows; the simplest of equals."""
    even, odd = problem.rows.even, ~problem.rows.even
    if not odd.any():
        return Choice(mean=False, ridge=None, per_channel=bool(per_channel))
    best, least = Choice(mean=False, ridge=None, per_channel=bool(per_channel)), np.inf
    for choice, driven in _candidates(problem, per_channel):
        if problem.target is None or problem.reading is None:
            wrong = _error(driven[:, odd], problem.wanted[:, odd])
        else:
            u = problem.reading.rounded(driven)
            steps = fit_steps(
                u[:, even], problem.target[:, even], problem.levels, per_channel=choice.per_channel
            )
            wrong = _error(steps(u[:, odd]), problem.target[:, odd])
        if wrong < least * (1 - 1e-6):
            best, least = choice, wrong
    return best


def _candidates(problem: Problem, per_channel: bool | None) -> Iterator[tuple[Choice, NDArray[np.float32]]]:
    corrected = zip(RIDGES, problem.changes(RIDGES, problem.rows.even), strict=False)
    moved = [(None, problem.found), *((ridge, problem.moved(change)) for ridge, change in corrected)]
    grains = (False, True) if per_channel is None else (per_channel,)
    if problem.target is None:
        grains = (False,)
    for ridge, driven in moved:
        for mean in (False, True)[: 1 + problem.may_shift] if ridge is None else (True,):
            shift = problem.shift(driven, problem.rows.even) if mean else np.zeros(len(driven))
            for grain in grains:
                yield Choice(mean, ridge, grain), driven + shift[:, None].astype(np.float32)


def _error(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.mean((found - wanted) ** 2, dtype=np.float64))


def fit_steps(
    driven: NDArray[np.float32], target: NDArray[np.float32], levels: int, *, per_channel: bool
) -> StepChoice:
    """StepChoice of least squared error, with δ and α free."""
    channels = len(driven)
    if not per_channel:
        driven, target = driven.reshape(1, -1), target.reshape(1, -1)
    found = Histogram(len(driven), BINS)
    found.add(driven, target)
    steps = least_squares(found, levels, starts=STARTS, free=True)
    if per_channel:
        return steps
    theta, start, alpha = (np.repeat(v, channels) for v in (steps.theta, steps.start, steps.alpha))
    return StepChoice(theta, start, alpha, levels)
