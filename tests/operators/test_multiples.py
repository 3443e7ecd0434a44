"""What results are multiples of, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.model.weights import split_model
from onnx2snn.operators.signals import Precision


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_synapses_of_a_group_keep_the_steps_of_their_channel(groups: int) -> None:
    steps = np.array([2.0**-20, 2.0**-3, 1.0, 2.0**10], np.float32)
    weights = np.ones((4, 4 // groups, 3, 3), np.float32) * (3 * steps).reshape(-1, 1, 1, 1)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups, pads=[1] * 4)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 5, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 5, 5])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(5 * steps, "b")],
    )
    model = split_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    x = np.full((1, 4, 5, 5), 15.0, np.float32)
    found = RunningError(model)({"x": x}, {"x": 1.0}, Precision(timesteps=4)).rounding.quantum
    np.testing.assert_array_equal(np.broadcast_to(np.ravel(found), 4), steps)
