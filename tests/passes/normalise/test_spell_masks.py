"""Constant selections and minima are operators that synapses and neurons know."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.spell_operators import spell_operators

MASK = np.array([True, False, True])
#: By name: the operator, its constants, what becomes of it, the sizes of its result.
SPELLED: dict[str, tuple[onnx.NodeProto, dict[str, Any], list[str], list[int]]] = {
    "compress": (node("Compress", ["x", "m"], ["y"], axis=1), {"m": MASK}, ["Gather"], [2, 4, 5]),
    "compress from behind": (
        node("Compress", ["x", "m"], ["y"], axis=-3),
        {"m": MASK},
        ["Gather"],
        [2, 4, 5],
    ),
    "minimum": (
        node("ReduceMin", ["x", "axes"], ["y"], keepdims=0),
        {"axes": np.array([2, 3])},
        ["Neg", "ReduceMax", "Neg"],
        [3],
    ),
}


@pytest.mark.parametrize("name", SPELLED)
def test_spelled(name: str) -> None:
    spelled, constants, expected, sizes = SPELLED[name]
    source = make_model([spelled], constants, {"x": ["N", 3, 4, 5]}, {"y": ["N", *sizes]}, opset=18)
    graph = apply_checked(source, {"x": samples(2, 3, 4, 5)}, infer_shapes, spell_operators)
    assert operators(graph) == expected


def test_a_batch_that_is_flattened_stays() -> None:
    source = make_model(
        [node("Compress", ["x", "m"], ["y"])], {"m": MASK}, {"x": [2, 3, 4, 5]}, {"y": [2]}, opset=18
    )
    graph = apply_checked(source, {"x": samples(2, 3, 4, 5)}, infer_shapes, spell_operators)
    assert operators(graph) == ["Compress"]


@pytest.mark.parametrize("name", SPELLED)
def test_between_neurons(name: str) -> None:
    """It spikes: nothing analog is left, and every level is the same."""
    spelled, constants, _, sizes = SPELLED[name]
    middle = onnx.NodeProto()
    middle.CopyFrom(spelled)
    middle.input[0], middle.output[0] = "a", "b"
    count = int(np.prod(sizes))
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "s", "z"], ["p"]),
        node("DequantizeLinear", ["p", "s", "z"], ["a"]),
        middle,
        node("Flatten", ["b"], ["f"]),
        node("MatMul", ["f", "v"], ["y"]),
    ]
    held = {
        "w": np.round(samples(3, 2, 1, 1, seed=1) * 4) / 4,
        "v": np.round(samples(count, 5, seed=2) * 4) / 4,
        "s": np.float32(0.03125),
        "z": np.int8(3),
    }
    source = make_model(nodes, {**constants, **held}, {"x": ["N", 2, 4, 5]}, {"y": ["N", 5]}, opset=18)
    x = {"x": np.round(samples(4, 2, 4, 5) * 4) / 4}
    conversion = onnx2snn.convert(source)
    assert conversion.non_spiking == ()
    certificate = onnx2snn.verify(source, conversion.model, x)
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
