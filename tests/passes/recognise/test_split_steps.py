"""Activations of unequal steps become sums of neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from onnx import TensorProto

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.pools_first import pools_first
from onnx2snn.passes.recognise.split_steps import split_steps

#: Multiples of 1/4 and dyadic weights: every sum is exact, and many potentials stand on a threshold.
X = {"x": np.round(samples(64, 6) * 4).astype(np.float32) / 4}
WEIGHTS = {"w": np.round(samples(6, 8, seed=1) * 2) / 2, "v": np.round(samples(8, 3, seed=2) * 4) / 4}
WEIGHTS = {name: value.astype(np.float32) for name, value in WEIGHTS.items()}

ACTIVATIONS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], list[int]]] = {
    "sign": ([node("Sign", ["z"], ["a"])], {}, [1, 1]),
    "ternary with its own ties": (
        [node("Sign", ["z"], ["s"]), node("Mul", ["s", "h"], ["a"])],
        {"h": np.float32(0.5)},
        [1, 1],
    ),
    "cast to integer, which rounds towards zero": (
        [
            node("Clip", ["z", "lo", "hi"], ["c"]),
            node("Cast", ["c"], ["i"], to=TensorProto.INT32),
            node("Cast", ["i"], ["a"], to=TensorProto.FLOAT),
        ],
        {"lo": np.float32(-3), "hi": np.float32(4)},
        [3, 4],
    ),
    "clipped between two levels": (
        [node("Round", ["z"], ["r"]), node("Clip", ["r", "lo", "hi"], ["a"])],
        {"lo": np.float32(0), "hi": np.float32(2.5)},
        [1, 2],
    ),
    "powers of two": (
        [
            node("GreaterOrEqual", ["z", "one"], ["m1"]),
            node("Greater", ["z", "two"], ["m2"]),
            node("GreaterOrEqual", ["z", "four"], ["m4"]),
            node("Where", ["m4", "four", "two"], ["b"]),
            node("Where", ["m2", "b", "one"], ["d"]),
            node("Where", ["m1", "d", "zero"], ["a"]),
        ],
        {k: np.float32(v) for k, v in {"zero": 0, "one": 1, "two": 2, "four": 4}.items()},
        [1, 2],
    ),
    "absolute value of signed levels": (
        [
            node("QuantizeLinear", ["z", "s", "o"], ["q"]),
            node("DequantizeLinear", ["q", "s", "o"], ["d"]),
            node("Abs", ["d"], ["e"]),
            node("Clip", ["e", "lo", "hi"], ["a"]),
        ],
        {"s": np.float32(0.5), "o": np.int8(0), "lo": np.float32(0), "hi": np.float32(1.5)},
        [3, 3],
    ),
}  # fmt: skip


def network(activation: list[onnx.NodeProto], constants: dict[str, Any]) -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "w"], ["z"]), *activation, node("MatMul", ["a", "v"], ["y"])]
    return make_model(nodes, {**WEIGHTS, **constants}, {"x": ["N", 6]}, {"y": ["N", 3]})


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_unequal_steps_are_a_sum_of_neurons(name: str) -> None:
    """Bit for bit, ties included."""
    activation, constants, levels = ACTIVATIONS[name]
    source = network(activation, constants)
    apply_checked(source, X, infer_shapes, split_steps)
    conversion = onnx2snn.convert(source)
    assert sorted(layer.levels for layer in conversion.layers) == levels
    certificate = onnx2snn.verify(source, conversion.model, X)
    assert certificate.lossless
    assert certificate.max_abs_error == 0


def test_the_maximum_of_rising_steps_is_that_of_the_potentials() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["z"]),
        node("Sign", ["z"], ["a"]),
        node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2]),
        node("Conv", ["p", "v"], ["y"]),
    ]
    constants = {"w": np.round(samples(4, 2, 3, 3)), "v": np.round(samples(3, 4, 1, 1))}
    source = make_model(nodes, constants, {"x": ["N", 2, 8, 8]}, {"y": ["N", 3, 5, 5]})
    x = {"x": np.round(samples(4, 2, 8, 8))}
    graph = apply_checked(source, x, infer_shapes, pools_first, split_steps)
    assert operators(graph).index("MaxPool") < operators(graph).index("Greater")
    conversion = onnx2snn.convert(source)
    assert onnx2snn.verify(source, conversion.model, x).max_abs_error == 0


def test_equal_steps_stay_as_they_are() -> None:
    source = network([node("Floor", ["z"], ["f"]), node("Clip", ["f", "lo", "hi"], ["a"])],
                     {"lo": np.float32(0), "hi": np.float32(3)})  # fmt: skip
    graph = apply_checked(source, X, infer_shapes, split_steps)
    assert operators(graph) == ["MatMul", "Floor", "Clip", "MatMul"]
