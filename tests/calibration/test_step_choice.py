"""Histograms that grow, and thresholds of least squared error against a search by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.calibration.histogram import Histogram, channels_first
from onnx2snn.calibration.step_choice import largest, least_squares, percentile

RANDOM = np.random.default_rng(3)


def activations(channels: int = 3, values: int = 4000) -> np.ndarray:
    scales = np.arange(1, channels + 1)[:, None]
    return np.maximum(RANDOM.normal(-0.2, scales, (channels, values)), 0).astype(np.float32)


def filled(values: np.ndarray, bins: int = 1024, parts: int = 1) -> Histogram:
    found = Histogram(len(values), bins)
    for part in np.array_split(values, parts, axis=1):
        found.add(part, part)
    return found


def test_parts_add_up() -> None:
    values = activations()
    values = np.sort(values, axis=1)  # the range grows with every part
    found = filled(values, parts=50)
    np.testing.assert_array_equal(found.count.sum(axis=1), values.shape[1])
    np.testing.assert_allclose(found.total.sum(axis=1), values.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.squares, (values**2).sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(found.largest, values.max(axis=1))
    assert np.all(found.top >= found.largest)
    assert np.all(found.top < 2 * found.largest)


@pytest.mark.parametrize("parts", [1, 7])
def test_quantiles(parts: int) -> None:
    values = activations()
    found = filled(values, parts=parts)
    exact = np.quantile(values, 0.9, axis=1)
    np.testing.assert_allclose(found.quantile(0.9), exact, atol=float((found.top / found.bins).max()) * 1.5)


def test_all_channels_as_one() -> None:
    values = activations()
    joined = filled(values).joined()
    assert joined.count.sum() == values.size
    assert joined.total.sum() == pytest.approx(values.sum(), rel=1e-5)
    assert joined.squares[0] == pytest.approx(float((values**2).sum()), rel=1e-5)
    assert joined.quantile(0.99)[0] == pytest.approx(np.quantile(values, 0.99), rel=0.02)


@pytest.mark.parametrize("levels", [1, 3, 7, 15, 63])
def test_least_squares_is_least(levels: int) -> None:
    values = activations(2)
    steps = least_squares(filled(values), levels)
    found = np.mean((steps(values) - values) ** 2, axis=1)
    best = np.full(2, np.inf)
    for share in np.linspace(0.02, 1, 400):
        theta = share * values.max(axis=1, keepdims=True) / levels
        answer = np.clip(np.floor(values / theta + 0.5), 0, levels) * theta
        best = np.minimum(best, np.mean((answer - values) ** 2, axis=1))
    assert np.all(found <= best * 1.02)
    np.testing.assert_array_equal(steps.theta, steps.alpha)


@pytest.mark.parametrize("levels", [1, 3, 7])
def test_freedom_lowers_the_error(levels: int) -> None:
    values = activations(2)
    found = filled(values)
    tied, free = least_squares(found, levels), least_squares(found, levels, starts=(0.5, 0.3, 0.7), free=True)
    errors = [np.mean((steps(values) - values) ** 2, axis=1) for steps in (tied, free)]
    assert np.all(errors[1] < errors[0] * 1.001)


def test_levels_follow_what_decides_them() -> None:
    """Pairs (u, a): u is off by a third, so α is what corrects it."""
    values = activations(1)
    found = Histogram(1, 1024)
    found.add(values * np.float32(0.75), values)
    steps = least_squares(found, 15, free=True)
    assert steps.alpha[0] / steps.theta[0] == pytest.approx(4 / 3, rel=0.03)


def test_rules() -> None:
    values = activations()
    found = filled(values)
    np.testing.assert_allclose(largest(found, 15).theta, values.max(axis=1) / 15, rtol=1e-6)
    assert np.all(percentile(found, 15).theta < largest(found, 15).theta)


def test_a_silent_channel_has_a_threshold() -> None:
    values = activations()
    values[1] = 0
    for rule in (largest, percentile, least_squares):
        theta = rule(filled(values), 7).theta
        assert theta[1] > 0
    assert np.all(least_squares(filled(np.zeros_like(values)), 7).theta > 0)


def test_channels_first() -> None:
    x = RANDOM.normal(size=(2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(channels_first(x, 1)[2], x[:, 2].ravel())
    np.testing.assert_array_equal(channels_first(x, 2)[3], x[..., 3].ravel())
    assert channels_first(x, None).shape == (1, 24)
