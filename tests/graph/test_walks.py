"""What flows from node to node, in graphs and in models, in one walk."""

from __future__ import annotations

import numpy as np
from helpers_graphs import make_model, node

from onnx2snn.graph.walks import backward, forward, values_forward
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
