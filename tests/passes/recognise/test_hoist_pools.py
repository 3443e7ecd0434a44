"""Max pooling in front of the neurons, whatever picks, moves or joins their activations on the way."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_activations import HALVES, X, act, check_exact, model
from helpers_graphs import node, operators

import onnx2snn
from onnx2snn.graph.core import Pass
from onnx2snn.graph.exporter import to_model
from onnx2snn.graph.importer import import_model
from onnx2snn.passes import PREPARE, RECOGNISE
from onnx2snn.passes.recognise.hoist_pools import hoist_pools

CASES: dict[str, tuple[onnx.ModelProto, list[int]]] = {
    "nothing between": (
        model(*act("z1", "a"), node("MaxPool", ["a"], ["p"], "pool", **HALVES)),
        [7],
    ),
    "a threshold for each channel": (
        model(*act("z1", "a", "column"), node("MaxPool", ["a"], ["p"], "pool", **HALVES)),
        [7],
    ),
    "branches on one grid joined": (
        model(
            *act("z1", "a"), *act("z2", "b"), node("Concat", ["a", "b"], ["c"], axis=1),
            node("MaxPool", ["c"], ["p"], "pool", **HALVES), channels=8,
        ),
        [7],
    ),
    "branches on different grids joined": (
        model(
            *act("z1", "a", "fine"), *act("z2", "b", "column", "three"), node("Concat", ["a", "b"], ["c"], axis=1),
            node("MaxPool", ["c"], ["p"], "pool", **HALVES), channels=8,
        ),
        [7],
    ),
    "some channels only": (
        model(
            *act("z1", "a", "column"), node("Slice", ["a", "from", "to", "axis"], ["c"]),
            node("MaxPool", ["c"], ["p"], "pool", **HALVES), channels=2,
            **{"from": np.array([1]), "to": np.array([3]), "axis": np.array([1])},
        ),
        [7],
    ),
    "half of the channels pooled, the others averaged": (
        model(
            *act("z1", "a"), node("Split", ["a"], ["b", "c"], axis=1),
            node("MaxPool", ["b"], ["d"], "pool", **HALVES), node("AveragePool", ["c"], ["e"], **HALVES),
            node("Concat", ["d", "e"], ["p"], axis=1),
        ),
        [7, 7],
    ),
    "padded with zeros": (
        model(
            *act("z1", "a", "column"), node("Pad", ["a", "pads"], ["c"]),
            node("MaxPool", ["c"], ["p"], "pool", kernel_shape=[3, 3], strides=[2, 2]),
            pads=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        ),
        [7],
    ),
    "padded by reflection": (
        model(
            *act("z1", "a"), node("Pad", ["a", "pads"], ["c"], mode="reflect"),
            node("MaxPool", ["c"], ["p"], "pool", kernel_shape=[3, 3], strides=[2, 2]),
            pads=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        ),
        [7],
    ),
    "enlarged": (
        model(
            *act("z1", "a"), node("Resize", ["a", "", "scales"], ["c"], mode="nearest"),
            node("MaxPool", ["c"], ["p"], "pool", kernel_shape=[3, 3], strides=[3, 3]),
            scales=np.float32([1, 1, 2, 2]),
        ),
        [7],
    ),
    "normalised, each channel rising": (
        model(
            *act("z1", "a"), node("BatchNormalization", ["a", "gamma", "beta", "mean", "var"], ["c"], epsilon=0.0),
            node("MaxPool", ["c"], ["p"], "pool", **HALVES),
            gamma=np.float32([1, 2, 0.5, 4]), beta=np.float32([1, 0, -1, 2]), mean=np.zeros(4, np.float32),
            var=np.ones(4, np.float32),
        ),
        [7],
    ),
    "the largest of some channels": (
        model(
            *act("z1", "a"), *act("z2", "b"), node("Concat", ["a", "b"], ["c"], axis=1),
            node("ReduceMax", ["c"], ["p"], "pool", axes=[1], keepdims=1), channels=1,
        ),
        [7],
    ),
    "the rest of the network reads it too": (
        model(
            *act("z1", "a"), *act("z2", "b", "coarse"), node("Concat", ["a", "b"], ["c"], axis=1),
            node("MaxPool", ["c"], ["d"], "pool", **HALVES), node("AveragePool", ["c"], ["e"], **HALVES),
            node("Add", ["d", "e"], ["p"]), channels=8,
        ),
        [7, 7, 7],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_neurons_stand_behind_the_pooling(name: str) -> None:
    check_exact(*CASES[name])


def test_a_second_run_changes_nothing() -> None:
    source, _ = CASES["branches on different grids joined"]
    graph = import_model(source)
    passes: tuple[Pass, ...] = (*PREPARE, *RECOGNISE)
    for one in passes:
        graph = one(graph)
    assert operators(graph).index("MaxPool") < operators(graph).index("Staircase")
    assert to_model(hoist_pools(graph)) == to_model(graph)


def test_sizes_may_be_open_on_one_grid() -> None:
    source, _ = CASES["branches on one grid joined"]
    for axis in (2, 3):
        source.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"size{axis}"
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 1
    assert onnx2snn.verify(source, conversion.model, X).max_abs_error == 0
