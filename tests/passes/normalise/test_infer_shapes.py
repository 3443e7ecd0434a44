"""Shapes and types of all tensors are known."""

from __future__ import annotations

import numpy as np
from helpers_graphs import apply_checked, make_model, node, samples

from onnx2snn.passes.normalise.infer_shapes import infer_shapes


def test_every_tensor_has_a_shape_and_a_type() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"], strides=[2, 2]),
        node("Shape", ["c"], ["s"]),
        node("Flatten", ["c"], ["f"]),
        node("MatMul", ["f", "v"], ["y"]),
    ]
    constants = {"w": samples(4, 3, 3, 3), "v": samples(36, 50)}
    model = make_model(nodes, constants, {"x": ["N", 3, 8, 8]}, {"y": ["N", 50], "s": [4]}, types={"s": 7})
    graph = apply_checked(model, {"x": samples(2, 3, 8, 8)}, infer_shapes)
    tensors = graph.tensors()
    assert tensors["c"].shape == ["N", 4, 3, 3]
    assert tensors["f"].shape == ["N", 36]
    assert tensors["s"].dtype == np.int64
    assert tensors["c"].dtype == np.float32


def test_large_weights_are_not_copied_to_look_at_shapes() -> None:
    weights = samples(512, 512)
    model = make_model(
        [node("MatMul", ["x", "w"], ["y"])], {"w": weights}, {"x": ["N", 512]}, {"y": ["N", 512]}
    )
    graph = apply_checked(model, {"x": samples(2, 512)}, infer_shapes)
    assert [t.name for t in graph.inputs] == ["x"]
    assert graph.nodes[0].inputs[1].values is infer_shapes(graph).nodes[0].inputs[1].values


def test_operators_that_inference_does_not_know_are_observed() -> None:
    """The scaler in front of scikit-learn's networks."""
    nodes = [
        node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[1.0, 2.0], scale=[0.5, 4.0]),
        node("MatMul", ["s", "w"], ["y"]),
    ]
    model = make_model(nodes, {"w": samples(2, 3)}, {"x": ["N", 2]}, {"y": ["N", 3]}, domains=["ai.onnx.ml"])
    graph = apply_checked(model, {"x": samples(5, 2)}, infer_shapes)
    scaled = graph.tensors()["s"]
    assert scaled.shape == ["N", 2]
    assert scaled.dtype == np.float32
