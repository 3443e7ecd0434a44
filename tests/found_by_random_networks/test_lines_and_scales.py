"""Lines, scales and spellings: found by random networks, each as small as it shrank to and named after what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_found import IMAGE, SIGNS, check_example, finished
from helpers_graphs import make_model, node
from helpers_networks import Builder, dyadic


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


def reflected_border_with_a_value() -> onnx.ModelProto:
    """A value means nothing to a Pad that reflects: the upgrade left it where the newer operator has no such attribute."""
    nodes = [
        node("Conv", ["x", "w"], ["z"], pads=[1, 1, 1, 1]),
        node("Floor", ["z"], ["floor"]),
        node("Clip", ["floor"], ["a"], min=0.0, max=7.0),
        node("Pad", ["a"], ["wide"], mode="reflect", pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.0),
        node("AveragePool", ["wide"], ["mean"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["mean"], ["flat"]),
        node("MatMul", ["flat", "v"], ["y"]),
    ]
    constants = {"w": dyadic(4, 2, 3, 3, seed=1), "v": dyadic(36, 3, seed=2)}
    return make_model(nodes, constants, {"x": ["N", *IMAGE]}, {"y": ["N", 3]}, opset=9)


def channels_of_both_signs_in_front_of_a_clip() -> onnx.ModelProto:
    """A line by channel was compared with the identity as if it had one slope."""
    b = Builder()
    z = b.add("Mul", b.conv("x", (2, 3), 1), SIGNS)
    return finished(b, b.act(b.add("Min", b.add("Relu", z), 3.0)), 48)


def clipped_by_absolute_values_of_channels() -> onnx.ModelProto:
    """|z| − |z − α| + α with channels of both signs: its two halves were given different roots."""
    b = Builder()
    z = b.add("Div", b.conv("x", (2, 3), 1), SIGNS)
    twice = b.add("Sub", b.add("Abs", z), b.add("Abs", b.add("Sub", z, 3.5)))
    return finished(b, b.act(b.add("Mul", b.add("Add", twice, 3.5), 0.5), levels=7), 48)


def threshold_of_three_eighths_behind_a_factor() -> onnx.ModelProto:
    """1/θ is no dyadic number: the factor in front must not take it in."""
    b = Builder()
    scaled = b.add("Mul", b.conv("x", (2, 3), 1), np.array([1.0, 0.5, 0.25], np.float32).reshape(3, 1, 1))
    return finished(b, b.act(scaled, step=0.375, levels=9, rounding="Ceil"), 48)


def coarse_weights_that_share_an_odd_factor() -> onnx.ModelProto:
    """Divided by it they are whole, and their thresholds rounded: ties were decided otherwise."""
    b = Builder()
    a = b.add("Mul", b.add("Clip", b.add("Floor", b.conv("x", (2, 3), 1)), 0.0, 1.0), 2.25)
    return finished(b, b.act(b.conv(a, (3, 3), 2), levels=15, step=0.25), 48)


EXAMPLES: list[Callable[[], onnx.ModelProto]] = [
    resized_in_front_of_another_change_of_opset,
    reflected_border_with_a_value,
    channels_of_both_signs_in_front_of_a_clip,
    clipped_by_absolute_values_of_channels,
    threshold_of_three_eighths_behind_a_factor,
    coarse_weights_that_share_an_odd_factor,
]


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_it_converts_without_loss(make: Callable[[], onnx.ModelProto]) -> None:
    check_example(make)
