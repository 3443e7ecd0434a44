"""Answers to parts of a batch are put together along the axis that counts samples."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.runtime.batches import by_sample, joined, turned

#: By name: the answer to all samples 0 to 4, of which each part answers two.
SAMPLES = np.arange(5)
ANSWERS = {
    "rows": lambda n: np.stack([n, -n], axis=1),
    "rows of several": lambda n: np.repeat(n, 3),
    "scores that were turned": lambda n: np.stack([n, -n, n * n]),
    "places in front": lambda n: np.repeat(n, 2)[None].repeat(7, axis=0),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_put_together(name: str) -> None:
    answer = ANSWERS[name]
    parts = [{"y": answer(SAMPLES[[0, 1]])}, {"y": answer(SAMPLES[[2, 3]])}, {"y": answer(SAMPLES[[4, 4]])}]
    whole = joined(parts, [2, 2, 2], 5, {"y"})
    assert whole is not None
    np.testing.assert_array_equal(whole["y"], answer(SAMPLES))


def test_a_mean_over_samples_is_not() -> None:
    parts = [{"y": np.zeros(5)}, {"y": np.zeros(5)}]
    assert joined(parts, [2, 2], 4, {"y"}) is None
    assert joined([{"y": np.float32(1)}, {"y": np.float32(1)}], [2, 2], 4, {"y"}) is None


def test_what_no_sample_decides_is_there_once() -> None:
    whole = joined([{"y": np.arange(2)}, {"y": np.arange(2)}], [2, 2], 4, set())
    assert whole is not None
    np.testing.assert_array_equal(whole["y"], np.arange(2))


def test_counts_are_those_of_samples() -> None:
    np.testing.assert_array_equal(by_sample(np.array([1, 2, 3]), 3), [1, 2, 3])
    np.testing.assert_array_equal(by_sample(np.array([1, 2, 3, 4]), 2), [3, 7])


def test_what_no_one_sample_counts_is_shared() -> None:
    np.testing.assert_array_equal(by_sample(np.array([5, 7]), 3), [4, 4, 4])


def test_an_axis_that_is_declared_is_taken_where_shapes_leave_several() -> None:
    """Two samples a part, of eight rows each, or of eight answers beside each other?"""
    axes: dict[str, tuple[int | str, ...]] = {"x": ("N", 3), "y": (8, "N")}
    known = turned(axes, ["x"], ["y"])
    assert known == {"y": 1}
    whole = np.arange(8 * 5).reshape(8, 5)
    parts = [{"y": whole[:, [0, 1]]}, {"y": whole[:, [2, 3]]}, {"y": whole[:, [4, 4]]}]
    found = joined(parts, [2, 2, 2], 5, {"y"}, known)
    assert found is not None
    np.testing.assert_array_equal(found["y"], whole)
    assert joined(parts, [2, 2, 2], 5, {"y"})["y"].shape == (20, 2)  # type: ignore[index]
