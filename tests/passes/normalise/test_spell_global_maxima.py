"""Global maxima are over every axis behind the channels, in every runtime."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from onnx.reference import ReferenceEvaluator

from onnx2snn import convert
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.spell_operators import spell_operators


@pytest.mark.parametrize("sizes", [(5,), (3, 4, 2)])
def test_traces_and_volumes(sizes: tuple[int, ...]) -> None:
    ones = [1] * len(sizes)
    source = make_model(
        [node("GlobalMaxPool", ["x"], ["y"])], {}, {"x": ["N", 3, *sizes]}, {"y": ["N", 3, *ones]}
    )
    graph = apply_checked(source, {"x": samples(2, 3, *sizes)}, infer_shapes, spell_operators)
    assert operators(graph) == ["ReduceMax"]


def test_pictures_stay() -> None:
    source = make_model(
        [node("GlobalMaxPool", ["x"], ["y"])], {}, {"x": ["N", 3, 4, 5]}, {"y": ["N", 3, 1, 1]}
    )
    graph = apply_checked(source, {"x": samples(2, 3, 4, 5)}, infer_shapes, spell_operators)
    assert operators(graph) == ["GlobalMaxPool"]


def test_the_converted_network_answers_the_same_in_numpy() -> None:
    nodes = [
        node("Floor", ["x"], ["f"]),
        node("Clip", ["f", "low", "high"], ["c"]),
        node("GlobalMaxPool", ["c"], ["p"]),
        node("Flatten", ["p"], ["q"]),
        node("MatMul", ["q", "w"], ["y"]),
    ]
    constants = {"low": np.float32(0), "high": np.float32(7), "w": np.eye(3, 2, dtype=np.float32)}
    source = make_model(nodes, constants, {"x": ["N", 3, 6]}, {"y": ["N", 2]})
    x = samples(4, 3, 6) * 5
    (found,) = ReferenceEvaluator(convert(source).model).run(None, {"x": x})
    np.testing.assert_array_equal(found, np.clip(np.floor(x), 0, 7).max(axis=2)[:, :2])
