"""What tf2onnx leaves as operators of TensorFlow Lite."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.model.lite_operators import in_plain_operators
from onnx2snn.model.reference import run_reference
from onnx2snn.model.repairs import repaired


def gelu(x: np.ndarray, *, approximate: bool) -> np.ndarray:
    wide = x.astype(np.float64)
    if approximate:
        return wide * (1 + np.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))) / 2
    return wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2))) / 2


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_is_what_tensorflow_lite_computes(approximate: bool) -> None:
    model = make_model(
        [node("TFL_GELU", ["x"], ["y"], "gelu", approximate=int(approximate))],
        {},
        {"x": ["N", 5]},
        {"y": ["N", 5]},
    )
    x = samples(64, 5) * 3
    found = run_reference(repaired(model), {"x": x})["y"]
    np.testing.assert_allclose(found, gelu(x, approximate=approximate), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("approximate", [0, 1])
def test_an_int8_network_of_gelu_converts(approximate: int) -> None:
    net = Quantised()
    z = net.quantised(net.add("Conv", "x", net.weights(6, 3, 3, 3)), 0.04, 10, np.int8)
    a = net.quantised(net.add("TFL_GELU", z, approximate=approximate), 0.03, -120, np.int8)
    net.add("Conv", a, net.weights(4, 6, 3, 3), output="y")
    graph = onnx.helper.make_graph(
        net.nodes,
        "net",
        [onnx.helper.make_tensor_value_info("x", 1, ["N", 3, 8, 8])],
        [onnx.helper.make_tensor_value_info("y", 1, ["N", 4, 4, 4])],
        [onnx.numpy_helper.from_array(values, name) for name, values in net.constants.items()],
    )
    source = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8)
    conversion = onnx2snn.convert(source)
    assert conversion.timesteps == 8
    assert not conversion.non_spiking
    assert onnx2snn.verify(source, conversion, samples(3, 3, 8, 8)).lossless


def test_what_holds_none_stays_as_it_is() -> None:
    model = make_model([node("Neg", ["x"], ["y"], "neg")], {}, {"x": ["N"]}, {"y": ["N"]})
    assert in_plain_operators(model) is model
