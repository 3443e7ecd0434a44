"""Networks exported in training mode are told to be exported again, and converted when they were."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn

RANDOM = np.random.default_rng(0)


def network(between: onnx.NodeProto, **constants: object) -> onnx.ModelProto:
    """Two quantised dense layers with an operator, d ─▶ u, between."""
    held = {
        "w": (RANDOM.integers(-8, 9, (8, 8)) / 16).astype(np.float32), "s": np.float32(0.25), "z": np.uint8(0), **constants,
    }  # fmt: skip
    nodes = [
        node("MatMul", ["x", "w"], ["c"], "dense"),
        node("QuantizeLinear", ["c", "s", "z"], ["q"], "quantise"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise"),
        between,
        node("MatMul", ["u", "w"], ["y"], "readout"),
    ]
    return make_model(nodes, held, {"x": ["N", 8]}, {"y": ["N", 8]}, opset=17)


def dropout(training: bool) -> onnx.ModelProto:
    between = node("Dropout", ["d", "half", "training"], ["u"], "drop")
    return network(between, half=np.float32(0.5), training=np.array(training))


def batch_norm(training: int) -> onnx.ModelProto:
    outputs = ["u", "mean", "variance"] if training else ["u"]
    between = node(
        "BatchNormalization", ["d", "one", "nil", "nil", "one"], outputs, "norm", training_mode=training
    )
    return network(between, one=np.ones(8, np.float32), nil=np.zeros(8, np.float32))


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(("model", "name"), [(dropout(True), "drop"), (batch_norm(1), "norm")])
def test_training_mode_is_named_with_what_mends_it(model: onnx.ModelProto, name: str, hybrid: bool) -> None:
    with pytest.raises(onnx2snn.ConversionError, match="exported in training mode") as caught:
        onnx2snn.convert(model, hybrid=hybrid)
    assert caught.value.node == name
    assert "model.eval()" in str(caught.value)


@pytest.mark.parametrize("model", [dropout(False), batch_norm(0)], ids=["dropout", "batch norm"])
def test_the_same_in_evaluation_mode_converts(model: onnx.ModelProto) -> None:
    assert onnx2snn.convert(model).tried == "equal"
