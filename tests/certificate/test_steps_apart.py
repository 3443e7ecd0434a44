"""Large trains that are not divided: synapses see one time step after the other, with the same certificate."""

from __future__ import annotations

import onnx
import pytest
from helpers_graphs import samples
from helpers_networks import NETWORKS
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.certificate import forcing, verification
from onnx2snn.certificate.steps_apart import steps_apart


def gated() -> onnx.ModelProto:
    """A product of two signals: one is held, and the other's spikes multiply it."""
    net = Quantised(2)
    a = net.quantised(net.add("Conv", "x", net.weights(4, 3, 3, 3)), 0.03, 120)
    b = net.quantised(net.add("Sigmoid", net.add("Conv", a, net.weights(4, 4, 1, 1))), 0.004)
    product = net.quantised(net.add("Mul", net.add("Conv", a, net.weights(4, 4, 1, 1)), b), 0.02, 128)
    net.add("Conv", product, net.weights(2, 4, 1, 1), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 2, 6, 6]})


@pytest.mark.parametrize("name", ["residual", "several", "gated"])
def test_the_certificate_is_that_of_whole_trains(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    network = None if name == "gated" else NETWORKS[name]()
    source = gated() if network is None else network.model
    inputs = {"x": samples(3, 3, 8, 8)} if network is None else network.inputs(3)
    conversion = onnx2snn.convert(source)
    whole = onnx2snn.verify(source, conversion, inputs)
    parted: list[bool] = []

    def noted(*given: object) -> object:
        found = steps_apart(*given)  # type: ignore[arg-type]
        parted.append(found is not None)
        return found

    monkeypatch.setattr(forcing, "steps_apart", noted)
    monkeypatch.setattr(forcing, "divided", lambda *_: [])
    monkeypatch.setattr(forcing, "BLOCK", 1)
    monkeypatch.setattr("onnx2snn.certificate.compare.TRAIN", 1)
    verification._comparison.cache_clear()
    found = onnx2snn.verify(source, conversion, inputs)
    assert any(parted)
    assert all(parted) or name == "gated"
    assert found.lossless
    assert found.layers == whole.layers
