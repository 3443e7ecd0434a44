"""The neuron alone, at every threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from onnx2snn.activations import Rounding, Staircase, neuron_parameters
from onnx2snn.certificate.neuron_check import generate, missteps

ROUNDINGS = ("floor", "ceil", "half_even", "half_odd")


def staircase(rounding: Rounding, levels: int, theta: float | list[float]) -> Staircase:
    step = np.asarray(theta, np.float64)
    return Staircase(step, step * 0, levels, np.asarray(levels), step, step * 0, np.asarray(rounding))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("levels", [1, 2, 3, 7, 10, 15, 255, 60000])
@pytest.mark.parametrize("theta", [1.0, 0.25, 0.1, 37.3, [0.1, 1 / 3, 2.0]])
def test_neurons_as_converted_take_no_false_step(
    rounding: Rounding, levels: int, theta: float | list[float]
) -> None:
    one = staircase(rounding, levels, theta)
    held = replace(one, threshold=one.threshold.astype(np.float32).astype(np.float64))
    for T in (one.timesteps, one.timesteps + 1):
        assert missteps(neuron_parameters(held, T), one) == []


@pytest.mark.parametrize("found", ROUNDINGS)
@pytest.mark.parametrize("wanted", ROUNDINGS)
def test_every_other_rounding_rule_is_a_false_step(found: Rounding, wanted: Rounding) -> None:
    steps = missteps(neuron_parameters(staircase(found, 15, 1.0), 4), staircase(wanted, 15, 1.0))
    assert (steps == []) == (found == wanted)


def test_ties_that_go_up_instead_of_to_even_show_at_the_tie() -> None:
    neuron = neuron_parameters(staircase("half_even", 15, 1.0), 4)
    up = replace(neuron, compare=(neuron.subtract - np.float32(0.5)))
    (step, *_) = missteps(up, staircase("half_even", 15, 1.0))
    assert (step.potential, step.expected, step.found) == (0.5, 0, 1)


@pytest.mark.parametrize("field", ["compare", "subtract", "ceiling"])
def test_one_wrong_number_of_one_channel_shows(field: str) -> None:
    one = staircase("floor", 12, [0.5, 1.0, 2.0])
    neuron = neuron_parameters(one, 4)
    for at in range(getattr(neuron, field).reshape(-1, 3).shape[0]):
        changed = np.broadcast_to(getattr(neuron, field), (*getattr(neuron, field).shape[:-1], 3)).copy()
        changed.reshape(-1, 3)[at, 1] *= 0.9 if field == "ceiling" else 1 + 1e-6
        steps = missteps(replace(neuron, **{field: changed}), one)
        assert steps
        assert field == "subtract" or all(step.channel == (1,) for step in steps)


def test_generation_is_the_dialects() -> None:
    one = staircase("half_even", 12, 0.7)
    v = np.linspace(-2, 12, 4001)
    clear = np.abs(v / 0.7 % 1 - 0.5) > 1e-6
    np.testing.assert_array_equal(generate(neuron_parameters(one, 4), v)[clear], one.level(v)[clear])
