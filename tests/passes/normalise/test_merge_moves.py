"""Chains of moves are written as one of each kind."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.merge_moves import merge_moves

X = {"x": samples(2, 1, 4, 5)}
SHAPE: list[int | str] = ["N", 1, 4, 5]


def model(*nodes: onnx.NodeProto, after: list[int | str], **axes: list[int]) -> onnx.ModelProto:
    constants = {name: np.array(values) for name, values in axes.items()}
    return make_model(list(nodes), constants, {"x": SHAPE}, {"y": after}, opset=18)


CHAINS = {
    "two transposes": (
        model(
            node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
            node("Transpose", ["t"], ["y"], perm=[0, 2, 1, 3]),
            after=["N", 5, 4, 1],
        ),
        ["Transpose"],
    ),
    "squeeze behind transpose": (
        model(
            node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
            node("Squeeze", ["t", "a"], ["y"]),
            after=["N", 4, 5],
            a=[3],
        ),
        ["Squeeze"],
    ),
    "unsqueeze twice": (
        model(
            node("Unsqueeze", ["x", "a"], ["t"]),
            node("Unsqueeze", ["t", "b"], ["y"]),
            after=[1, "N", 1, 1, 4, 5],
            a=[0],
            b=[-4],
        ),
        ["Unsqueeze"],
    ),
    "batch away and back": (
        model(
            node("Unsqueeze", ["x", "a"], ["t"]),
            node("Transpose", ["t"], ["u"], perm=[1, 0, 2, 4, 3]),
            node("Squeeze", ["u", "b"], ["y"]),
            after=["N", 1, 5, 4],
            a=[0],
            b=[1],
        ),
        ["Transpose"],
    ),
    "squeeze of all units": (
        model(
            node("Transpose", ["x"], ["t"], perm=[1, 0, 3, 2]),
            node("Squeeze", ["t"], ["y"]),
            after=["N", 5, 4],
        ),
        ["Squeeze", "Transpose"],
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_one_of_each(name: str) -> None:
    source, expected = CHAINS[name]
    assert operators(apply_checked(source, X, infer_shapes, merge_moves)) == expected


def test_there_and_back_is_nothing() -> None:
    source = model(
        node("Unsqueeze", ["x", "a"], ["t"]),
        node("Squeeze", ["t", "a"], ["u"]),
        node("Relu", ["u"], ["y"]),
        after=SHAPE,
        a=[2],
    )
    assert operators(apply_checked(source, X, infer_shapes, merge_moves)) == ["Relu"]


def test_a_result_between_keeps_its_other_readers() -> None:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]),
        node("Transpose", ["t"], ["u"], perm=[0, 2, 1, 3]),
        node("Relu", ["u"], ["y"]),
        node("Neg", ["t"], ["z"]),
    ]
    source = make_model(
        nodes, {}, {"x": SHAPE}, {"y": ["N", 5, 1, 4], "z": ["N", 1, 5, 4], "t": ["N", 1, 5, 4]}
    )
    graph = apply_checked(source, X, infer_shapes, merge_moves)
    assert sorted(operators(graph)) == ["Neg", "Relu", "Transpose", "Transpose"]
