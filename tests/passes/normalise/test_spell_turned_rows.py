"""A dense layer of turned rows is one of rows behind a Transpose, and a layer of neurons."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.spell_operators import spell_operators

WEIGHTS = {"w": samples(6, 3, seed=1), "b": samples(3, seed=2)}


def turned(**more: object) -> onnx.ModelProto:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0]),
        node("Gemm", ["t", "w", "b"], ["y"], transA=1, **more),
    ]
    return make_model(nodes, WEIGHTS, {"x": ["N", 6]}, {"y": ["N", 3]})


def test_it_is_turned_in_front() -> None:
    data = {"x": samples(4, 6)}
    graph = apply_checked(turned(alpha=0.5), data, infer_shapes, spell_operators)
    assert operators(graph) == ["Transpose", "Transpose", "Gemm"]
    assert operators(
        apply_checked(turned(), data, infer_shapes, spell_operators, spell_operators)
    ) == operators(graph)


def test_a_turned_constant_stays() -> None:
    nodes = [node("Gemm", ["c", "x"], ["y"], transA=1)]
    source = make_model(nodes, {"c": samples(6, 3, seed=1)}, {"x": [6, 4]}, {"y": [3, 4]})
    graph = apply_checked(source, {"x": samples(6, 4)}, infer_shapes, spell_operators)
    assert graph.nodes[0].attrs["transA"] == 1


@pytest.mark.parametrize("batch", [1, "N"])
def test_it_becomes_a_layer(batch: int | str) -> None:
    """Of a fixed batch, which is freed, and of an open one."""
    nodes = [
        node("MatMul", ["x", "v"], ["p"]), node("Floor", ["p"], ["f"]), node("Clip", ["f", "zero", "top"], ["a"]),
        node("Transpose", ["a"], ["t"], perm=[1, 0]), node("Gemm", ["t", "w", "b"], ["z"], transA=1),
        node("Floor", ["z"], ["g"]), node("Clip", ["g", "zero", "top"], ["y"]),
    ]  # fmt: skip
    constants = {**WEIGHTS, "v": samples(6, 6, seed=3), "zero": np.float32(0), "top": np.float32(7)}
    source = make_model(nodes, constants, {"x": [batch, 6]}, {"y": [batch, 3]})
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 2
    assert onnx2snn.verify(source, conversion.model, {"x": samples(1, 6) * 4}).lossless
