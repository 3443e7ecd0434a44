"""Channels whose curves bend in another order: each is told apart, and all are one layer of neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.staircases import curve
from onnx2snn.staircases.channels import alone
from onnx2snn.staircases.curve import Curve, rationals

#: Four channels: bounds, thresholds and factors that come in another order in each.
BOUNDS = np.array([-1.0, 0.5, 0.0, 2.0])
FACTORS = np.array([1.0, -0.5, 2.0, 0.0])
STEPS = np.array([0.5, -2.0, 0.0, 2.0])


def bent(x: Curve, bound: Any, factor: Any, step: Any) -> Curve:
    """max(x, bound)·factor where x > step, else min(x, 1)·factor."""
    held, factors, over = (Curve.constant(values) for values in (bound, factor, step))
    mask = curve.positive(curve.add(x, curve.negate(over)), closed=False)
    one = curve.multiply(curve.maximum(x, held), factors)
    return curve.select(mask, one, curve.multiply(curve.minimum(x, Curve.constant(1)), factors))


def counted(x: Curve, bound: Any, factor: Any, step: Any) -> Curve:
    """How many of ``step`` and 1 the clipped line max(x, bound)·factor reaches."""
    line = curve.multiply(curve.maximum(x, Curve.constant(bound)), Curve.constant(factor))
    masks = [curve.positive(curve.add(line, Curve.constant(-np.asarray(s))), closed=True) for s in (step, 1)]
    return curve.add(*masks)


@pytest.mark.parametrize("function", [bent, counted])
def test_each_channel_is_what_it_is_alone(function: Callable[..., Curve]) -> None:
    whole = function(replace(Curve.identity(), apart=True), BOUNDS, FACTORS, STEPS)
    assert whole.apart
    places = [Fraction(n, 8) for n in range(-40, 41)]
    for i, held in enumerate(zip(BOUNDS, FACTORS, STEPS, strict=True)):
        single, channel = function(Curve.identity(), *held), alone(whole, (i,), (4,))
        for x in places:
            expected = single.at(rationals(float(x)))
            assert whole.at(rationals(float(x)))[i] == expected
            assert channel.at(rationals(float(x))) == expected
        assert len(channel.breaks) == len(single.breaks)


def network(text: str, **constants: Any) -> onnx.ModelProto:
    """``text`` makes ``a`` (N, 4) of ``c`` (N, 4)."""
    rng = np.random.default_rng(0)
    constants |= {"w": rng.integers(-8, 9, (4, 4)) / 16, "v": rng.integers(-8, 9, (4, 3)) / 16}
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 21]> g (float[N,4] x) => (float[N,3] y) '
        f"{{ c = MatMul(x, w) {text} y = MatMul(a, v) }}"
    )
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in constants.items()
    )
    return model


def reached(count: int) -> str:
    """How many of thresholds t0, t1, ... ``d`` reaches, as a."""
    lines = [f"g{i} = GreaterOrEqual(d, t{i}) f{i} = Cast<to=1>(g{i})" for i in range(count)]
    return " ".join(lines) + f" a = Sum({', '.join(f'f{i}' for i in range(count))})"


THRESHOLDS = {f"t{i}": np.array([0.25, 0.5, 0.75, 1.0]) * i + [-1.0, 0.0, 0.25, -9.0] for i in range(7)}

CASES: dict[str, tuple[onnx.ModelProto, list[int]]] = {
    "one threshold, below zero in some": (
        network("d = Relu(c) g = GreaterOrEqual(d, t) a = Cast<to=1>(g)", t=[1, 5, 0.5, -3]),
        [1],
    ),
    "as many as levels, some below zero, all in one": (
        network(f"d = Relu(c) {reached(7)}", **THRESHOLDS),
        [7],
    ),
    "a clip by channel": (
        network(f"m = Max(c, l) d = Min(m, h) {reached(7)}", l=[-0.5, 0, 0.5, 0], h=[2, 1, 9, 0.5], **THRESHOLDS),
        [6],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_thresholds_by_channel_behind_what_clips(name: str) -> None:
    """Behind a ReLU a threshold below zero is always reached: that channel has fewer levels, or one."""
    source, levels = CASES[name]
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == levels
    x = (np.random.default_rng(1).integers(-32, 33, (100, 4)) / 8).astype(np.float32)
    certificate = onnx2snn.verify(source, conversion.model, {"x": x})
    assert certificate.lossless
    assert certificate.max_abs_error == 0
