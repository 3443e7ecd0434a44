"""Shapes and types that are not the model's: what is converted, what is said, and which way out a refusal names."""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any

import numpy as np
import pytest

from onnx2snn.data import InputSpec, open_data
from onnx2snn.errors import InputError


def opened(x: np.ndarray, dtype: Any = np.float32, *shape: int | None) -> np.ndarray:
    """What a model of that input gets."""
    spec = InputSpec("x", np.dtype(dtype), shape or x.shape[1:])
    return np.concatenate([batch.inputs["x"] for batch in open_data({"x": x}, [spec]).batches(3)])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([[0.5], [1.25]]), np.float32),
        (np.array([[1], [2**24]]), np.float32),
        (np.array([[0.5], [1.25]]), np.float16),
        (np.array([[0.0], [255.0]]), np.uint8),
        (np.array([[-128], [127]]), np.int8),
        (np.array([[0], [1]]), np.bool_),
        (np.array([[0], [1]], np.uint8), np.float32),
        (np.array([[3], [200]], np.uint8), np.int32),
    ],
)
def test_where_nothing_is_lost_nothing_is_said(
    values: np.ndarray, dtype: type, caplog: pytest.LogCaptureFixture
) -> None:
    found = opened(values, dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)
    assert not caplog.records


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([[0.1], [0.2]]), np.float32),
        (np.array([[2**24 + 1]]), np.float32),
        (np.array([[0.1]], np.float32), np.float16),
    ],
)
def test_rounding_is_said_once(values: np.ndarray, dtype: type, caplog: pytest.LogCaptureFixture) -> None:
    found = opened(np.concatenate([values] * 9), dtype)
    np.testing.assert_array_equal(found[: len(values)], values.astype(dtype))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "its values are rounded" in record.getMessage()


def test_rounding_further_in_is_said_too(caplog: pytest.LogCaptureFixture) -> None:
    values = np.zeros((40, 1))
    values[30] = 0.1
    opened(values)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("value", "source", "dtype"),
    [
        (256, np.int64, np.uint8),
        (-1, np.int32, np.uint8),
        (0.5, np.float32, np.int32),
        (2, np.int64, np.bool_),
        (1e300, np.float64, np.float32),
        (70000, np.int64, np.float16),
        (2**63, np.uint64, np.int64),
    ],
)
@pytest.mark.parametrize("place", [2, 30])
def test_a_value_without_a_counterpart_is_named(value: float, source: type, dtype: type, place: int) -> None:
    values = np.zeros((40, 2), source)
    values[place, 1] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=rf"cannot take\n.*in sample {place}\nremedy"):
            opened(values, dtype)


def test_pixels_for_a_signed_input_are_shifted_by_whoever_knows_that_they_are() -> None:
    with pytest.raises(InputError, match=r"save \(x.astype\('int16'\) - 128\).astype\('int8'\)"):
        opened(np.full((4, 1, 2, 2), 200, np.uint8), np.int8)


def test_pixels_for_a_float_input_are_said(caplog: pytest.LogCaptureFixture) -> None:
    pixels = np.full((4, 1, 2, 2), 200, np.uint8)
    assert opened(pixels).max() == 200
    assert "x.astype('float32') / 255" in caplog.text
    caplog.clear()
    opened(pixels, np.uint8)
    assert not caplog.records


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ((5, 8, 8, 3), (3, 8, 8)),
        ((5, 3, 8, 8), (8, 8, 3)),
        ((5, 8, 9, 3), (3, None, None)),
        ((5, 8, 8, 8, 3), (3, 8, 8, 8)),
        ((5, 20, 4), (4, 20)),
        ((5, 8, 8), (1, 8, 8)),
        ((5, 8, 8), (8, 8, 1)),
        ((3, 8, 8), (3, 8, 8)),
        ((8,), (8,)),
        ((5, 64), (1, 8, 8)),
        ((5, 1, 8, 8), (64,)),
    ],
)
def test_the_way_to_the_models_shape_is_told_and_leads_there(
    found: tuple[int, ...], wanted: tuple[int | None, ...]
) -> None:
    x = np.zeros(found, np.float32)
    with pytest.raises(InputError, match="save") as caught:
        opened(x, np.float32, *wanted)
    expression = re.search(r"save (.*)$", caught.value.remedy or "")
    assert expression is not None
    mended = eval(expression[1], {"numpy": np, "x": x, "len": len})  # noqa: S307 - what users are told to type
    assert len(opened(mended, np.float32, *wanted)) == len(mended)


def test_a_shape_that_leads_nowhere() -> None:
    with pytest.raises(InputError, match="samples go along the first axis"):
        opened(np.zeros((5, 7), np.float32), np.float32, 1, 8, 8)
