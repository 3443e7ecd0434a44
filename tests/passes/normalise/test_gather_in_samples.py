"""Strided views of all samples in one row are taken within each sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, assert_same, make_model, node, operators, run_graph, samples

from onnx2snn.graph.core import constant_input
from onnx2snn.passes.normalise import NORMALISE
from onnx2snn.passes.normalise.gather_in_samples import gather_in_samples
from onnx2snn.passes.normalise.infer_shapes import infer_shapes

PICKED = np.array([[5, 0], [3, 11]])[None]


def strided(batch: int | str, index: list[onnx.NodeProto], constants: dict[str, Any]) -> onnx.ModelProto:
    nodes = [
        *index,
        node("Reshape", ["x", "row"], ["flat"]),
        node("Gather", ["flat", "index"], ["y"], "taken"),
    ]
    return make_model(
        nodes, {"row": np.array([-1]), **constants}, {"x": [batch, 3, 4]}, {"y": [batch, 2, 2]}, opset=18
    )


def computed(size: int = 12, offsets: np.ndarray = PICKED) -> onnx.ModelProto:
    """As torch writes as_strided."""
    index = [
        node("Shape", ["x"], ["shape"], start=0, end=1),
        node("Squeeze", ["shape"], ["count"]),
        node("Range", ["zero", "count", "one"], ["number"]),
        node("Mul", ["number", "size"], ["begin"]),
        node("Unsqueeze", ["begin", "axes"], ["first"]),
        node("Add", ["first", "offsets"], ["index"]),
    ]
    held = {
        "zero": np.array(0),
        "one": np.array(1),
        "size": np.array(size),
        "axes": np.array([1, 2]),
        "offsets": offsets,
    }
    return strided("N", index, held)


def test_the_number_of_samples_is_open() -> None:
    graph = apply_checked(computed(), {"x": samples(3, 3, 4)}, infer_shapes, gather_in_samples)
    taken = next(n for n in graph.nodes if n.op == "Gather")
    assert taken.attrs["axis"] == 1
    held = constant_input(taken, 1)
    assert held is not None
    assert held.tolist() == PICKED[0].tolist()
    assert operators(graph) == operators(gather_in_samples(graph))


@pytest.mark.parametrize("batch", [1, 4])
def test_it_is_fixed(batch: int) -> None:
    model = strided(batch, [], {"index": PICKED + 12 * np.arange(batch).reshape(-1, 1, 1)})
    graph = apply_checked(model, {"x": samples(batch, 3, 4)}, infer_shapes, gather_in_samples)
    assert next(n for n in graph.nodes if n.op == "Gather").attrs["axis"] == 1


def test_any_number_of_samples_is_taken_behind_it() -> None:
    graph = apply_checked(computed(), {"x": samples(2, 3, 4)}, *NORMALISE)
    x = samples(5, 3, 4)
    expected = x.reshape(5, 12)[:, PICKED[0]]
    assert_same(run_graph(graph, {"x": x}), {"y": expected}, tolerance=0)


@pytest.mark.parametrize(
    "model",
    [
        computed(size=6),
        computed(offsets=PICKED - 1),
        strided(2, [], {"index": np.array([PICKED[0], PICKED[0]])}),
    ],
)
def test_other_indices_mix_samples(model: onnx.ModelProto) -> None:
    graph = apply_checked(model, {"x": samples(2, 3, 4)}, infer_shapes, gather_in_samples)
    assert next(n for n in graph.nodes if n.op == "Gather").attrs.get("axis", 0) == 0
