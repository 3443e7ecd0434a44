"""What random networks found, each as small as it shrank to and named after what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_networks import Builder, dyadic
from random_networks import Drawn, check

import onnx2snn

IMAGE = (2, 4, 4)
SIGNS = np.array([0.5, -1.0, 2.0], np.float32).reshape(3, 1, 1)


def finished(b: Builder, x: str, size: int, *, image: tuple[int, ...] = IMAGE) -> onnx.ModelProto:
    """Synapses behind ``x``, of ``size`` values, and an output."""
    out = b.dense(b.add("Flatten", x), (size, 3), 91)
    return b.model({"x": ["N", *image]}, {"y": (out, ["N", 3])})


def resized_in_front_of_another_change_of_opset() -> onnx.ModelProto:
    """The upgrade renames what Upsample writes, where the next operator changes too: its placement got lost."""
    nodes = [
        node("Conv", ["x", "w"], ["z"], pads=[1, 1, 1, 1]),
        node("Upsample", ["z", "scales"], ["large"], mode="linear"),
        node("ReduceMax", ["large"], ["most"], axes=[2, 3], keepdims=0),
        node("Floor", ["most"], ["floor"]),
        node("Clip", ["floor"], ["a"], min=0.0, max=7.0),
        node("MatMul", ["a", "v"], ["y"]),
    ]
    constants = {
        "w": dyadic(3, 2, 3, 3, seed=1),
        "v": dyadic(3, 3, seed=2),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    return make_model(nodes, constants, {"x": ["N", *IMAGE]}, {"y": ["N", 3]}, opset=9)


def channels_of_both_signs_in_front_of_a_clip() -> onnx.ModelProto:
    """A line by channel was compared with the identity as if it had one slope."""
    b = Builder()
    z = b.add("Mul", b.conv("x", (2, 3), 1), SIGNS)
    return finished(b, b.act(b.add("Min", b.add("Relu", z), 3.0)), 48)


def requantised_straight_through_estimator() -> onnx.ModelProto:
    """The activation ended at q of ``c + (q − c)``, of which the sum is no function of its own."""
    b = Builder()
    clipped = b.add("Clip", b.conv("x", (2, 3), 1), 0.0, 3.75)
    q = b.add("Mul", b.add("Floor", b.add("Div", clipped, 0.25)), 0.25)
    return finished(b, b.act(b.add("Add", clipped, b.add("Sub", q, clipped)), levels=5, step=1.0), 48)


def requantised_by_channel() -> onnx.ModelProto:
    """Levels that the second quantiser clips in one channel only: the activation ended too late."""
    b = Builder()
    bound = np.array([4.0, 1.0, 2.0], np.float32).reshape(3, 1, 1)
    share = b.add("Clip", b.add("Div", b.conv("x", (2, 3), 1), bound), 0.0, 1.0)
    first = b.add("Mul", b.add("Div", b.add("Floor", b.add("Mul", share, 2.0)), 2.0), bound)
    second = b.add("Div", b.add("Clip", b.add("Ceil", b.add("Div", first, 0.25)), 0.0, 31.0), 4.0)
    return finished(b, b.act(second, levels=7, step=0.5), 48)


def clipped_by_absolute_values_of_channels() -> onnx.ModelProto:
    """|z| − |z − α| + α with channels of both signs: its two halves were given different roots."""
    b = Builder()
    z = b.add("Div", b.conv("x", (2, 3), 1), SIGNS)
    twice = b.add("Sub", b.add("Abs", z), b.add("Abs", b.add("Sub", z, 3.5)))
    return finished(b, b.act(b.add("Mul", b.add("Add", twice, 3.5), 0.5), levels=7), 48)


def requantised_code_that_is_read() -> onnx.ModelProto:
    """Rounded, and clipped behind it: synapses read that, and a quantiser that needs no such clip."""
    b = Builder()
    whole = b.add(
        "Add", b.add("Round", b.add("Div", b.add("Clip", b.conv("x", (2, 3), 1), 0.0, 6.0), 0.0625)), 2.0
    )
    code = b.add("Mul", b.add("Sub", b.add("Clip", whole, 0.0, 255.0), 2.0), 0.0625)
    second = b.act(code, levels=7, step=0.5)
    return finished(b, b.add("Add", b.conv(code, (3, 2), 5), b.conv(second, (3, 2), 7)), 32)


def rounded_again_to_one_level_in_some_channels() -> onnx.ModelProto:
    """A factor by channel, and no step left in one of them."""
    b = Builder()
    a = b.act(b.conv("x", (2, 3), 1))
    return finished(b, b.add("Floor", b.add("Mul", a, SIGNS / 4)), 48)


def straight_through_estimator_that_is_rounded_to_nothing() -> onnx.ModelProto:
    """``c + (q − c)``, coarser than all that it can be: the constant was written behind the sum, which no neuron was."""
    b = Builder()
    clipped = b.add("Clip", b.conv("x", (2, 3), 1), 0.0, 0.5)
    q = b.add("Mul", b.add("Ceil", b.add("Mul", clipped, 2.0)), 0.5)
    nothing = b.add("Floor", b.add("Mul", b.add("Add", clipped, b.add("Sub", q, clipped)), 0.5))
    return finished(b, b.add("Add", nothing, b.act(b.conv("x", (2, 3), 3))), 48)


def maximum_of_channels_with_other_counts() -> onnx.ModelProto:
    """Whether an activation rises was asked of all channels at once: a crash where the clip cuts at other levels in each."""
    b = Builder()
    steps = np.array([0.25, 0.5, 1.0], np.float32).reshape(3, 1, 1)
    levels = b.add("Mul", b.add("Floor", b.add("Div", b.conv("x", (2, 3), 1), steps)), steps)
    clipped = b.add("Clip", levels, 0.0, 3.0)
    return finished(b, b.add("MaxPool", clipped, kernel_shape=[2, 2], strides=[2, 2]), 12)


def maximum_that_is_rounded_to_nothing() -> onnx.ModelProto:
    """A constant, whatever the largest potential is: the maximum was left without a neuron."""
    b = Builder()
    pooled = b.add("MaxPool", b.conv("x", (2, 3), 1), kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    largest = b.add("Max", b.add("Clip", pooled, 0.0, 0.75), b.add("Clip", b.conv("x", (2, 3), 5), 0.0, 0.75))
    nothing = b.add("Floor", b.add("Clip", largest, 0.0, 0.75))
    return finished(b, b.add("Add", nothing, b.act(b.conv("x", (2, 3), 3))), 48)


def maximum_of_a_falling_activation() -> onnx.ModelProto:
    """It falls: the largest answer is that of the smallest potential."""
    b = Builder()
    a = b.act(b.add("Sub", np.arange(3, dtype=np.float32).reshape(3, 1, 1), b.conv("x", (2, 3), 1)))
    return finished(b, b.add("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), 12)


def maximum_over_axes_of_parameters_by_channel() -> onnx.ModelProto:
    """ReduceMax drops axes that the parameters of each channel have."""
    b = Builder()
    steps = np.array([0.25, 0.5, 1.0], np.float32).reshape(3, 1, 1)
    return finished(
        b, b.add("ReduceMax", b.act(b.conv("x", (2, 3), 1), step=steps), axes=[2, 3], keepdims=0), 3
    )


def maximum_of_decoded_maxima() -> onnx.ModelProto:
    """Codes pooled, decoded, and pooled again: the certificate took codes for values."""
    b = Builder()
    code = b.add("Clip", b.add("Round", b.conv("x", (2, 3), 1)), 0.0, 7.0)
    pooled = b.add("MaxPool", code, kernel_shape=[2, 2], strides=[2, 2])
    return finished(b, b.add("ReduceMax", b.add("Mul", pooled, 4.0), axes=[2, 3], keepdims=1), 3)


def maximum_side_by_side() -> onnx.ModelProto:
    """SqueezeNet's: two grids, joined and pooled."""
    b = Builder()
    parts = [b.act(b.conv("x", (2, 3), 1)), b.act(b.conv("x", (2, 2), 3), levels=3, step=1.0, low=-2)]
    whole = b.add("Concat", b.add("Concat", *parts, axis=1), parts[0], axis=-3)
    return finished(b, b.add("MaxPool", whole, kernel_shape=[2, 2], strides=[2, 2]), 32)


def maximum_of_a_part() -> onnx.ModelProto:
    """A slice, and channels into places, in front of the maximum."""
    b = Builder()
    a = b.act(b.conv("x", (2, 8), 1))
    part = b.add("Gather", a, np.array([0, 5, 2, 7]), axis=1)
    return finished(
        b, b.add("MaxPool", b.add("DepthToSpace", part, blocksize=2), kernel_shape=[2, 2], strides=[2, 2]), 16
    )


def batch_norm_behind_a_maximum() -> onnx.ModelProto:
    """Convolution, maximum, batch norm, activation: potentials are scaled behind the maximum."""
    b = Builder()
    pooled = b.add("MaxPool", b.conv("x", (2, 3), 1), kernel_shape=[2, 2], strides=[2, 2])
    statistics = [dyadic(3, seed=s) for s in (5, 6, 7)]
    z = b.add("BatchNormalization", pooled, *statistics, np.full(3, 3.75, np.float32), epsilon=0.25)
    first = b.act(b.conv(b.act(b.conv("x", (2, 2), 9)), (2, 3), 11))
    second = b.add("MaxPool", b.conv(first, (3, 3), 13), kernel_shape=[2, 2], strides=[2, 2])
    return finished(b, b.add("Concat", b.act(z), b.act(b.add("Neg", second)), axis=1), 24)


def threshold_out_of_reach() -> onnx.ModelProto:
    """A comparison that no level of the activation before it can pass: a constant, written with nonlinear operators."""
    b = Builder()
    a = b.act(b.conv("x", (2, 3), 1), levels=7)
    never = b.add("Cast", b.add("Greater", a, 8.0), to=onnx.TensorProto.FLOAT)
    return finished(b, b.add("Concat", a, b.act(b.conv(never, (3, 2), 3)), axis=1), 80)


def quantiser_coarser_than_all_it_is_given() -> onnx.ModelProto:
    """Its levels have one value: a constant, written with a rounding."""
    b = Builder()
    a = b.act(b.conv("x", (2, 3), 1), levels=7)
    zero = b.act(a, levels=3, step=16.0)
    return finished(b, b.add("Concat", a, b.act(b.conv(zero, (3, 2), 3)), axis=1), 80)


def sign_behind_a_quantiser_by_channel() -> onnx.ModelProto:
    """Sign of levels: two neurons behind a neuron, which were put together with it again."""
    b = Builder()
    steps = np.array([1 / 4, 1 / 8, 1 / 16], np.float32).reshape(3, 1, 1)
    a = b.act(b.conv("x", (2, 3), 1), levels=200, step=steps)
    return finished(b, b.add("Mul", b.add("Sign", b.add("Sub", a, 0.5)), 0.25), 48)


def threshold_of_three_eighths_behind_a_factor() -> onnx.ModelProto:
    """1/θ is no dyadic number: the factor in front must not take it in."""
    b = Builder()
    scaled = b.add("Mul", b.conv("x", (2, 3), 1), np.array([1.0, 0.5, 0.25], np.float32).reshape(3, 1, 1))
    return finished(b, b.act(scaled, step=0.375, levels=9, rounding="Ceil"), 48)


def pooled_maximum_of_two_activations() -> onnx.ModelProto:
    """The maximum of two had to become one neuron before the pooling could see it."""
    b = Builder()
    both = b.add("Max", b.act(b.conv("x", (2, 3), 1)), b.act(b.conv("x", (2, 3), 3)))
    return finished(b, b.add("GlobalMaxPool", both), 3)


def coarse_weights_that_share_an_odd_factor() -> onnx.ModelProto:
    """Divided by it they are whole, and their thresholds rounded: ties were decided otherwise."""
    b = Builder()
    a = b.add("Mul", b.add("Clip", b.add("Floor", b.conv("x", (2, 3), 1)), 0.0, 1.0), 2.25)
    return finished(b, b.act(b.conv(a, (3, 3), 2), levels=15, step=0.25), 48)


EXAMPLES: list[Callable[[], onnx.ModelProto]] = [
    resized_in_front_of_another_change_of_opset,
    channels_of_both_signs_in_front_of_a_clip,
    requantised_straight_through_estimator,
    requantised_by_channel,
    requantised_code_that_is_read,
    rounded_again_to_one_level_in_some_channels,
    maximum_of_channels_with_other_counts,
    maximum_that_is_rounded_to_nothing,
    straight_through_estimator_that_is_rounded_to_nothing,
    clipped_by_absolute_values_of_channels,
    maximum_of_a_falling_activation,
    maximum_over_axes_of_parameters_by_channel,
    maximum_of_decoded_maxima,
    maximum_side_by_side,
    maximum_of_a_part,
    batch_norm_behind_a_maximum,
    threshold_out_of_reach,
    quantiser_coarser_than_all_it_is_given,
    sign_behind_a_quantiser_by_channel,
    threshold_of_three_eighths_behind_a_factor,
    pooled_maximum_of_two_activations,
    coarse_weights_that_share_an_odd_factor,
]


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_it_converts_without_loss(make: Callable[[], onnx.ModelProto]) -> None:
    inputs = {"x": dyadic(6, *IMAGE, seed=17, top=8)}
    check(Drawn(make(), inputs, exact=True, bias="once"))


def sixteen_bits_rounded_up_in_general_floats() -> onnx.ModelProto:
    """A clip that in exact arithmetic lies a hair above level 65,535, which is another level then; not so in float32."""
    b = Builder()
    step = np.float32(8.7e-5)
    clipped = b.add("Clip", b.conv("x", (2, 3), 1), 0.0, float(step * np.float32(65535)))
    return finished(b, b.add("Mul", b.add("Ceil", b.add("Div", clipped, step)), step), 48)


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


def second_rounding_that_divides_what_it_multiplies() -> onnx.ModelProto:
    """(k/s)·(s/2) is k/2 but for rounding: it was held for exact, since its threshold is 2."""
    b = Builder()
    s = np.float32(11.754011)
    k = b.add("Clip", b.add("Floor", b.conv("x", (2, 3), 1)), 0.0, 31.0)
    halves = b.add("Clip", b.add("Floor", b.add("Mul", b.add("Div", k, s), s / 2)), 0.0, 7.0)
    return finished(b, b.add("Div", halves, s / 2), 48)


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


@pytest.mark.parametrize(
    "make",
    [
        a_level_that_only_float32_reaches,
        sixteen_bits_in_general_floats,
        sixteen_bits_rounded_up_in_general_floats,
        plateaus_of_channels_that_rounding_moves,
        second_rounding_that_divides_what_it_multiplies,
        output_with_a_quantiser_in_front_of_a_batch_norm,
        level_zero_of_a_falling_activation,
    ],
    ids=lambda make: make.__name__,
)
def test_it_is_certified(make: Callable[[], onnx.ModelProto]) -> None:
    inputs = {"x": np.random.default_rng(3).normal(0, 2, (6, *IMAGE)).astype(np.float32)}
    source = make()
    assert onnx2snn.verify(source, onnx2snn.convert(source).model, inputs).lossless
