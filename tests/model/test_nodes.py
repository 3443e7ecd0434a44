"""Nodes of a model: which they are, and which of them a result needs."""

from __future__ import annotations

from helpers_graphs import make_model, node

from onnx2snn.model.nodes import is_own, needed

NODES = [
    node("Relu", ["x"], ["a"]),
    node("Abs", ["x"], ["b"]),
    node("Add", ["a", "b"], ["c"]),
    node("Neg", ["a"], ["y"]),
]


def test_only_what_makes_a_result_is_needed() -> None:
    nodes = make_model(NODES, {}, {"x": ["N", 2]}, {"y": ["N", 2]}).graph.node
    assert [n.op_type for n in needed(nodes, ["y"])] == ["Relu", "Neg"]
    assert [n.op_type for n in needed(nodes, ["c"], given=["a"])] == ["Abs", "Add"]
    assert needed(nodes, ["x"]) == []


def test_an_operator_of_another_domain_is_another_operator() -> None:
    assert is_own(node("Relu", ["x"], ["y"]), "Abs", "Relu")
    assert not is_own(node("Relu", ["x"], ["y"], domain="com.microsoft"), "Relu")
