"""Where nothing can be certified, values and answers are compared, and nothing is claimed."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_networks import NETWORKS, Builder

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

X = {"x": np.random.default_rng(0).normal(0, 1, (24, 6)).astype(np.float32)}


def test_a_rate_code() -> None:
    network = NETWORKS["floor"]()
    inputs = network.inputs(30)
    conversion = onnx2snn.convert(network.model, coding="rate", timesteps=60)
    certificate = onnx2snn.verify(network.model, conversion.model, inputs)
    assert (certificate.lossless, certificate.approximate) == (False, True)
    expected = run_reference(network.model, inputs)["y"].astype(np.float64)
    found = SpikingSession(conversion.model.SerializeToString()).run(inputs).outputs["y"]
    assert certificate.max_abs_error == pytest.approx(np.abs(found - expected).max(), rel=1e-6)
    assert certificate.top1_agreement == pytest.approx(np.mean(found.argmax(1) == expected.argmax(1)))
    first, second = certificate.layers
    assert first.levels_compared == 30 * first.neurons
    assert first.unexplained == first.propagated == 0
    assert first.signal_to_noise is not None
    assert second.signal_to_noise is not None
    assert onnx2snn.verify(network.model, conversion.model).generated


def test_a_rate_code_is_exact_in_its_first_layer() -> None:
    b = Builder()
    a = b.act(b.dense("x", (6, 8), 1), levels=8)  # x/8 is exact
    model = b.model({"x": ["N", 6]}, {"y": (b.dense(a, (8, 3), 3), ["N", 3])})
    conversion = onnx2snn.convert(model, coding="rate")
    first = onnx2snn.verify(model, conversion.model, NETWORKS["floor"]().inputs(30)).layers[0]
    assert first.exact == first.levels_compared
    assert first.signal_to_noise is None  # no noise at all


@pytest.mark.parametrize("classes", [False, True])
def test_a_float_source(*, classes: bool) -> None:
    b = Builder()
    out = b.dense(b.add("Relu", b.dense("x", (6, 8), 1)), (8, 3), 3)
    model = b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])})
    data = {**X, "labels": np.arange(24) % 3} if classes else X
    conversion = onnx2snn.convert(model, calibrate=X, timesteps=4, exact=False)
    assert conversion.calibration is not None
    certificate = onnx2snn.verify(model, conversion.model, data)
    assert (certificate.lossless, certificate.approximate) == (False, True)
    assert certificate.top1_agreement == conversion.calibration.top1_agreement
    assert (certificate.accuracy is not None) is classes
    assert certificate.layers[0].signal_to_noise == pytest.approx(
        conversion.calibration.layers[0].signal_to_noise, rel=1e-3
    )
    assert onnx2snn.verify(conversion.calibration.model, conversion.model, X).lossless


def test_another_float_network_is_still_refused() -> None:
    b = Builder()
    model = b.model(
        {"x": ["N", 6]}, {"y": (b.dense(b.add("Relu", b.dense("x", (6, 8), 1)), (8, 3), 3), ["N", 3])}
    )
    foreign = NETWORKS["floor"]()
    conversion = onnx2snn.convert(foreign.model)
    with pytest.raises(onnx2snn.InvalidModelError, match="no quantised activation"):
        onnx2snn.verify(model, conversion.model, X)
