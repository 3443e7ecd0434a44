"""What results are multiples of, channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.model.weights import split_model
from onnx2snn.operators.signals import Precision

STEPS = np.array([2.0**-20, 2.0**-3, 1.0, 2.0**10], np.float32)


def quantum(node: onnx.NodeProto, constants: dict[str, Any]) -> list[float]:
    """By channel, of the answer of ``node`` to levels of four channels."""
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 5, 5])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return quantum_of(graph)


def quantum_of(graph: onnx.GraphProto) -> list[float]:
    """Of four channels of whole levels."""
    model = split_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    x = np.full((1, 4, 5, 5), 15.0, np.float32)
    found = RunningError(model)({"x": x}, {"x": 1.0}, Precision(timesteps=4)).rounding.quantum
    channels = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return [float(one) for one in np.broadcast_to(np.ravel(found), channels)]


@pytest.mark.parametrize("operator", ["Mul", "Add"])
def test_a_constant_by_channel_beside_whole_levels(operator: str) -> None:
    values = {"c": 3 * STEPS.reshape(4, 1, 1)}
    expected = STEPS if operator == "Mul" else np.minimum(STEPS, 1)
    assert quantum(helper.make_node(operator, ["x", "c"], ["y"]), values) == list(expected)


def test_what_stands_beside_each_other_keeps_its_own() -> None:
    weights = np.ones((1, 4, 1, 1), np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "fine"], ["a"]),
            helper.make_node("Conv", ["x", "coarse"], ["b"]),
            helper.make_node("Concat", ["a", "b"], ["y"], axis=1),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 5, 5])],
        [numpy_helper.from_array(weights / 8, "fine"), numpy_helper.from_array(weights * 4, "coarse")],
    )
    assert quantum_of(graph) == [0.125, 4.0]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_synapses_of_a_group_keep_the_steps_of_their_channel(groups: int) -> None:
    weights = np.ones((4, 4 // groups, 3, 3), np.float32) * (3 * STEPS).reshape(-1, 1, 1, 1)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups, pads=[1] * 4)
    assert quantum(node, {"w": weights, "b": 5 * STEPS}) == list(STEPS)
