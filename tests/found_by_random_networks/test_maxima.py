"""Maxima: found by random networks, each as small as it shrank to and named after what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_found import check_example, finished
from helpers_networks import Builder, dyadic


def maximum_of_channels_with_other_counts() -> onnx.ModelProto:
    """Whether an activation rises was asked of all channels at once: a crash where the clip cuts at other levels in each."""
    b = Builder()
    steps = np.array([0.25, 0.5, 1.0], np.float32).reshape(3, 1, 1)
    levels = b.add("Mul", b.add("Floor", b.add("Div", b.conv("x", (2, 3), 1), steps)), steps)
    clipped = b.add("Clip", levels, 0.0, 3.0)
    return finished(b, b.add("MaxPool", clipped, kernel_shape=[2, 2], strides=[2, 2]), 12)


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


def pooled_maximum_of_two_activations() -> onnx.ModelProto:
    """The maximum of two had to become one neuron before the pooling could see it."""
    b = Builder()
    both = b.add("Max", b.act(b.conv("x", (2, 3), 1)), b.act(b.conv("x", (2, 3), 3)))
    return finished(b, b.add("GlobalMaxPool", both), 3)


def maximum_of_joined_levels_that_fall_when_rounded_again() -> onnx.ModelProto:
    """To even, by channels that end at an odd level and at an even one: turned round, ties would go to other sides in each."""
    b = Builder()
    parts = [
        b.act(b.conv("x", (2, 1), 1), levels=3, step=1.0),
        b.act(b.conv("x", (2, 1), 5), levels=1, step=2.0),
        b.act(b.conv("x", (2, 1), 3), step=1.0),
    ]
    again = b.add("Round", b.add("Mul", b.add("Concat", *parts, axis=1), -0.25))
    return finished(b, b.add("GlobalMaxPool", again), 3)


EXAMPLES: list[Callable[[], onnx.ModelProto]] = [
    maximum_of_channels_with_other_counts,
    maximum_of_a_falling_activation,
    maximum_over_axes_of_parameters_by_channel,
    maximum_of_decoded_maxima,
    maximum_side_by_side,
    maximum_of_a_part,
    batch_norm_behind_a_maximum,
    pooled_maximum_of_two_activations,
    maximum_of_joined_levels_that_fall_when_rounded_again,
]


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_it_converts_without_loss(make: Callable[[], onnx.ModelProto]) -> None:
    check_example(make)
