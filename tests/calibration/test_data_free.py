"""Without data: batch norms say what the training data was like."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import Builder

import onnx2snn
from onnx2snn.calibration.data_free import matched
from onnx2snn.model.reference import run_reference

RANDOM = np.random.default_rng(5)


def network(*, size: int | str = 8) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Convolutions with batch norms that hold the statistics of the samples; the input is far from unit noise."""
    x = {"x": (RANDOM.normal(0, 1, (64, 1, 8, 8)) * 0.3 + 2).astype(np.float32)}
    b = Builder()
    a = "x"
    for inputs, outputs in ((1, 6), (6, 6)):
        z = b.add(
            "Conv", a, RANDOM.normal(0, 1, (outputs, inputs, 3, 3)).astype(np.float32), pads=[1, 1, 1, 1]
        )
        found = run_reference(b.model({"x": ["N", 1, 8, 8]}, {"z": (z, ["N", outputs, 8, 8])}), x)["z"]
        b.nodes.pop()
        moments = [found.mean(axis=(0, 2, 3)), found.var(axis=(0, 2, 3))]
        given = [
            RANDOM.uniform(0.5, 3, outputs).astype(np.float32),
            RANDOM.normal(0, 1, outputs).astype(np.float32),
        ]
        a = b.add("Relu", b.add("BatchNormalization", z, *given, *moments))
    out = b.add("Conv", b.add("GlobalAveragePool", a), RANDOM.normal(0, 1, (3, 6, 1, 1)).astype(np.float32))
    return b.model({"x": ["N", 1, size, size]}, {"y": (b.add("Flatten", out), ["N", 3])}), x


def test_thresholds_come_near_those_of_the_data() -> None:
    model, x = network()
    expected = run_reference(model, x)["y"]
    errors = []
    for data in (None, x):
        calibration = onnx2snn.calibrate(model, data, timesteps=5, method="mse")
        found = run_reference(calibration.model, x)["y"]
        errors.append(float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std()))
    assert errors[0] < 0.1
    assert errors[0] < 4 * errors[1]


def test_nothing_is_measured() -> None:
    model, x = network()
    calibration = onnx2snn.calibrate(model, timesteps=4)
    assert calibration.samples == 0
    assert calibration.output_error is calibration.top1_agreement is calibration.accuracy is None
    assert [layer.signal_to_noise for layer in calibration.layers] == [None, None]
    conversion = onnx2snn.convert(calibration.model)
    assert onnx2snn.verify(calibration.model, conversion.model, x).lossless


def test_refusals() -> None:
    b = Builder()
    out = b.dense(b.add("Relu", b.dense("x", (6, 8), 1)), (8, 3), 3)
    without = b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])})
    with pytest.raises(onnx2snn.InputError, match="no batch norm"):
        onnx2snn.calibrate(without)
    model, _ = network(size="S")
    with pytest.raises(onnx2snn.InputError, match="nothing can be drawn"):
        onnx2snn.calibrate(model)
    with pytest.raises(onnx2snn.InputError, match="needs data"):
        onnx2snn.calibrate(network()[0], timesteps="auto")


def test_moments_are_matched() -> None:
    z = RANDOM.normal(3, 2, (16, 2, 5, 5)).astype(np.float32)
    found = matched(z, np.array([1.0, -1.0]), np.array([0.5, 2.0]))
    np.testing.assert_allclose(found.mean(axis=(0, 2, 3)), [1, -1], atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 2, 3)), [0.5, 2], rtol=1e-5)
