"""Windows of poolings: as many as run, in every operator set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.spell_windows import spell_windows

#: Sizes of a picture, attributes, and the operators that it becomes.
POOLS: Mapping[str, tuple[tuple[int, ...], dict[str, Any], list[str]]] = {
    "a window would begin behind the end": ((3, 6), {"kernel_shape": [1, 2], "strides": [4, 4], "ceil_mode": 1}, ["{}"]),
    "in the padding": ((4, 6), {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [0, 0, 2, 1], "ceil_mode": 1}, ["{}"]),
    "one hangs over along the other axis": ((3, 6), {"kernel_shape": [1, 3], "strides": [4, 4], "ceil_mode": 1}, ["Slice", "{}"]),
    "valid": ((6, 5), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "VALID", "ceil_mode": 1}, ["{}"]),
    "windows that all inferences count alike": ((5, 5), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, ["{}"]),
    "trace": ((5,), {"kernel_shape": [3], "strides": [3], "pads": [1, 2], "ceil_mode": 1}, ["{}"]),
    "volume": ((7, 7, 3), {"kernel_shape": [2, 1, 2], "strides": [4, 4, 3], "ceil_mode": 1}, ["{}"]),
}  # fmt: skip
SAME = {
    "smaller than their stride": ((6, 4), {"kernel_shape": [1, 2], "strides": [3, 4]}, ["Slice", "AveragePool"]),
    "dilated": ((5, 8), {"kernel_shape": [2, 3], "strides": [2, 1], "dilations": [2, 2]}, ["AveragePool"]),
    "smaller along one axis": ((3, 6), {"kernel_shape": [2, 2], "strides": [3, 1]}, ["AveragePool"]),
}  # fmt: skip


def checked(op: str, sizes: tuple[int, ...], attributes: Mapping[str, Any]) -> onnx.ModelProto:
    """One pooling, rewritten: the answers are equal, and ONNX's inference says their sizes."""
    dims = [f"d{i}" for i in range(len(sizes))]
    source = make_model(
        [node(op, ["x"], ["y"], **attributes)], {}, {"x": ["N", 3, *sizes]}, {"y": ["N", 3, *dims]}, opset=21
    )
    x = samples(2, 3, *sizes)
    graph = apply_checked(source, {"x": x}, infer_shapes, spell_windows)
    (expected,) = run_reference(source, {"x": x}).values()
    assert list(graph.outputs[0].shape)[1:] == list(expected.shape)[1:]
    return graph


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool", "LpPool"])
@pytest.mark.parametrize("name", POOLS)
def test_poolings(op: str, name: str) -> None:
    sizes, attributes, expected = POOLS[name]
    assert operators(checked(op, sizes, attributes)) == [o.format(op) for o in expected]


@pytest.mark.parametrize("name", POOLS)
def test_padding_that_counts(name: str) -> None:
    sizes, attributes, _ = POOLS[name]
    checked("AveragePool", sizes, attributes | {"count_include_pad": 1})


@pytest.mark.parametrize("side", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("name", SAME)
def test_same_padding(side: str, name: str) -> None:
    sizes, attributes, expected = SAME[name]
    graph = checked("AveragePool", sizes, attributes | {"auto_pad": side})
    assert side != "SAME_UPPER" or operators(graph) == expected


def test_the_places_of_maxima_are_left_alone() -> None:
    attributes = {"kernel_shape": [1, 3], "strides": [4, 4], "ceil_mode": 1}
    source = make_model(
        [node("MaxPool", ["x"], ["y", "at"], **attributes), node("Cast", ["at"], ["z"], to=1)],
        {}, {"x": ["N", 3, 3, 6]}, {"y": ["N", 3, 1, 2], "z": ["N", 3, 1, 2]},
    )  # fmt: skip
    graph = apply_checked(source, {"x": samples(2, 3, 3, 6)}, infer_shapes, spell_windows)
    assert "Slice" not in operators(graph)


def staircase(z: str, a: str) -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", [z, "s", "zero"], [f"{a}q"]),
        node("DequantizeLinear", [f"{a}q", "s", "zero"], [a]),
    ]


@pytest.mark.parametrize("op", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize("name", POOLS)
def test_the_file_is_within_the_rules_and_certified(op: str, name: str) -> None:
    """Between two activations; the written file's sizes are those that run, or it is refused by its own check."""
    sizes, attributes, _ = POOLS[name]
    ones = (1,) * len(sizes)
    constants = {"s": np.float32(0.25), "zero": np.uint8(0)} | {
        f"w{i}": np.round(samples(3, 3, *ones, seed=i) * 4).astype(np.float32) / 4 for i in range(2)
    }
    nodes = [
        node("Conv", ["x", "w0"], ["c"]), *staircase("c", "a"), node(op, ["a"], ["p"], **attributes),
        node("Conv", ["p", "w1"], ["d"]), *staircase("d", "y"),
    ]  # fmt: skip
    dims = [f"d{i}" for i in range(len(sizes))]
    source = make_model(nodes, constants, {"x": ["N", 3, *sizes]}, {"y": ["N", 3, *dims]})
    x = np.round(samples(4, 3, *sizes) * 8).astype(np.float32) / 8
    conversion = onnx2snn.convert(source)
    assert onnx2snn.verify(source, conversion.model, {"x": x}).lossless
