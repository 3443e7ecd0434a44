"""What flows from node to node, in graphs and in models, in one walk."""

from __future__ import annotations

import numpy as np
from helpers_graphs import make_model, node

from onnx2snn.graph.walks import backward, carried, forward, reached, values_forward
from onnx2snn.passes.importer import import_model

MODEL = make_model(
    [node("Relu", ["x"], ["a"]), node("Add", ["a", "c"], ["b"]), node("Abs", ["u"], ["y"])],
    {"c": np.ones(2, np.float32)},
    {"x": ["N", 2], "u": ["N", 2]},
    {"b": ["N", 2], "y": ["N", 2]},
)


def test_what_an_input_reaches() -> None:
    assert forward(MODEL.graph.node, lambda _node, read: any(read), ["x"]) == {"x", "a", "b"}


def test_what_an_output_needs() -> None:
    assert backward(MODEL.graph.node, lambda _node, written: any(written), ["b"]) == {"x", "a", "b", "c"}


def test_tensors_of_a_graph_are_known_by_id() -> None:
    graph = import_model(MODEL)
    tensors = graph.tensors()
    depth = values_forward(
        graph.nodes,
        lambda _node, read: 1 + max((d for d in read if d is not None), default=0),
        {id(t): 0 for t in graph.inputs},
    )
    assert [depth[id(tensors[name])] for name in "xab"] == [0, 1, 2]


def test_a_rule_sees_what_all_nodes_before_it_added() -> None:
    order = carried(
        MODEL.graph.node, lambda node, found: [(node.name or node.output[0], len(found))], {"": 0}
    )
    assert sorted(order.values()) == [0, 1, 2, 3]


def test_what_edges_lead_to_is_met_once_in_circles_too() -> None:
    ahead = {1: [2, 3], 2: [4], 3: [4], 4: [1]}
    assert sorted(reached([1], lambda number: ahead[number], key=int)) == [1, 2, 3, 4]


def test_the_walk_ends_where_nothing_more_is_asked_for() -> None:
    numbers = reached([0], lambda number: [number + 1], key=int)
    assert [next(numbers) for _ in range(3)] == [0, 1, 2]
