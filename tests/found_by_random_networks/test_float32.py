"""Exact arithmetic and float32: found by random networks, each as small as it shrank to and named after what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_found import IMAGE, finished
from helpers_networks import Builder

import onnx2snn


def a_level_that_only_float32_reaches() -> onnx.ModelProto:
    """α·fl(1/α) is less than 1 in exact arithmetic, and 1 in float32: the only step was taken for out of reach."""
    b = Builder()
    top = np.float32(0.46704596)
    clipped = b.add("Min", b.add("Relu", b.conv("x", (2, 3), 1)), top)
    first = b.add("Mul", b.add("Floor", b.add("Mul", clipped, np.float32(2.1411169))), top)
    return finished(b, b.act(b.conv(first, (3, 2), 5)), 32)


def sixteen_bits_in_general_floats() -> onnx.ModelProto:
    """At level 60,000 float32 is off its grid by more than a thousandth of a level."""
    b = Builder()
    step = np.float32(5.1 / 65535)
    z = b.add("Relu", b.conv("x", (2, 3), 1))
    q = b.add("Mul", b.add("Floor", b.add("Add", b.add("Div", b.add("Min", z, 5.1), step), 0.5)), step)
    return finished(b, q, 48)


def sixteen_bits_rounded_up_in_general_floats() -> onnx.ModelProto:
    """A clip that in exact arithmetic lies a hair above level 65,535, which is another level then; not so in float32."""
    b = Builder()
    step = np.float32(8.7e-5)
    clipped = b.add("Clip", b.conv("x", (2, 3), 1), 0.0, float(step * np.float32(65535)))
    return finished(b, b.add("Mul", b.add("Ceil", b.add("Div", clipped, step)), step), 48)


def plateaus_of_channels_that_rounding_moves() -> onnx.ModelProto:
    """Bounds that are whole steps in float32, and a little more or less in exact arithmetic."""
    b = Builder()
    low, high, inverse = (
        np.array(v, np.float32).reshape(2, 1, 1)
        for v in ([-5.2347355, -2.9751017], [5.193839, 2.9518588], [24.452047, 43.02374])
    )
    clipped = b.add("Max", b.add("Min", b.conv("x", (2, 2), 1), high), low)
    q = b.add("Div", b.add("Neg", b.add("Floor", b.add("Neg", b.add("Mul", clipped, inverse)))), inverse)
    return finished(b, q, 32)


def one_step_whose_plateau_rounding_moves() -> onnx.ModelProto:
    """0.46437192/0.030958127 is 15 in float32, and a hair more in exact arithmetic: rounded up, the only level is 15 or 16."""
    b = Builder()
    top, step = np.float32(0.46437192), np.float32(0.030958127)
    clipped = b.add("Clip", b.add("Mul", b.add("Sign", b.conv("x", (2, 3), 1)), 2.184616), 0.0, top)
    return finished(b, b.add("Div", b.add("Ceil", b.add("Div", clipped, step)), 32.301697), 48)


def second_rounding_that_divides_what_it_multiplies() -> onnx.ModelProto:
    """(k/s)·(s/2) is k/2 but for rounding: it was held for exact, since its threshold is 2."""
    b = Builder()
    s = np.float32(11.754011)
    k = b.add("Clip", b.add("Floor", b.conv("x", (2, 3), 1)), 0.0, 31.0)
    halves = b.add("Clip", b.add("Floor", b.add("Mul", b.add("Div", k, s), s / 2)), 0.0, 7.0)
    return finished(b, b.add("Div", halves, s / 2), 48)


def output_with_a_quantiser_in_front_of_a_batch_norm() -> onnx.ModelProto:
    """The readout was compared behind its jump, in which the two networks were spelled alike no more."""
    b = Builder()
    z = b.conv(b.act(b.conv("x", (2, 3), 1)), (3, 3), 1)
    step = np.float32(4.6e-5)
    q = b.add("Mul", b.add("Clip", b.add("Round", b.add("Div", z, step)), 0.0, 32767.0), step)
    norm = [
        np.array(v, np.float32)
        for v in ([-0.5, 1.2, 0.8], [0.5, -1.0, -0.6], [-0.3, 0.2, -0.4], [0.8, 0.8, 0.8])
    ]
    return b.model({"x": ["N", *IMAGE]}, {"y": (b.add("BatchNormalization", q, *norm), ["N", 3, 4, 4])})


def level_zero_of_a_falling_activation() -> onnx.ModelProto:
    """Its lowest value is zero, and was a rounding error of float64: more than rounding explains of a zero."""
    b = Builder()
    z = b.add("Neg", b.conv("x", (2, 3), 1))
    step = np.float32(1690.663)
    a = b.add(
        "Div", b.add("Floor", b.add("Add", b.add("Clip", b.add("Mul", z, step), 0.0, 255.0), 0.5)), step
    )
    return b.model(
        {"x": ["N", *IMAGE]}, {"y": (b.add("Concat", a, b.act(b.conv(a, (3, 3), 4)), axis=1), ["N", 6, 4, 4])}
    )


def signs_beside_a_quantiser() -> onnx.ModelProto:
    """Levels that a quantised output is made from and another holds: of c·k − c no bound was asked in front of the jump."""
    b = Builder()
    c = np.float32(0.242622)
    hundred = b.act(b.conv("x", (2, 3), 1), levels=100, step=0.0625)
    signs = b.add("Mul", b.add("Sign", b.conv(hundred, (3, 3), 2)), c)
    step = np.float32(4.6e-5)
    quantised = b.add(
        "Mul", b.add("Clip", b.add("Round", b.add("Div", b.conv(signs, (3, 3), 3), step)), 0.0, 32767.0), step
    )
    return b.model({"x": ["N", *IMAGE]}, {"y": (b.add("Concat", quantised, signs, axis=1), ["N", 6, 4, 4])})


def quantised_output_beside_another() -> onnx.ModelProto:
    """Joined with an activation: scores were compared in front of a jump only where it leads to the output alone."""
    b = Builder()
    a = b.act(b.conv("x", (2, 3), 1), levels=15, step=0.37)
    step = np.float32(1.7e-5)
    code = b.add("Clip", b.add("Round", b.add("Div", b.conv(a, (3, 3), 3), step)), -524288.0, 524287.0)
    joined = b.add("Concat", a, b.add("Concat", b.add("Mul", code, step), a, axis=1), axis=1)
    return b.model({"x": ["N", *IMAGE]}, {"y": (b.add("Neg", joined), ["N", 9, 4, 4])})


def quantised_output_that_comparisons_clip() -> onnx.ModelProto:
    """What a jump writes, another jump reads and a choice: it is there once, and was looked for as one of two."""
    b = Builder()
    k = b.add("Floor", b.add("Div", b.conv(b.act(b.conv("x", (2, 3), 1)), (3, 3), 3), 0.0625))
    return b.model(
        {"x": ["N", *IMAGE]}, {"y": (b.add("Where", b.add("Less", k, 0.0), 0.0, k), ["N", 3, 4, 4])}
    )


EXAMPLES: list[Callable[[], onnx.ModelProto]] = [
    a_level_that_only_float32_reaches,
    sixteen_bits_in_general_floats,
    sixteen_bits_rounded_up_in_general_floats,
    plateaus_of_channels_that_rounding_moves,
    one_step_whose_plateau_rounding_moves,
    second_rounding_that_divides_what_it_multiplies,
    output_with_a_quantiser_in_front_of_a_batch_norm,
    level_zero_of_a_falling_activation,
    signs_beside_a_quantiser,
    quantised_output_beside_another,
    quantised_output_that_comparisons_clip,
]


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_it_is_certified(make: Callable[[], onnx.ModelProto]) -> None:
    inputs = {"x": np.random.default_rng(3).normal(0, 2, (6, *IMAGE)).astype(np.float32)}
    source = make()
    assert onnx2snn.verify(source, onnx2snn.convert(source).model, inputs).lossless


@pytest.mark.parametrize("bias", ["per-step", "paper"])
def test_shared_constants_that_cancel_are_certified(bias: str) -> None:
    inputs = {"x": np.random.default_rng(3).normal(0, 2, (6, *IMAGE)).astype(np.float32)}
    source = signs_beside_a_quantiser()
    assert onnx2snn.verify(source, onnx2snn.convert(source, bias=bias).model, inputs).lossless


@pytest.mark.parametrize("ending", ["5/weight_1", "level/weight", "integrate/bias"])
def test_what_is_joined_is_compared_part_by_part(ending: str) -> None:
    source = quantised_output_beside_another()
    model = onnx2snn.convert(source).model
    changed = next(t for t in model.graph.initializer if t.name.endswith(ending))
    values = onnx.numpy_helper.to_array(changed).copy()
    values.flat[np.argmax(np.abs(values))] *= np.float32(1 + 2**-16)
    changed.CopyFrom(onnx.numpy_helper.from_array(values, changed.name))
    assert not onnx2snn.verify(source, model).lossless
