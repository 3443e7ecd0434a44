"""Thresholds that a potential has reached, found by a binary search in operators."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node, operators, run_graph, samples

from onnx2snn.exact.threshold_search import searched
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, tidy
from onnx2snn.passes.importer import import_model


def network(thresholds: np.ndarray) -> gs.Graph:
    """Of (J, ...) thresholds, on x (N, 6, 4)."""
    graph = import_model(
        make_model([node("Neg", ["x"], ["y"])], {}, {"x": ["N", 6, 4]}, {"y": ["N", 6, 4]}, opset=18)
    )
    spelling = Spelling(graph, Names(graph), graph.nodes[0])
    graph.outputs = [searched(spelling, list(thresholds), graph.inputs[0])]
    return tidy(graph)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 60, 63])
@pytest.mark.parametrize("shape", [(), (1,), (6, 1), (6, 4)])
def test_as_many_are_reached_as_there_are(count: int, shape: tuple[int, ...]) -> None:
    thresholds = np.sort(samples(count, *shape).astype(np.float64), axis=0)
    x = samples(50, 6, 4, seed=1)
    x[:, 0, 0] = np.float32(thresholds.reshape(count, -1)[count // 2, 0])  # on one of them
    expected = sum((x >= one.astype(np.float32)).astype(np.int64) for one in thresholds)
    graph = network(thresholds)
    found = run_graph(graph, {"x": x})[graph.outputs[0].name]
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)


def test_a_search_has_as_many_lookups_as_bits() -> None:
    written = operators(network(np.arange(63.0)))
    assert written.count("GreaterOrEqual") == 6
    assert len(written) == 4 * 6


def test_channels_share_their_table() -> None:
    thresholds = np.arange(7.0)[:, None, None] * np.array([1, 2, 1, 2, 1, 1])[:, None]
    graph = network(thresholds)
    lists = [
        t.values.shape
        for n in graph.nodes
        if n.op == "Gather"
        for t in n.inputs
        if isinstance(t, gs.Constant)
    ]
    assert lists == [(16,), (16,)]
