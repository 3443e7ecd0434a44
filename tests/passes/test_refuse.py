"""What is said of networks that do not convert: the obstacle itself, and a remedy that leads on."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples

import onnx2snn
from onnx2snn.errors import ConversionError

X = {"x": samples(40, 1, 8, 8)}
CONSTANTS = {
    "w1": samples(4, 1, 3, 3),
    "w2": samples(36, 12),
    "w3": samples(12, 5),
    "k": np.float32(15),
    "zero": np.float32(0),
    "one": np.float32(1),
}


def activation(operator: str, source: str, name: str) -> list[onnx.NodeProto]:
    """One operator, or a quantised activation."""
    if operator != "quantised":
        return [node(operator, [source], [name], name=name)]
    return [
        node("Clip", [source, "zero", "one"], [f"{name}_c"]),
        node("Mul", [f"{name}_c", "k"], [f"{name}_m"]),
        node("Round", [f"{name}_m"], [f"{name}_r"]),
        node("Div", [f"{name}_r", "k"], [name]),
    ]


def network(first: str, second: str, **constants: np.ndarray) -> onnx.ModelProto:
    """Convolution, activation, max pooling, dense layer, activation, dense layer."""
    nodes = [
        node("Conv", ["x", "w1"], ["z1"], name="conv"),
        *activation(first, "z1", "first"),
        node("MaxPool", ["first"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "w2"], ["z2"], name="dense"),
        *activation(second, "z2", "second"),
        node("MatMul", ["second", "w3"], ["y"]),
    ]
    return make_model(nodes, {**CONSTANTS, **constants}, {"x": ["N", 1, 8, 8]}, {"y": ["N", 5]})


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("Relu", "Relu", "first"),
        ("Relu", "Identity", "first"),
        ("Identity", "Relu", "second"),
        ("Relu", "Sigmoid", "first"),
        ("HardSwish", "Relu", "first"),
        ("LeakyRelu", "Relu", "first"),
        ("Relu", "quantised", "first"),
        ("quantised", "Relu", "second"),
    ],
)
def test_a_float_network_is_told_to_calibrate_and_then_converts(first: str, second: str, named: str) -> None:
    model = network(first, second)
    with pytest.raises(
        ConversionError, match=r"in Python: calibrate=data\): --calibrate DATA --timesteps 4"
    ) as caught:
        onnx2snn.convert(model)
    assert caught.value.node == named
    hybrid = "--hybrid" in (caught.value.remedy or "")
    assert onnx2snn.convert(model, calibrate=X, timesteps=4, hybrid=hybrid).layers


@pytest.mark.parametrize("operator", ["LeakyRelu", "Sigmoid", "HardSwish"])
def test_functions_are_calibrated(operator: str) -> None:
    assert onnx2snn.convert(network(operator, operator), calibrate=X, timesteps=4).layers


def test_a_pool_that_only_waits_for_its_activation_is_no_obstacle_of_its_own() -> None:
    inspected = onnx2snn.inspect_model(network("Relu", "quantised"))
    assert [miss.node for miss in inspected.rejected] == ["first"]


@pytest.mark.parametrize(
    ("name", "value", "reader", "operator"),
    [
        ("w1", np.nan, "conv", "Conv"),
        ("w1", np.inf, "conv", "Conv"),
        ("w2", -np.inf, "dense", "MatMul"),
        ("one", np.nan, None, "Clip"),
    ],
)
@pytest.mark.parametrize("calibrate", [None, X])
def test_weights_that_are_no_numbers_are_named(
    name: str, value: float, reader: str | None, operator: str, calibrate: dict[str, np.ndarray] | None
) -> None:
    spoilt = np.array(CONSTANTS[name])
    spoilt.ravel()[-1:] = value
    with pytest.raises(ConversionError, match=re.escape(f"its constant '{name}' holds values")) as caught:
        onnx2snn.convert(network("quantised", "quantised", **{name: spoilt}), calibrate=calibrate)
    assert caught.value.operator == operator
    assert reader is None or caught.value.node == reader


def test_a_bound_may_be_infinite() -> None:
    model = network("quantised", "quantised")
    model.graph.node.append(node("Clip", ["y", "", "top"], ["clipped"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(np.inf), "top"))
    model.graph.output[0].name = "clipped"
    assert onnx2snn.convert(model).layers
