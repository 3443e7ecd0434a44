"""Activations behind activations: found by random networks, each as small as it shrank to and named after what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_found import SIGNS, check_example, finished
from helpers_networks import Builder


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


def sum_of_codes_that_is_rounded_again() -> onnx.ModelProto:
    """Three grids: only the first activation had ended, so the second took in the clip that bounds the third."""
    b = Builder()
    code = b.add("Clip", b.add("Round", b.add("Div", b.act(b.conv("x", (2, 3), 1)), 0.25)), 0.0, 255.0)
    total = b.add("Add", b.add("Mul", code, 0.25), b.add("Mul", code, 0.25))
    again = b.add("Clip", b.add("Round", b.add("Div", total, 0.5)), 0.0, 255.0)
    return finished(b, b.add("Floor", b.add("Mul", again, -0.125)), 48)


def clip_out_of_reach_between_two_levels() -> onnx.ModelProto:
    """Without a clip of its own a rounding goes on for ever, and reaches one behind it that no level meets."""
    b = Builder()
    whole = b.add("Floor", b.add("Mul", b.act(b.conv("x", (2, 3), 1), levels=3), 1.5))
    return finished(b, b.add("Mul", b.add("Clip", b.add("Mul", whole, 16.0), 0.0, 255.0), 0.0625), 48)


def clipped_levels_by_factors_of_both_signs_rounded_again() -> onnx.ModelProto:
    """What the clip leaves of the levels is no line, behind which the second activation could begin."""
    b = Builder()
    clipped = b.add("Min", b.act(b.conv("x", (2, 3), 1)), 6.75)
    return finished(b, b.add("Floor", b.add("Mul", b.add("Mul", clipped, 0.5), SIGNS)), 48)


def clipped_sum_of_levels_in_front_of_a_line() -> onnx.ModelProto:
    """The neuron that encodes such a sum also takes in the line, and was looked for in front of it."""
    b = Builder()
    a = b.add("Sign", b.conv("x", (2, 3), 1))
    total = b.add("Add", a, b.add("Mul", b.add("Sign", b.conv(a, (3, 3), 3)), 0.5))
    return finished(b, b.add("Sub", b.add("Div", b.add("Relu", total), -0.5), 1.0), 48)


def levels_by_channel_clipped_with_comparisons() -> onnx.ModelProto:
    """{0, 8, 15}/8 in one channel, {0, 15}/8 in another: such levels were told from Clip alone, however it is spelled."""
    b = Builder()
    a = b.act(b.conv("x", (2, 3), 1), step=np.array([1.0, 2.0, 0.25], np.float32).reshape(3, 1, 1))
    return finished(b, b.add("Where", b.add("Greater", a, 1.875), 1.875, a), 48)


def codes_of_four_bits_that_are_quantised_again() -> onnx.ModelProto:
    """The first activation ended at its codes, whose type NumPy has from elsewhere: the certificate read no levels."""
    b = Builder()
    zero = onnx.numpy_helper.to_array(
        onnx.helper.make_tensor("zero", onnx.TensorProto.UINT4, [], np.zeros(1, np.uint8))
    )
    codes = b.add("QuantizeLinear", b.conv("x", (2, 3), 1), 0.125, zero)
    second = b.act(b.add("DequantizeLinear", codes, 0.125, zero), step=1 / 64, shift=0.5)
    model = finished(b, second, 48)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", 21))
    return model


EXAMPLES: list[Callable[[], onnx.ModelProto]] = [
    requantised_straight_through_estimator,
    requantised_by_channel,
    requantised_code_that_is_read,
    rounded_again_to_one_level_in_some_channels,
    straight_through_estimator_that_is_rounded_to_nothing,
    threshold_out_of_reach,
    quantiser_coarser_than_all_it_is_given,
    sign_behind_a_quantiser_by_channel,
    sum_of_codes_that_is_rounded_again,
    clip_out_of_reach_between_two_levels,
    clipped_levels_by_factors_of_both_signs_rounded_again,
    clipped_sum_of_levels_in_front_of_a_line,
    levels_by_channel_clipped_with_comparisons,
    codes_of_four_bits_that_are_quantised_again,
]


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_it_converts_without_loss(make: Callable[[], onnx.ModelProto]) -> None:
    check_example(make)
