"""Which shifts are a whole number of steps."""

from __future__ import annotations

import numpy as np

from onnx2snn.activations.whole_shifts import MOST, whole_shift


def test_what_float32_rounds_is_whole_all_the_same() -> None:
    random = np.random.default_rng(0)
    scale = random.uniform(0.001, 3, 500).astype(np.float32).astype(np.float64)
    n = random.integers(-40000, 40000, 500)
    found = whole_shift(scale, (n * scale).astype(np.float32))
    np.testing.assert_array_equal(found, n)


def test_one_that_is_between_steps_leaves_all_as_they_are() -> None:
    assert whole_shift(np.array([0.5, 0.5]), np.array([1.0, 1.1])) is None
    assert whole_shift(np.array([0.5, 0.0]), np.array([1.0, 1.0])) is None


def test_beyond_what_rounding_tells_apart_nothing_is_whole() -> None:
    assert whole_shift(np.array(0.5), np.array(0.5 * (MOST + 1))) is None
    assert whole_shift(np.array(0.5), np.array(0.5 * MOST)) is not None
