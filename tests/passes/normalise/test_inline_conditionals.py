"""Branches that are always taken stand in the graph itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from onnx import TensorProto, helper

from onnx2snn.passes.normalise.fold_constants import fold_constants
from onnx2snn.passes.normalise.inline_conditionals import inline_conditionals

SHAPE = ["N", 3, 8, 8]
X = {"x": samples(2, 3, 8, 8)}


def branch(*nodes: onnx.NodeProto, result: str) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "branch", [], [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)]
    )


def choice(then: onnx.GraphProto, otherwise: onnx.GraphProto, result: str) -> onnx.NodeProto:
    return node("If", ["condition"], [result], name=f"if_{result}", then_branch=then, else_branch=otherwise)


def model(then: onnx.GraphProto, otherwise: onnx.GraphProto, condition: Any) -> onnx.ModelProto:
    nodes = [choice(then, otherwise, "z"), node("Relu", ["z"], ["y"])]
    constants = {"condition": np.array(condition), "k": np.float32(3)}
    return make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE})


@pytest.mark.parametrize("condition", [True, False])
def test_the_branch_that_is_taken(condition: bool) -> None:
    then = branch(node("Neg", ["x"], ["t"]), node("Mul", ["t", "k"], ["u"]), result="u")
    source = model(then, branch(node("Abs", ["x"], ["t"]), result="t"), condition)
    graph = apply_checked(source, X, inline_conditionals)
    assert operators(graph) == (["Neg", "Mul", "Relu"] if condition else ["Abs", "Relu"])
    assert graph.nodes[0].attrs["_onnx2snn_origin"] == ["if_z"]


def test_a_name_of_the_branch_that_is_taken_outside() -> None:
    inner = branch(node("Abs", ["x"], ["a"]), node("Neg", ["a"], ["b"]), result="b")
    nodes = [
        choice(inner, branch(node("Neg", ["x"], ["c"]), result="c"), "z"),
        choice(inner, branch(node("Neg", ["x"], ["c"]), result="c"), "w"),
        node("Add", ["z", "w"], ["y"]),
    ]
    source = make_model(nodes, {"condition": np.array(True)}, {"x": SHAPE}, {"y": SHAPE})
    assert operators(apply_checked(source, X, inline_conditionals)).count("Abs") == 2


def test_a_branch_that_gives_back_what_is_outside_is_an_identity() -> None:
    then = branch(node("Identity", ["x"], ["t"]), result="t")
    nodes = [choice(then, branch(node("Abs", ["x"], ["t"]), result="t"), "y")]
    source = make_model(nodes, {"condition": np.array(True)}, {"x": SHAPE}, {"y": SHAPE})
    assert operators(apply_checked(source, X, inline_conditionals)) == ["Identity"]


def test_nested_branches() -> None:
    innermost = choice(
        branch(node("Neg", ["q"], ["n"]), result="n"), branch(node("Mul", ["q", "k"], ["m"]), result="m"), "e"
    )
    otherwise = branch(node("Abs", ["x"], ["q"]), innermost, result="e")
    source = model(branch(node("Neg", ["x"], ["t"]), result="t"), otherwise, False)
    assert operators(apply_checked(source, X, inline_conditionals)) == ["Abs", "Mul", "Relu"]


def test_a_condition_on_a_size_is_folded_first() -> None:
    """What exporters write for a squeeze of an axis that may not be 1."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "one"], ["g"]),
        node("Equal", ["g", "three"], ["condition"]),
        choice(
            branch(node("Abs", ["x"], ["t"]), result="t"), branch(node("Neg", ["x"], ["t"]), result="t"), "y"
        ),
    ]
    constants = {"one": np.array(1), "three": np.array(3)}
    source = make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE})
    graph = apply_checked(source, X, fold_constants, inline_conditionals)
    assert operators(graph) == ["Abs"]


def test_a_condition_that_depends_on_data_stays() -> None:
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Greater", ["m", "k"], ["condition"]),
        choice(
            branch(node("Abs", ["x"], ["t"]), result="t"), branch(node("Neg", ["x"], ["t"]), result="t"), "y"
        ),
    ]
    source = make_model(nodes, {"k": np.float32(0)}, {"x": SHAPE}, {"y": SHAPE})
    assert "If" in operators(apply_checked(source, X, inline_conditionals))
