"""Max pooling moves in front of what rises; maxima of branches in front of their neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.pools_first import pools_first

X = {"x": np.round(samples(4, 3, 6, 6) * 4).astype(np.float32) / 4}
POOL = node("MaxPool", ["r"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
BACK = [
    node("Mul", ["p", "two"], ["1"]),
    node("Round", ["1"], ["2"]),
    node("Clip", ["2", "zero", "five"], ["a"]),
]
NUMBERS = {"two": np.float32(2), "zero": np.float32(0), "five": np.float32(5)}


def model(front: list[onnx.NodeProto], back: list[onnx.NodeProto], **constants: Any) -> onnx.ModelProto:
    nodes = [node("Conv", ["x", "w"], ["z"]), *front, POOL, *back, node("Conv", ["a", "v"], ["y"])]
    weights = {"w": np.round(samples(4, 3, 1, 1, seed=1)), "v": np.round(samples(2, 4, 1, 1, seed=2))}
    return make_model(
        nodes, {**NUMBERS, **weights, **constants}, {"x": ["N", 3, 6, 6]}, {"y": ["N", 2, 3, 3]}
    )


RISING = {
    "relu": ([node("Relu", ["z"], ["r"])], {}),
    "clip": ([node("Clip", ["z", "zero", "five"], ["r"])], {}),
    "relu, then a larger number": (
        [node("Relu", ["z"], ["q"]), node("Max", ["q", "c"], ["r"])],
        {"c": np.float32(0.5)},
    ),
    "leaky relu": ([node("LeakyRelu", ["z"], ["r"], alpha=0.25)], {}),
    "a threshold for each channel": (
        [node("Max", ["z", "c"], ["r"])],
        {"c": np.float32([0, 1, 1, 2]).reshape(1, 4, 1, 1)},
    ),
    "negated twice": (
        [node("Neg", ["z"], ["n"]), node("Min", ["n", "zero"], ["m"]), node("Neg", ["m"], ["r"])],
        {},
    ),
}


@pytest.mark.parametrize("name", RISING)
def test_a_rising_function_goes_behind(name: str) -> None:
    front, constants = RISING[name]
    source = model(front, BACK, **constants)
    graph = apply_checked(source, X, infer_shapes, pools_first)
    assert operators(graph)[:2] == ["Conv", "MaxPool"]
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 1
    assert onnx2snn.verify(source, conversion.model, X).max_abs_error == 0


STAYING = {
    "it falls": ([node("Abs", ["z"], ["r"])], {}),
    "it differs within a window": (
        [node("Max", ["z", "c"], ["r"])],
        {"c": np.round(samples(1, 1, 6, 6)).astype(np.float32)},
    ),
    "it is no piecewise line": ([node("Sigmoid", ["z"], ["r"])], {}),
}


@pytest.mark.parametrize("name", STAYING)
def test_what_does_not_commute_stays(name: str) -> None:
    front, constants = STAYING[name]
    graph = apply_checked(model(front, BACK, **constants), X, infer_shapes, pools_first)
    assert operators(graph).index("MaxPool") == 2


def test_other_readers_keep_what_they_read() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["z"]),
        node("Relu", ["z"], ["r"]),
        POOL,
        *BACK,
        node("GlobalAveragePool", ["r"], ["g"]),
        node("Add", ["a", "g"], ["y"]),
    ]
    weights = {"w": np.round(samples(4, 3, 1, 1, seed=1))}
    source = make_model(
        nodes, {**NUMBERS, **weights}, {"x": ["N", 3, 6, 6]}, {"y": ["N", 4, 3, 3], "r": ["N", 4, 6, 6]}
    )
    graph = apply_checked(source, X, infer_shapes, pools_first)
    assert operators(graph).count("Relu") == 2


@pytest.mark.parametrize("kind", ["Max", "Min"])
@pytest.mark.parametrize("fork", [False, True])
def test_extremes_of_branches_on_one_grid(kind: str, *, fork: bool) -> None:
    """One neuron on the extreme of the potentials; a branch that is read elsewhere too keeps its own."""

    def act(z: str, a: str) -> list[onnx.NodeProto]:
        return [
            node("Mul", [z, "two"], [f"{a}1"]),
            node("Floor", [f"{a}1"], [f"{a}2"]),
            node("Clip", [f"{a}2", "zero", "five"], [a]),
        ]

    nodes = [
        node("Conv", ["x", "w1"], ["z1"]), node("Conv", ["x", "w2"], ["z2"]), *act("z1", "a"), *act("z2", "b"),
        node(kind, ["a", "b"], ["m"]), node("Conv", ["m", "w3"], ["q"]),
        node("Add", ["q", "a"], ["y"]) if fork else node("Identity", ["q"], ["y"]),
    ]  # fmt: skip
    weights = {f"w{i}": np.round(samples(3, 3, 1, 1, seed=i)) for i in (1, 2, 3)}
    source = make_model(nodes, {**NUMBERS, **weights}, {"x": ["N", 3, 6, 6]}, {"y": ["N", 3, 6, 6]})
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == (2 if fork else 1)
    assert onnx2snn.verify(source, conversion.model, X).max_abs_error == 0
