"""Mixed time steps: for each layer its own T, so that the network spikes least under a bound on what is lost.

The loss that a layer causes falls by a factor of four with each of its time steps (rounding noise is uniform, θ²/12); how much
it is at a given T is measured, one layer at a time. For a price μ of loss in spikes, each layer takes by itself the T of least
spikes + μ · loss (Shoham and Gersho, IEEE Trans. ASSP 36, 1988). Every price gives one network; the cheapest one that, calibrated
and measured as a whole, keeps the bound is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from onnx2snn.calibration import ranges
from onnx2snn.calibration.histogram import Histogram
from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.calibration.measure import measure
from onnx2snn.calibration.preparing import Prepared
from onnx2snn.calibration.ranges import Seen, ranged
from onnx2snn.calibration.statistics import gather
from onnx2snn.calibration.step_choice import StepChoice, least_squares, plain
from onnx2snn.calibration.writing import staircase_of, write_staircase
from onnx2snn.data import open_data
from onnx2snn.errors import InputError
from onnx2snn.graph.core import Array

if TYPE_CHECKING:
    from onnx2snn.calibration.attempts import Outcome

#: Time steps that a layer can have.
STEPS = (1, 2, 3, 4, 5, 6, 7, 8)
#: Where its loss is measured.
PROBED = 3
#: Samples on which.
SAMPLES = 64
PRICES = np.geomspace(1e-3, 1e9, 200)

Config = tuple[int, ...]


def fewest_spikes(
    trial: Callable[[Mapping[str, int]], Outcome],
    prepared: Prepared,
    inputs: Mapping[str, Array],
    max_loss: float,
) -> Outcome:
    """The network of fewest spikes that loses at most ``max_loss`` percentage points.

    Args:
        trial: Calibrates and measures the network with K levels by activation.
        prepared: The float network.
        inputs: Samples to measure sensitivities on.
        max_loss: See :func:`onnx2snn.calibrate`.

    Raises:
        InputError: even the most time steps lose more.
    """
    names = [line.output for line in prepared.places]
    spikes, losses = sensitivities(prepared, {n: v[:SAMPLES] for n, v in inputs.items()})
    configs = frontier(spikes, losses)
    low, high, best = 0, len(configs) - 1, None
    while low <= high:
        middle = (low + high) // 2
        outcome = trial({name: 2**t - 1 for name, t in zip(names, configs[middle], strict=True)})
        if outcome.loss is not None and outcome.loss.percent <= max_loss:
            best, high = outcome, middle - 1
        else:
            low = middle + 1
    if best is None:
        raise InputError(
            f"{max(STEPS)} time steps in every layer lose more than {max_loss:g} percentage points",
            remedy="allow more loss, or calibrate with more samples",
        )
    return best


def frontier(spikes: Sequence[Sequence[float]], losses: Sequence[float]) -> list[Config]:
    """Time steps of every layer, from the fewest spikes to the least loss.

    Args:
        spikes: Of each layer, at each of :data:`STEPS`.
        losses: Of each layer, at :data:`PROBED` time steps.
    """
    cost = np.asarray(spikes, np.float64)
    loss = np.asarray(losses, np.float64)[:, None] * 4.0 ** (PROBED - np.asarray(STEPS))
    prices = PRICES * cost.sum() / max(float(loss.sum()), 1e-30) / 1e3
    found = {tuple(STEPS[i] for i in np.argmin(cost + price * loss, axis=1)) for price in prices}
    found.add((max(STEPS),) * len(cost))
    at = {t: i for i, t in enumerate(STEPS)}
    return sorted(found, key=lambda config: sum(cost[layer, at[t]] for layer, t in enumerate(config)))


def sensitivities(prepared: Prepared, inputs: Mapping[str, Array]) -> tuple[list[list[float]], list[float]]:
    """Spikes of each layer at each of :data:`STEPS`, and the squared output error when it alone has :data:`PROBED`."""
    data = open_data(dict(inputs))
    found = gather(prepared.graph, prepared.places, data, progress=lambda _done: None)
    spikes, losses = [], []
    for place in prepared.places:
        histogram = found.get(place.output)
        each = [_steps(place, prepared, histogram, t) for t in STEPS]
        if histogram is None:
            spikes.append([_spikes_seen(*one, prepared.seen[place.output]) for one in each])
        else:
            spikes.append([_spikes(histogram, steps) / len(data) for _, steps in each])
        alone = prepared.graph.copy()
        one, steps = each[STEPS.index(PROBED)]
        shift = np.zeros(1 if histogram is None else len(histogram.top))
        write_staircase(alone, one, staircase_of(one, steps, shift, one.rank))
        losses.append(measure(prepared.graph, alone, [], data).output.relative ** 2)
    return spikes, losses


def _steps(
    place: QuantiserPlace, prepared: Prepared, found: Histogram | None, timesteps: int
) -> tuple[QuantiserPlace, StepChoice]:
    """Thresholds alone of one place, and its range."""
    levels = 2**timesteps - 1
    one = ranged([place], prepared.seen, {place.output: levels}, ranges.least_squares)[0]
    if found is None:
        return one, plain(one.span.reshape(1) / levels, levels)
    return one, least_squares(found, levels)


def _spikes(found: Histogram, steps: StepChoice) -> float:
    """Ones in the codes of all levels, from the histogram."""
    middles = (np.arange(found.bins) + 0.5) * found.top[:, None] / found.bins
    return float(np.sum(_ones(steps.level(middles)) * found.count))


def _spikes_seen(place: QuantiserPlace, steps: StepChoice, seen: Seen) -> float:
    """The same of one sample, from values that were seen."""
    return float(np.mean(_ones(steps.level(place.driven(seen.values)[None])))) * seen.each


def _ones(levels: Array) -> Array:
    return np.asarray(sum((levels.astype(np.int64) >> bit) & 1 for bit in range(max(STEPS))))
