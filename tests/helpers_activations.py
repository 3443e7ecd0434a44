"""Networks of two branches of quantised activations, for what may stand behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from helpers_graphs import make_model, node, samples

import onnx2snn

#: Multiples of 1/4: every sum is exact, and many potentials stand on a threshold.
X = {"x": np.round(samples(6, 3, 8, 8) * 4).astype(np.float32) / 4}
HALVES: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
CONSTANTS: dict[str, Any] = {
    "w1": np.round(samples(4, 3, 3, 3, seed=1)),
    "w2": np.round(samples(4, 3, 1, 1, seed=2)),
    "fine": np.float32(0.25),
    "coarse": np.float32(0.5),
    "column": np.float32([0.25, 0.5, 1, 2]).reshape(1, 4, 1, 1),
    "minus": np.float32(-2),
    "zero": np.float32(0),
    "two": np.float32(2),
    "three": np.float32(3),
    "six": np.float32(6),
    "seven": np.float32(7),
}


def act(
    z: str, a: str, step: str = "fine", top: str = "seven", *, low: str = "zero", rule: str = "Floor"
) -> list[onnx.NodeProto]:
    """``a`` = step·clip(R(z/step), low, top)."""
    return [
        node("Div", [z, step], [f"{a}1"], f"{a}_divide"),
        node(rule, [f"{a}1"], [f"{a}2"], f"{a}_round"),
        node("Clip", [f"{a}2", low, top], [f"{a}3"], f"{a}_clip"),
        node("Mul", [f"{a}3", step], [a], f"{a}_multiply"),
    ]


def model(
    *nodes: onnx.NodeProto, channels: int = 4, outputs: Mapping[str, Any] | None = None, **constants: Any
) -> onnx.ModelProto:
    """Two convolutions z1 and z2 of x; the nodes make ``p`` of them, of ``channels`` channels; a convolution reads it."""
    front = [node("Conv", ["x", "w1"], ["z1"], pads=[1, 1, 1, 1]), node("Conv", ["x", "w2"], ["z2"])]
    last = {"v": np.round(samples(2, channels, 1, 1, seed=3))}
    return make_model(
        [*front, *nodes, node("Conv", ["p", "v"], ["y"])],
        {**CONSTANTS, **last, **constants},
        {"x": ["N", 3, 8, 8]},
        {"y": ["N", 2, "H", "W"], **(outputs or {})},
    )


def check_exact(source: onnx.ModelProto, levels: list[int]) -> None:
    """``source`` becomes neurons of so many ``levels``, and answers the same bit for bit, after every pass too."""
    conversion = onnx2snn.convert(source, check=X)
    assert [layer.levels for layer in conversion.layers] == levels
    assert not conversion.non_spiking
    assert max(change for _, change in conversion.checks) == 0
    certificate = onnx2snn.verify(source, conversion.model, X)
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
    assert certificate.max_abs_error == 0
