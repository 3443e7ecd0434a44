"""A product, and what it leaves of the potential, tell the level of every whole number."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_written import answered

from onnx2snn.compile.corrected_rounding import corrected_rounding
from onnx2snn.compile.integers import whole_rounding
from onnx2snn.compile.thresholds import Thresholds

T = 8
POWERS = 2.0 ** np.arange(T - 1, -1, -1)
CHANNELS = 64
DRAWS = np.random.default_rng(11)


def neuron(theta: np.ndarray, levels: int, moved: float) -> Thresholds:
    """As QDQ networks make them: θ by channel, the first threshold at θ + ``moved``·θ."""
    subtract = (theta * POWERS[:, None]).astype(np.float32)
    compare = (subtract + (moved * theta).astype(np.float32)).astype(np.float32)
    ceiling = (theta * (levels + 0.5 + moved)).astype(np.float32)
    column = (CHANNELS, 1, 1)
    return Thresholds(compare.reshape(-1, *column), subtract.reshape(-1, *column), ceiling.reshape(column))


@pytest.mark.parametrize("levels", [255, 127, 9])
@pytest.mark.parametrize("bias", [0.0, 12345.0, 0.3])
@pytest.mark.parametrize("moved", [-0.5, 0.0], ids=["to the nearest", "down"])
def test_every_whole_number_has_the_level_of_the_neuron(moved: float, bias: float, levels: int) -> None:
    theta = DRAWS.uniform(150, 600, CHANNELS)
    held, shape = neuron(theta, levels, moved), (CHANNELS, 1, 1)
    offset = np.full(shape, bias, np.float32)
    found = corrected_rounding(held, offset, shape)
    assert found is not None
    edges = np.rint(np.arange(-1, levels + 2)[:, None] * theta + moved * theta)
    beside = np.concatenate([edges + step for step in (-2, -1, 0, 1, 2)])
    whole = np.concatenate(
        [beside, DRAWS.integers(-(2**17), 2**18, (500, CHANNELS)), np.full((1, CHANNELS), 2**23)]
    )
    v = whole.astype(np.float32) + np.float32(bias - np.floor(bias))
    k = answered(lambda at: found.write(at, "v", "k"), v[..., None, None])
    np.testing.assert_array_equal(k[..., 0, 0], held.levels(v))


def test_it_is_for_neurons_that_no_rounding_operator_meets() -> None:
    held, shape = neuron(DRAWS.uniform(150, 600, CHANNELS), 255, -0.5), (CHANNELS, 1, 1)
    assert whole_rounding(held, np.zeros(shape, np.float32), shape) is None


def test_ties_to_even_are_no_line() -> None:
    """(k − 1/2)·θ is a whole number for each k: every other one belongs to the level."""
    held, shape = neuron(np.full(CHANNELS, 200.0), 255, -0.5), (CHANNELS, 1, 1)
    last = held.compare.copy()
    last[-1] = np.nextafter(last[-1], np.float32(np.inf))
    even = Thresholds(last, held.subtract, held.ceiling)
    assert corrected_rounding(even, np.zeros(shape, np.float32), shape) is None
