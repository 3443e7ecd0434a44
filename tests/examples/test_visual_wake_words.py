"""The pictures of the example are what an int8 network of its interface reads: a drawn one converts, is certified, runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers_graphs import make_model
from helpers_quantised import Quantised
from onnx import ModelProto, TensorProto

import onnx2snn
from onnx2snn.data import input_specs, open_data
from onnx2snn.runtime import SpikingSession

PICTURES = Path(__file__).resolve().parents[2] / "examples" / "visual_wake_words" / "pictures"


def drawn_network() -> ModelProto:
    """int8 pixels (1, 96, 96, 3) to int8 scores (1, 2), channels last outside, as tf2onnx writes it."""
    drawn = Quantised(seed=3)
    scales = {
        "sx": np.float32(0.0078431),
        "zx": np.int8(-1),
        "sy": np.float32(0.00390625),
        "zy": np.int8(-128),
    }
    drawn.constants.update(scales)
    pixels = drawn.add("DequantizeLinear", "x", "sx", "zx")
    channels_first = drawn.add("Transpose", pixels, perm=[0, 3, 1, 2])
    seen = drawn.add("Conv", channels_first, drawn.weights(8, 3, 8, 8), strides=[8, 8])
    layer = drawn.quantised(drawn.add("Relu", seen), 0.03, -128, np.int8)
    pooled = drawn.quantised(drawn.add("AveragePool", layer, kernel_shape=[12, 12]), 0.02, -128, np.int8)
    scores = drawn.add("MatMul", drawn.add("Flatten", pooled), drawn.weights(8, 2))
    answer = drawn.add("Softmax", drawn.quantised(scores, 0.05, 3, np.int8), axis=1)
    drawn.add("QuantizeLinear", answer, "sy", "zy", output="y")
    types = {"x": TensorProto.INT8, "y": TensorProto.INT8}
    return make_model(drawn.nodes, drawn.constants, {"x": [1, 96, 96, 3]}, {"y": [1, 2]}, types=types)


def test_pictures_become_codes_and_answers(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image", reason="needs Pillow")
    network = drawn_network()
    conversion = onnx2snn.convert(network)
    data = open_data(PICTURES, input_specs(network))
    batch = next(data.batches(len(data)))
    (pixels,) = batch.inputs.values()
    assert pixels.dtype == np.int8
    assert pixels.shape == (4, 96, 96, 3)
    assert batch.labels is not None
    assert batch.labels.tolist() == [0, 0, 1, 1]
    certificate = onnx2snn.verify(network, conversion, data)
    assert certificate.lossless
    assert certificate.samples == 4
    compiled = onnx2snn.compile(conversion, execution="fused")
    answers = [
        SpikingSession(model.SerializeToString()).run(batch.inputs).outputs["y"]
        for model in (conversion.model, compiled.model)
    ]
    np.testing.assert_array_equal(*answers)
    assert answers[0].dtype == np.int8
