"""One rounding that passes the thresholds of a layer: for every whole number, the levels of its neurons."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.activations.neuron import Staircase, neuron_parameters
from onnx2snn.compile.byte_lines import line_of
from onnx2snn.compile.thresholds import Thresholds


def rows_of(theta: np.ndarray, levels: int, rounding: str) -> tuple[Thresholds, np.ndarray]:
    """A neuron by channel, and its thresholds (C, K)."""
    column = theta.reshape(-1, 1)
    one = Staircase(column, 0 * column, levels, np.full(1, levels), column, 0 * column, np.asarray(rounding))
    held = neuron_parameters(one, one.timesteps)
    made = Thresholds(held.compare[..., 0], held.subtract[..., 0], held.ceiling[..., 0])
    table = made.table
    assert table is not None
    return made, table[:, :levels].astype(np.float64)


@pytest.mark.parametrize("levels", [1, 3, 15, 255])
@pytest.mark.parametrize("rounding", ["half_even", "floor", "half_odd"])
def test_the_line_of_whole_numbers_is_exact_by_every_rule(rounding: str, levels: int) -> None:
    """Steps that make ties (dyadic), and steps that do not; every potential from below the first to above the last."""
    theta = np.array([8.0, 2.5, 37.3, 4.0, 100.7, 6.25])
    own = np.array([0.0, 3.0, -5.0, 1.0, 17.0, -2.0])
    made, table = rows_of(theta, levels, rounding)
    line = line_of([table], own, np.ones(6), whole=True)
    if line is None:
        assert rounding != "half_even"  # not every rule has whole-number thresholds of that form
        return
    assert line.exact
    sums = np.arange(-300, int(theta.max() * (levels + 2)))[:, None] + np.zeros(6)
    found = np.rint((sums + line.bias).astype(np.float32) * line.multiplier) + line.zero
    levels_of = np.searchsorted(line.reached[0], np.clip(found, 0, 255), side="right")
    np.testing.assert_array_equal(levels_of, made.levels(sums + own))


def test_the_zero_point_of_a_quantiser_is_found_in_the_bias() -> None:
    """An 8-bit quantiser with zero point 131 behind whole-number sums: its bias holds 131 steps, rounded to float32."""
    theta = np.random.default_rng(0).uniform(300, 900, 64)
    whole = np.random.default_rng(1).integers(-20000, 20000, 64)
    _, table = rows_of(theta, 255, "half_even")
    own = (whole + 131 * theta.astype(np.float32).astype(np.float64)).astype(np.float32).astype(np.float64)
    line = line_of([table], own, np.ones(64), whole=True)
    assert line is not None
    assert line.zero == 131
    np.testing.assert_array_equal(line.bias, whole)
    np.testing.assert_array_equal(line.reached[0], np.arange(1, 256))


def test_a_bias_that_no_whole_number_is_has_no_line() -> None:
    _, table = rows_of(np.full(8, 16.0), 15, "half_even")
    own = np.array([0.5, 0.25, 0.125, 0.75, 0.5, 0.25, 0.5, 0.5])
    assert line_of([table], own, np.ones(8), whole=False) is None


def test_two_neurons_with_tables_share_the_grid_of_their_quantiser() -> None:
    """Rising and falling steps of one function, on the grid of an 8-bit quantiser, some left out."""
    grid = 3.0 + 0.0371 * np.arange(200)
    rising, falling = grid[[0, 3, 4, 9, 10, 199]], grid[[1, 5]]
    unit = 0.0371 / np.array([512.3, 700.9, 333.7, 812.1])
    own = (
        3.0 - 0.0371 / 2 + unit * np.array([12, -40, 7, 900])
    )  # whole numbers of sums, and the place of the grid
    line = line_of([rising, falling], own, unit, whole=False)
    assert line is not None
    apart = [there - line.reached[0][0] for there in line.reached]
    np.testing.assert_array_equal(apart[0], [0, 3, 4, 9, 10, 199])
    np.testing.assert_array_equal(apart[1], [1, 5])


def test_thresholds_on_no_grid_have_no_line() -> None:
    assert line_of([np.array([1.0, 2.0, 3.1415, 7.77])], np.zeros(1), np.ones(1), whole=False) is None
