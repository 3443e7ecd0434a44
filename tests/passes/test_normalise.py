"""The normal form, for networks as real exporters wrote them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_corpus import ALL, TIES, Example
from helpers_graphs import assert_same, run_graph

from onnx2snn.graph.core import is_constant
from onnx2snn.model.files import load_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise import NORMALISE

#: A newer opset has another kernel of average pooling, which adds up in another order: ties fall otherwise.
CLEAR = [name for name in ALL if name not in TIES]


@pytest.mark.parametrize("name", CLEAR)
def test_normal_form(name: str) -> None:
    example = Example(name)
    graph = import_model(load_model(example.path))
    for graph_pass in NORMALISE:
        graph = graph_pass(graph)
        if any(node.domain for node in graph.nodes):
            continue  # QONNX operators, before they are decomposed, run nowhere
        assert_same(run_graph(graph, example.inputs), example.expected, tolerance=1e-5)
    assert not [node.op for node in graph.nodes if node.domain or "Linear" in node.op or "Integer" in node.op]
    for tensor in graph.tensors().values():
        assert tensor.dtype is not None
        assert tensor.shape is not None
        if not is_constant(tensor) and np.dtype(tensor.dtype).kind == "f":
            assert tensor.dtype == np.float32


@pytest.mark.parametrize("name", CLEAR)
def test_any_batch(name: str) -> None:
    example = Example(name)
    graph = import_model(load_model(example.path))
    for graph_pass in NORMALISE:
        graph = graph_pass(graph)
    twice = {key: np.concatenate([value, value]) for key, value in example.inputs.items()}
    expected = {key: np.concatenate([value, value]) for key, value in example.expected.items()}
    assert_same(run_graph(graph, twice), expected, tolerance=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_source_names_stay(name: str) -> None:
    model = onnx.load(Example(name).path)
    graph = import_model(load_model(model))
    assert [t.name for t in graph.outputs] == [info.name for info in model.graph.output]
    written = {output for n in model.graph.node for output in n.output}
    if not model.functions and not any(n.op_type == "Softmax" for n in model.graph.node):
        assert {t.name for n in graph.nodes for t in n.outputs} <= written
