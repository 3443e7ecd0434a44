"""Networks that leave sizes open are made exact with sizes that fit each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn

X = {"x": np.random.default_rng(0).normal(size=(6, 3, 8, 12)).astype(np.float32)}


def weights(*shape: int) -> np.ndarray:
    scale = np.sqrt(np.prod(shape[1:]))
    return (np.random.default_rng(shape[0]).normal(size=shape) / scale).astype(np.float32)


def joined(sizes: list[str | None], *, quantised: bool) -> onnx.ModelProto:
    """A map beside the same map halved and doubled again."""
    constants: dict[str, Any] = {
        "w0": weights(8, 3, 3, 3), "w1": weights(9, 8, 3, 3), "w2": weights(4, 17, 3, 3), "w3": weights(2, 4, 1, 1),
        "step": np.float32(0.1), "zero": np.uint8(0), "twice": np.float32([1, 1, 2, 2]),
    }  # fmt: skip

    def activation(source: str, name: str) -> list[onnx.NodeProto]:
        if not quantised:
            return [node("Relu", [source], [name])]
        held = ["step", "zero"]
        return [
            node("QuantizeLinear", [source, *held], [f"{name}/code"]),
            node("DequantizeLinear", [f"{name}/code", *held], [name]),
        ]

    nodes = [
        node("Conv", ["x", "w0"], ["z0"], pads=[1] * 4),
        *activation("z0", "a0"),
        node("MaxPool", ["a0"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["half", "w1"], ["z1"], pads=[1] * 4),
        *activation("z1", "a1"),
        node("Resize", ["a1", "", "twice"], ["whole"], mode="nearest"),
        node("Concat", ["whole", "a0"], ["both"], axis=1),
        node("Conv", ["both", "w2"], ["z2"], pads=[1] * 4),
        *activation("z2", "a2"),
        node("Conv", ["a2", "w3"], ["y"]),
    ]
    return make_model(nodes, constants, {"x": ["N", *sizes]}, {"y": ["N", 2, *sizes[1:]]})  # type: ignore[list-item]


@pytest.mark.parametrize("sizes", [[3, "H", "W"], ["C", "H", "W"]])
def test_sums_and_joins_of_open_sizes(sizes: list[str | None]) -> None:
    model = joined(sizes, quantised=True)
    exact = onnx2snn.snap(model, X)
    assert exact.exact
    certificate = onnx2snn.verify(exact.model, onnx2snn.convert(exact.model), X)
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)


def test_without_data() -> None:
    assert onnx2snn.snap(joined([3, "H", "W"], quantised=True)).exact


def test_they_are_calibrated() -> None:
    calibration = onnx2snn.calibrate(joined([3, "H", "W"], quantised=False), X, timesteps=4)
    assert calibration.exact is not None
    assert calibration.exact.exact
    assert onnx2snn.verify(calibration.model, onnx2snn.convert(calibration.model), X).lossless
