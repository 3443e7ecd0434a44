"""Entries picked by several indices at once are picked along one axis."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.passes.normalise.gather_along_one_axis import gather_along_one_axis
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.narrow_constants import narrow_constants

ROWS, COLUMNS = np.meshgrid([0, 2, -1], [1, 3], indexing="ij")
PLACES = np.stack([ROWS, COLUMNS], axis=-1).astype(np.int64)


@pytest.mark.parametrize("batch", [1, "N"])
def test_rows_and_columns(batch: int | str) -> None:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[2, 3, 0, 1]),
        node("GatherND", ["t", "places"], ["g"]),
        node("Transpose", ["g"], ["y"], perm=[2, 3, 0, 1]),
    ]
    source = make_model(nodes, {"places": PLACES}, {"x": [batch, 2, 4, 5]}, {"y": [batch, 2, 3, 2]})
    x = samples(1, 2, 4, 5)
    graph = apply_checked(source, {"x": x}, infer_shapes, gather_along_one_axis, narrow_constants)
    assert "GatherND" not in operators(graph)


def test_samples_that_are_picked_stay() -> None:
    source = make_model(
        [node("GatherND", ["x", "places"], ["y"])], {"places": np.array([[0, 1], [1, 2]])}, {"x": ["N", 4]}, {"y": [2]}
    )  # fmt: skip
    graph = apply_checked(source, {"x": samples(3, 4)}, infer_shapes, gather_along_one_axis)
    assert operators(graph) == ["GatherND"]


@pytest.mark.parametrize("batch", [1, "N"])
def test_neurons_on_both_sides(batch: int | str) -> None:
    """An average over windows of unequal size, as PyTorch writes it."""
    act = [node("Floor", ["z"], ["f"]), node("Clip", ["f", "zero", "top"], ["a"])]
    nodes = [
        node("Conv", ["x", "w"], ["z"]), *act,
        node("Transpose", ["a"], ["t"], perm=[2, 3, 0, 1]), node("GatherND", ["t", "places"], ["g"]),
        node("Transpose", ["g"], ["p"], perm=[2, 3, 0, 1]), node("Conv", ["p", "v"], ["y"]),
    ]  # fmt: skip
    constants = {"places": PLACES, "w": np.round(samples(4, 2, 1, 1)), "v": np.round(samples(3, 4, 1, 1))}
    constants |= {"zero": np.float32(0), "top": np.float32(7)}
    source = make_model(nodes, constants, {"x": [batch, 2, 4, 5]}, {"y": [batch, 3, 3, 2]})
    conversion = onnx2snn.convert(source)
    x = np.round(samples(4, 2, 4, 5) * 4) / 4
    assert onnx2snn.verify(source, conversion.model, {"x": x}).max_abs_error == 0
