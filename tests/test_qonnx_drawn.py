"""Drawn networks of QONNX: bits, roundings, signs, zero points; the spiking network answers what the definition says."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_qonnx import DOMAIN, MODES

import onnx2snn
from onnx2snn.model.reference import run_reference


class Drawn:
    """Two layers of synapses and what quantises them, all numbers dyadic: nothing rounds, so levels are equal.

    Args:
        seed: Of everything.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._constants: dict[str, np.ndarray] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._spatial = bool(self._random.random() < 0.5)

    def model(self) -> tuple[onnx.ModelProto, np.ndarray]:
        """A network and what to present to it."""
        shape = (3, 6, 6) if self._spatial else (6,)
        x, channels = "x", shape[0]
        for _ in range(2):
            x, channels = self._layer(x, channels)
        if self._spatial:
            x = self._add("Flatten", self._add("GlobalMaxPool", x))
        self._nodes.append(node("MatMul", [x, self._weights(channels, 3)], ["y"]))
        domains = [DOMAIN] if self._chance() else []
        model = make_model(
            self._nodes, self._constants, {"x": ["N", *shape]}, {"y": ["N", 3]}, opset=13, domains=domains
        )
        return model, (self._random.integers(-32, 33, (8, *shape)) / 8).astype(np.float32)

    def _layer(self, x: str, channels: int) -> tuple[str, int]:
        size = int(self._random.integers(3, 7))
        if self._spatial:
            weights = self._weights(size, channels, 3, 3)
            x = self._add("Conv", x, self._quantised_weights(weights), pads=[1, 1, 1, 1])
        else:
            weights = self._quantised_weights(self._weights(channels, size))
            x = self._add("Gemm" if self._chance() else "MatMul", x, weights)
        if self._chance():
            x = self._add("Relu", x)
        return self._activation(x, size), size

    def _activation(self, x: str, channels: int) -> str:
        kind = self._random.choice(
            ["Quant", "IntQuant", "BipolarQuant", "MultiThreshold"], p=[0.6, 0.1, 0.1, 0.2]
        )
        column = (1, channels) + (1, 1) * self._spatial
        scale = 2.0 ** self._random.integers(-3, 0, column if self._chance() else ())
        if kind == "BipolarQuant":
            return self._add(kind, x, self._hold(scale), domain=DOMAIN)
        if kind == "MultiThreshold":
            thresholds = np.sort(self._random.integers(-16, 17, (1, int(self._random.integers(1, 8)))) / 8)
            numbers = {"out_scale": 0.5, "out_bias": -1.0}
            return self._add(kind, x, self._hold(thresholds), domain=DOMAIN, out_dtype="INT4", **numbers)
        zero = self._random.choice([0, 0, 1, 3, -2, 0.5])
        signed = int(self._chance())
        bits = self._random.integers(2, 5, column) if self._chance() else self._random.integers(1, 7)
        attributes = {"narrow": int(self._chance()), "rounding_mode": str(self._random.choice(MODES))}
        parameters = [self._hold(scale), self._hold(zero), self._hold(bits)]
        return self._add(kind, x, *parameters, domain=DOMAIN, signed=signed, **attributes)

    def _quantised_weights(self, weights: str) -> str:
        bits = self._hold(self._random.choice([1, 2, 4]))
        quantised = {"signed": 1, "narrow": int(self._chance()), "rounding_mode": "ROUND"}
        return self._add("Quant", weights, self._hold(0.125), self._hold(0), bits, domain=DOMAIN, **quantised)

    def _weights(self, *shape: int) -> str:
        return self._hold(self._random.integers(-8, 9, shape) / 16)

    def _chance(self) -> bool:
        return bool(self._random.random() < 0.5)

    def _hold(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = np.asarray(value, np.float32)
        return name

    def _add(self, operator: str, *read: str, **attributes: Any) -> str:
        name = f"t{len(self._nodes)}"
        self._nodes.append(node(operator, list(read), [name], **attributes))
        return name


@pytest.mark.parametrize("seed", range(10))
def test_drawn_networks(seed: int) -> None:
    model, x = Drawn(seed).model()
    converted = onnx2snn.convert(model).model
    np.testing.assert_array_equal(
        run_reference(converted, {"x": x})["y"], run_reference(model, {"x": x})["y"]
    )
    assert onnx2snn.verify(model, converted, {"x": x}).lossless
