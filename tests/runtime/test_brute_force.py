"""Synaptic operations against a count in plain Python: every spike, every weight it meets."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx2snn
from onnx2snn.runtime import SpikingSession

WEIGHTS = np.random.default_rng(3)


def network(*, stride: int, pad: int, group: int) -> tuple[object, np.ndarray]:
    """Convolution, neuron, convolution under test, neuron, mean."""
    first = WEIGHTS.normal(0, 0.5, (4, 2, 1, 1)).astype(np.float32)
    second = WEIGHTS.normal(0, 0.5, (6, 4 // group, 3, 3)).astype(np.float32)
    second[np.abs(second) < 0.2] = 0
    constants = {
        "w1": first,
        "w2": second,
        "t": np.float32(0.25),
        "h": np.float32(0.5),
        "k": np.float32(7),
        "o": np.float32(0),
    }

    def neuron(source: str, name: str) -> list[object]:
        chain = [
            ("Div", [source, "t"]),
            ("Add", [f"{name}0", "h"]),
            ("Floor", [f"{name}1"]),
            ("Clip", [f"{name}2", "o", "k"]),
        ]
        nodes = [helper.make_node(op, read, [f"{name}{i}"]) for i, (op, read) in enumerate(chain)]
        return [*nodes, helper.make_node("Mul", [f"{name}3", "t"], [name])]

    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["z1"]),
        *neuron("z1", "a"),
        helper.make_node("Conv", ["a", "w2"], ["z2"], pads=[pad] * 4, strides=[stride] * 2, group=group),
        *neuron("z2", "b"),
        helper.make_node("GlobalAveragePool", ["b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 6, 1, 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), second


def operations(spikes: np.ndarray, weights: np.ndarray, *, stride: int, pad: int, group: int) -> int:
    """Accumulates that ``spikes`` (C, H, W) cause in a convolution: one for each weight that is not zero."""
    count = 0
    outputs, per_group, kh, kw = weights.shape
    height, width = ((s + 2 * pad - 3) // stride + 1 for s in spikes.shape[1:])
    for o, i, j in product(range(outputs), range(height), range(width)):
        first = (o // (outputs // group)) * per_group
        for c, u, v in product(range(per_group), range(kh), range(kw)):
            row, column = i * stride + u - pad, j * stride + v - pad
            inside = 0 <= row < spikes.shape[1] and 0 <= column < spikes.shape[2]
            if inside and weights[o, c, u, v] != 0:
                count += int(spikes[first + c, row, column])
    return count


@pytest.mark.parametrize(("stride", "pad", "group"), [(1, 0, 1), (1, 1, 1), (2, 1, 1), (2, 1, 2), (1, 1, 2)])
@pytest.mark.parametrize("execution", ["spiking", "fused"])
def test_operations_are_counted_at_borders_strides_and_groups(
    stride: int, pad: int, group: int, execution: str
) -> None:
    model, weights = network(stride=stride, pad=pad, group=group)
    conversion = onnx2snn.convert(model)
    session = SpikingSession(conversion.model.SerializeToString(), execution=execution)
    inputs = {"x": np.random.default_rng(0).normal(0, 1, (3, 2, 5, 5)).astype(np.float32)}
    result, trace = session.run(inputs), session.trace(inputs)
    first, second = (layer.name for layer in conversion.layers)
    for sample in range(3):
        spikes = trace.spikes[first][:, sample].sum(axis=0)
        assert result.spikes[first][sample] == spikes.sum()
        assert result.synops[first][sample] == operations(
            spikes, weights, stride=stride, pad=pad, group=group
        )
        assert result.synops[second][sample] == trace.spikes[second][:, sample].sum()  # one way into the mean


def test_potentials_follow_the_neurons_equation() -> None:
    model, _ = network(stride=1, pad=1, group=1)
    conversion = onnx2snn.convert(model)
    session = SpikingSession(conversion.model.SerializeToString())
    inputs = {"x": np.random.default_rng(1).normal(0, 1, (2, 2, 5, 5)).astype(np.float32)}
    trace, levels = session.trace(inputs), session.levels(inputs)
    T = conversion.timesteps
    for layer in conversion.layers:
        train, course = trace.spikes[layer.name], trace.potentials[layer.name]
        assert train.shape == (T, 2, *layer.shape)
        assert course.shape == (2 * T, 2, *layer.shape)
        weights = 2.0 ** np.arange(T - 1, -1, -1)
        np.testing.assert_array_equal(np.tensordot(weights, train, axes=1), levels[layer.name])
        np.testing.assert_array_equal(course[T:] >= trace.thresholds[layer.name], train)
        taken = train * trace.resets[layer.name]  # soft reset: by what was fired
        np.testing.assert_array_equal(course[T + 1 :], (course[T:] - taken)[:-1])
