"""The rate code: plain integrate-and-fire neurons, against a simulation in a few lines of NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import NETWORKS, Builder, Network

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.remedies import BINARY
from onnx2snn.runtime import SpikingSession


def plain_if(current: np.ndarray, threshold: float) -> np.ndarray:
    """Spikes (T, ...) of a neuron that starts at half its threshold; soft reset."""
    v = np.full(current.shape[1:], threshold / 2, np.float32)
    spikes = np.zeros_like(current)
    for t, driven in enumerate(current):
        v = v + driven
        spikes[t] = v >= threshold
        v = v - spikes[t] * threshold
    return spikes


def two_layers(levels: int) -> Network:
    b = Builder()
    first = b.act(b.dense("x", (6, 8), 1), levels=levels, shift=0.5)
    second = b.act(b.dense(first, (8, 8), 3), levels=levels, shift=0.5)
    out = b.dense(second, (8, 3), 5)
    return Network(b.model({"x": ["N", 6]}, {"y": (out, ["N", 3])}), {"x": (6,)})


@pytest.mark.parametrize("timesteps", [8, 16])
def test_neurons_are_plain_integrate_and_fire(timesteps: int) -> None:
    network = two_layers(levels=8)  # θ = 1/2, so the range of an activation is 4
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in network.model.graph.initializer}
    x = network.inputs(20)["x"]
    conversion = onnx2snn.convert(network.model, coding="rate", timesteps=timesteps)
    session = SpikingSession(conversion.model.SerializeToString())
    found = session.trace({"x": x}).spikes
    theta = 4.0 / timesteps  # what one spike is worth
    w1, b1, w2, b2 = (constants[name] for name in weights_of(network))
    first = plain_if(np.repeat((x @ w1 + b1)[None], timesteps, axis=0), timesteps * theta)
    second = plain_if(first * (timesteps * theta) @ w2 + b2, timesteps * theta)
    names = [layer["name"] for layer in session.layers]
    np.testing.assert_array_equal(found[names[0]], first)
    np.testing.assert_array_equal(found[names[1]], second)
    counts = session.levels({"x": x})
    np.testing.assert_array_equal(counts[names[1]], second.sum(axis=0))
    result = session.run({"x": x})
    np.testing.assert_array_equal(result.spikes[names[1]], second.sum(axis=(0, 2)))
    assert all(layer["timesteps"] == timesteps for layer in session.layers)


def weights_of(network: Network) -> list[str]:
    """Names of weights and biases of the first two dense layers."""
    gemms = [n for n in network.model.graph.node if n.op_type == "Gemm"][:2]
    return [name for n in gemms for name in n.input[1:3]]


@pytest.mark.parametrize(
    "name", ["floor", "half_even", "ceil", "residual", "pooled", "of_any_size", "signed"]
)
def test_many_steps_come_near_the_source(name: str) -> None:
    network = NETWORKS[name]()
    inputs = network.inputs(30)
    expected = run_reference(network.model, inputs)
    conversion = onnx2snn.convert(network.model, coding="rate", timesteps=120)
    found = SpikingSession(conversion.model.SerializeToString(), execution="fused").run(inputs).outputs
    for key, value in expected.items():
        assert np.abs(found[key] - value).mean() < 0.1 * np.ptp(value), key


def test_a_rate_code_has_one_form() -> None:
    network = NETWORKS["floor"]()
    for options in ({"bias": "paper"}, {"execution": "fused"}):
        with pytest.raises(onnx2snn.InputError, match="one form"):
            onnx2snn.convert(network.model, coding="rate", **options)
    content = onnx2snn.convert(network.model, coding="rate").model.SerializeToString()
    assert SpikingSession(content, execution="fused").execution == "spiking"
    with pytest.raises(onnx2snn.InvalidModelError, match="not streamed"):
        SpikingSession(content, execution="streaming")


def test_the_numpy_backend_counts_the_same_spikes() -> None:
    network = NETWORKS["floor"]()
    content = onnx2snn.convert(network.model, coding="rate").model.SerializeToString()
    inputs = network.inputs(5)
    found = [SpikingSession(content, backend=b).run(inputs).spikes for b in ("onnxruntime", "numpy")]
    assert {k: v.tolist() for k, v in found[0].items()} == {k: v.tolist() for k, v in found[1].items()}


def test_thresholds_that_samples_scale_are_refused() -> None:
    b = Builder()
    hidden = b.act(b.dense("x", (6, 8), 1), levels=7)
    scale, shift = np.ones(8, np.float32), np.zeros(8, np.float32)
    normed = b.add("LayerNormalization", b.dense(hidden, (8, 8), 3), scale, shift, axis=-1)
    model = b.model({"x": ["N", 6]}, {"y": (b.dense(b.act(normed, levels=7), (8, 3), 5), ["N", 3])})
    assert onnx2snn.convert(model).layers
    with pytest.raises(onnx2snn.ConversionError, match="each sample scales that of this one") as caught:
        onnx2snn.convert(model, coding="rate")
    assert caught.value.remedy == BINARY
