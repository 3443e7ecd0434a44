"""Outputs are those of the file as it is; where a session of it answers others, its levels are read from the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.certificate.as_written import AsWritten, near
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.model.weights import split_model
from onnx2snn.runtime import SpikingSession

W = ((np.arange(24).reshape(4, 6) - 11) / 8).astype(np.float32)
V = ((np.arange(18).reshape(6, 3) - 8) / 8).astype(np.float32)
X = np.round(np.random.default_rng(0).normal(0, 2, (6, 4)) * 8).astype(np.float32) / 8


def source(batch: int | str) -> onnx.ModelProto:
    nodes = [
        node("MatMul", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "s"], ["q"]),
        node("DequantizeLinear", ["q", "s"], ["d"]),
        node("MatMul", ["d", "v"], ["y"]),
    ]
    constants = {"w": W, "v": V, "s": np.float32(0.25)}
    return make_model(nodes, constants, {"x": [batch, 4]}, {"y": [batch, 3]})


class Other:
    """A session in which one neuron fires another level."""

    def __init__(self, session: SpikingSession, off: float) -> None:
        self._session, self._off = session, off
        self.timesteps = session.timesteps

    def levels(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self._session.levels(inputs)
        found["d/neuron"] = found["d/neuron"] + 1
        found["y"] = found["y"] + np.float32(self._off)
        return found


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_levels_are_those_of_the_file(batch: Any, fused: bool) -> None:
    conversion = onnx2snn.convert(source(batch), execution="fused" if fused else "spiking")
    network = split_model(conversion.model)
    session = SpikingSession(conversion.model.SerializeToString())
    name, train = (read_layer_table(conversion.model)["layers"][0][key] for key in ("name", "output"))
    assert name == "d/neuron"
    expected = session.levels({"x": X})
    for off, other in ((0.25, 0), (0.0, 1)):
        shown = AsWritten(Other(session, off), network, {name: train}, fused=fused)  # type: ignore[arg-type]
        found = shown.levels({"x": X})
        np.testing.assert_array_equal(found["y"], expected["y"])
        np.testing.assert_array_equal(found[name], expected[name] + other)


def test_near_answers_need_no_explanation() -> None:
    one = np.array([1.0, 1000.0], np.float32)
    assert near(one + np.float32(1e-4), one)
    assert not near(one + np.float32(1e-2), one)
    assert not near(np.array([1, 2]), np.array([1, 3]))
