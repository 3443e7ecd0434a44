"""Windows over all axes of a channels-last tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, run_graph, samples

from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.batch_to_front import batch_to_front
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.merge_moves import merge_moves

X = {"x": samples(3, 8, 8, 4)}
INNER = (node("Unsqueeze", ["x", "a"], ["u"]), node("Unsqueeze", ["u", "b"], ["v"]))
OUTER = node("Squeeze", ["w", "ab"], ["y"])
AXES = {"a": np.array([0]), "b": np.array([1]), "ab": np.array([0, 1])}


def model(window: onnx.NodeProto, after: tuple[int, ...], **constants: Any) -> onnx.ModelProto:
    shape: list[int | str] = ["N", *after]
    return make_model(
        [*INNER, window, OUTER], {**AXES, **constants}, {"x": ["N", 8, 8, 4]}, {"y": shape}, opset=18
    )


def test_a_sum_over_windows_is_a_convolution_of_one_channel() -> None:
    window = node("Conv", ["v", "k"], ["w"], strides=[1, 2, 2, 1])
    kernel = samples(1, 1, 1, 2, 2, 1)
    graph = apply_checked(
        model(window, (4, 4, 4), k=kernel), X, infer_shapes, batch_to_front, merge_moves, tolerance=1e-6
    )
    conv = next(n for n in graph.nodes if n.op == "Conv")
    assert conv.inputs[0].shape == ["N", 1, 8, 8, 4]
    assert conv.inputs[1].values.shape == (1, 1, 2, 2, 1)


@pytest.mark.parametrize("axis", [0, 2])
def test_maximum_over_the_pixels(axis: int) -> None:
    """Channels move to axis 1, unit axes go; what is left are three operators."""
    kernel = [1, 2, 2, 1] if axis == 0 else [1, 3, 1, 1]
    strides = [1, 2, 2, 1] if axis == 0 else [1, 1, 1, 1]
    after = (4, 4, 4) if axis == 0 else (6, 8, 4)
    window = node("MaxPool", ["v"], ["w"], kernel_shape=kernel, strides=strides)
    source = model(window, after)
    graph = merge_moves(batch_to_front(infer_shapes(import_model(source))))
    assert operators(graph) == ["Transpose", "MaxPool", "Transpose"]
    expected = np.maximum.reduce(
        [X["x"][:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        if axis == 0
        else [X["x"][:, i : i + 6] for i in range(3)]
    )
    np.testing.assert_array_equal(run_graph(graph, X)["y"], expected)


def test_windows_over_the_batch_stay() -> None:
    window = node("Conv", ["v", "k"], ["w"])
    source = make_model(
        [*INNER, window, OUTER],
        {**AXES, "k": samples(1, 1, 2, 1, 1, 1)},
        {"x": ["N", 8, 8, 4]},
        {"y": ["M", 8, 8, 4]},
        opset=18,
    )
    graph = apply_checked(source, X, infer_shapes, batch_to_front, tolerance=1e-6)
    assert operators(graph) == ["Unsqueeze", "Unsqueeze", "Conv", "Squeeze"]


def test_samples_in_front_stay_there() -> None:
    source = make_model(
        [node("MaxPool", ["x"], ["y"], kernel_shape=[1, 2])], {}, {"x": ["N", 3, 8, 8]}, {"y": ["N", 3, 8, 7]}
    )
    graph = apply_checked(source, {"x": samples(2, 3, 8, 8)}, infer_shapes, batch_to_front)
    assert operators(graph) == ["MaxPool"]
