"""Channels-last operators between Transposes answer what onnxruntime's kernels answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators
from onnx import TensorProto

from onnx2snn.passes.normalise.channels_first import channels_first
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers
from onnx2snn.passes.normalise.infer_shapes import infer_shapes

MICROSOFT = "com.microsoft"
RANDOM = np.random.default_rng(2)
SCALES: dict[str, Any] = {
    "s": np.float32(0.031),
    "z": np.uint8(77),
    "w": RANDOM.integers(-127, 128, (6, 2, 3, 3)).astype(np.int8),
    "sw": np.float32(0.011),
    "zw": np.int8(0),
    "sy": np.float32(0.4),
}
GRID = ["s", "z"]
X = {"x": RANDOM.integers(0, 256, (2, 7, 7, 4)).astype(np.uint8)}


def model(operator: str, inputs: list[str], shape: list[int], **options: Any) -> onnx.ModelProto:
    return make_model(
        [node(operator, inputs, ["y"], domain=MICROSOFT, **options)],
        {name: SCALES[name] for name in dict.fromkeys(inputs) if name != "x"},
        {"x": [2, 7, 7, 4]},
        {"y": shape},
        opset=21,
        types={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
        domains=[MICROSOFT],
    )


@pytest.mark.parametrize(
    ("source", "inner"),
    [
        (
            model(
                "QLinearConv",
                ["x", *GRID, "w", "sw", "zw", "sy", "z"],
                [2, 4, 4, 6],
                channels_last=1,
                group=2,
                pads=[1, 1, 1, 1],
                strides=[2, 2],
            ),
            "QLinearConv",
        ),
        (
            model(
                "QLinearAveragePool",
                ["x", *GRID, *GRID],
                [2, 4, 4, 4],
                channels_last=1,
                kernel_shape=[2, 2],
                strides=[2, 2],
                ceil_mode=1,
            ),
            "QLinearAveragePool",
        ),
        (
            model("QLinearGlobalAveragePool", ["x", *GRID, *GRID], [2, 1, 1, 4], channels_last=1),
            "QLinearGlobalAveragePool",
        ),
        (model("NhwcMaxPool", ["x"], [2, 3, 3, 4], kernel_shape=[2, 2], strides=[2, 2]), "MaxPool"),
    ],
    ids=["convolution", "average", "global average", "maximum"],
)
def test_between_transposes(source: onnx.ModelProto, inner: str) -> None:
    graph = apply_checked(source, X, channels_first)
    assert operators(graph) == ["Transpose", inner, "Transpose"]
    assert "channels_last" not in graph.nodes[1].attrs


def test_channels_first_stay() -> None:
    source = make_model(
        [node("QLinearGlobalAveragePool", ["x", *GRID, *GRID], ["y"], domain=MICROSOFT, channels_last=0)],
        {name: SCALES[name] for name in GRID},
        {"x": [2, 7, 7, 4]},
        {"y": [2, 7, 1, 1]},
        types={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
        domains=[MICROSOFT],
    )
    assert operators(apply_checked(source, X, channels_first)) == ["QLinearGlobalAveragePool"]


def test_of_a_rank_that_is_not_known_yet() -> None:
    """What another of onnxruntime's operators wrote has no shape at first: nobody takes it for channels first meanwhile."""
    nodes = [
        node("QLinearMul", ["x", *GRID, "x", *GRID, *GRID], ["m"], domain=MICROSOFT),
        node("QLinearGlobalAveragePool", ["m", *GRID, *GRID], ["y"], domain=MICROSOFT, channels_last=1),
    ]
    held = {name: SCALES[name] for name in GRID}
    types = {"x": TensorProto.UINT8, "y": TensorProto.UINT8}
    shapes = {"x": [2, 7, 7, 4]}, {"y": [2, 1, 1, 4]}
    source = make_model(nodes, held, *shapes, opset=21, types=types, domains=[MICROSOFT])
    first = apply_checked(source, X, decompose_quantisers)
    assert operators(first)[-1] == "QLinearGlobalAveragePool"
    graph = apply_checked(source, X, *[channels_first, decompose_quantisers, infer_shapes] * 2)
    assert not any(n.domain for n in graph.nodes)
