"""Layers one by one, each given the levels of those before it."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from helpers_graphs import samples
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.certificate import forcing, verification


def chain(layers: int) -> onnx.ModelProto:
    """So many convolutions, one after the other."""
    net = Quantised(2)
    x = net.quantised(net.add("Conv", "x", net.weights(3, 3, 1, 1)), 0.03, 120)
    for _ in range(layers):
        x = net.quantised(net.add("Conv", x, net.weights(3, 3, 1, 1)), 0.03, 120)
    net.add("Conv", x, net.weights(2, 3, 1, 1), output="y")
    return net.model({"x": ["N", 3, 4, 4]}, {"y": ["N", 2, 4, 4]})


def test_what_computes_a_layer_does_not_grow_with_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def noted(model: Any) -> Any:
        sizes.append(model.structure.ByteSize())
        return forcing_runner(model)

    forcing_runner = forcing.make_runner
    monkeypatch.setattr(forcing, "make_runner", noted)
    monkeypatch.setattr("onnx2snn.certificate.compare.TRAIN", 1)
    largest = []
    for layers in (2, 12):
        source = chain(layers)
        verification._comparison.cache_clear()
        sizes.clear()
        assert onnx2snn.verify(source, onnx2snn.convert(source), {"x": samples(1, 3, 4, 4)}).lossless
        assert len(sizes) > layers
        largest.append(max(sizes))
    assert largest[1] < 1.1 * largest[0]
