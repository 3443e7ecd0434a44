"""Exact rationals at places against Fraction, place by place; each distinct number held once."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnx2snn.activations.rationals import (
    NotPiecewiseLinearError,
    Rationals,
    larger,
    measure,
    moved,
    ratio,
    rationals,
    reduced,
    smaller,
    where,
)

SHAPES = [(), (1,), (4, 1, 1), (1, 5), (4, 3, 5)]


def drawn(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Few distinct numbers, in float32, both signs and zero."""
    rng = np.random.default_rng(seed)
    return rng.choice(np.array([0, 0.1, -0.1, 3.7, 1e-6, -255, 1 / 3], np.float32), shape)


def fractions(values: Any) -> NDArray[Any]:
    """Fractions of floats."""
    return np.vectorize(Fraction, otypes=[object])(np.asarray(values, np.float64))


def same(found: Rationals, expected: NDArray[Any]) -> bool:
    """Equal, of the same shape, and as floats."""
    floats = np.vectorize(float, otypes=[float])(expected)
    return found.shape == expected.shape and np.array_equal(found.floats(), floats)


@pytest.mark.parametrize("first", SHAPES)
@pytest.mark.parametrize("second", SHAPES)
@pytest.mark.parametrize("function", [operator.add, operator.sub, operator.mul, operator.truediv])
def test_algebra(
    first: tuple[int, ...], second: tuple[int, ...], function: Callable[[Any, Any], Any]
) -> None:
    x, y = drawn(first, 0), drawn(second, 1)
    if function is operator.truediv:
        y = np.where(y == 0, np.float32(7), y)
    found = function(rationals(x), rationals(y))
    expected = np.asarray(function(fractions(x), fractions(y)), dtype=object)
    assert same(found, expected)
    if function is not operator.truediv:
        assert same(
            function(found, found + 1000), np.asarray(function(expected, expected + 1000), dtype=object)
        )


@pytest.mark.parametrize("first", SHAPES)
@pytest.mark.parametrize("second", SHAPES)
def test_comparisons_and_choices(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    x, y = drawn(first, 2), drawn(second, 3)
    a, b = rationals(x), rationals(y)
    for function in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        mask = function(a, b)
        assert np.array_equal(mask.places.spread(mask.values), function(x, y))
        assert (mask.all(), mask.any()) == (function(x, y).all(), function(x, y).any())
        assert same(where(mask, a, b), fractions(np.where(function(x, y), x, y)))
    assert same(larger(a, b), fractions(np.maximum(x, y)))
    assert same(smaller(a, b), fractions(np.minimum(x, y)))


@pytest.mark.parametrize(
    ("rule", "function"),
    [("floor", math.floor), ("ceil", math.ceil), ("trunc", math.trunc), ("half_even", round)],
)
def test_roundings(rule: str, function: Callable[[Any], int]) -> None:
    halves = rationals(np.arange(-9, 10)) / 2 * ratio(5, 3)
    exact = [Fraction(n, 2) * Fraction(5, 3) for n in range(-9, 10)]
    assert halves.rounded(rule).integers().tolist() == [function(value) for value in exact]
    assert rationals(np.arange(-9, 10) / 2).rounded(rule).integers().tolist() == [
        function(n / 2) for n in range(-9, 10)
    ]


def test_each_number_is_held_once() -> None:
    few = np.random.default_rng(0).integers(-128, 128, (1, 12, 49, 49)).astype(np.float32) * np.float32(0.37)
    value = (rationals(few) + ratio(1, 3)) * rationals(np.float32(0.1)) / 7
    assert len(value.top) <= 256
    assert value.shape == few.shape
    expected = (fractions(few) + Fraction(1, 3)) * fractions(np.float32(0.1)) / 7
    assert same(value.reshape((12, 49 * 49)), expected.reshape(12, -1))


def test_sizes_of_numbers_do_not_grow_where_they_cancel() -> None:
    value = rationals(np.array([0.1, 0.3], np.float32))
    for _ in range(200):
        value = value * rationals(np.float32(0.7)) / rationals(np.float32(0.7))
    assert (value == rationals(np.array([0.1, 0.3], np.float32))).all()
    assert max(int(q).bit_length() for q in value.bottom) < 512


def test_measure_and_what_is_gathered() -> None:
    x = rationals(np.array([[6, 9, 12], [10, 0, 25]]))
    assert reduced(measure, x, [1]).integers().tolist() == [[3], [5]]
    assert reduced(larger, x, [0, 1]).integers().tolist() == [[25]]
    turned = moved([x], lambda arrays: arrays[0].T)
    assert turned is not None
    assert turned.integers().tolist() == [[6, 10], [9, 0], [12, 25]]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(NotPiecewiseLinearError, match="infinite or not a number"):
        rationals([1.0, value])
