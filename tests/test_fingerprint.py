"""A graph that a pass changed has another fingerprint."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from helpers_corpus import Example
from helpers_graphs import make_model, node

from onnx2snn.graph.exporter import to_model
from onnx2snn.graph.fingerprint import fingerprint
from onnx2snn.graph.importer import import_model
from onnx2snn.graph.pass_manager import apply_owned
from onnx2snn.model.files import load_model
from onnx2snn.passes import pipeline


def a_graph() -> gs.Graph:
    nodes = [node("MatMul", ["x", "w"], ["z"]), node("LeakyRelu", ["z"], ["y"], alpha=0.5)]
    constants = {"w": np.ones((3, 3), np.float32)}
    return import_model(make_model(nodes, constants, {"x": ["N", 3]}, {"y": ["N", 3]}))


def other_values(graph: gs.Graph) -> None:
    graph.nodes[0].inputs[1].values = np.array(graph.nodes[0].inputs[1].values)


def another_attribute(graph: gs.Graph) -> None:
    graph.nodes[1].attrs["alpha"] = 0.25


def another_operator(graph: gs.Graph) -> None:
    graph.nodes[1].op = "Elu"


def another_shape(graph: gs.Graph) -> None:
    graph.nodes[0].outputs[0].shape = ["N", 4]


CHANGES = [other_values, another_attribute, another_operator, another_shape]


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_seen(change: Callable[[gs.Graph], None]) -> None:
    graph = a_graph()
    before = fingerprint(graph)
    assert fingerprint(graph.copy()) == before
    change(graph)
    assert fingerprint(graph) != before


def test_what_is_exported_differs_only_where_the_fingerprint_does() -> None:
    """Over a whole conversion, pass by pass."""
    graph = import_model(load_model(Example("torchts17__mobile-qcfs16-dyadic-dyn").path))
    changed = 0
    for one in pipeline():
        before, exported = fingerprint(graph), to_model(graph).SerializeToString(deterministic=True)
        graph = apply_owned(graph, [one])
        same = to_model(graph).SerializeToString(deterministic=True) == exported
        assert same or fingerprint(graph) != before, one.__name__
        changed += not same
    assert changed > 5
