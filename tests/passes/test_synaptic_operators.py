"""Every linear operator between two layers of neurons: same answers, spike for spike, in every position."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import make_model, node, operators
from helpers_operators import CASES, PARAMETERS, activation, dyadic, inputs, network

import onnx2snn
from onnx2snn.analysis.pass_manager import apply_owned, state_of
from onnx2snn.passes import pipeline
from onnx2snn.passes.importer import import_model
from onnx2snn.runtime import SpikingSession


@pytest.mark.parametrize("fork", [False, True], ids=["alone", "forked"])
@pytest.mark.parametrize("name", CASES)
def test_spikes_pass_through(name: str, *, fork: bool) -> None:
    """Every number here is exact in float32: bit for bit, in both executions, ties included."""
    case = CASES[name]
    source, x = network(case, fork=fork), inputs(case)
    conversion = onnx2snn.convert(source, check=x)
    assert all(change == 0 for _, change in conversion.checks), conversion.checks
    certificate = onnx2snn.verify(source, conversion.model, x)
    assert certificate.lossless
    assert certificate.max_abs_error == 0
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
    content = conversion.model.SerializeToString()
    levels = [SpikingSession(content, execution=e).levels(x) for e in ("spiking", "fused")]
    for key, value in levels[0].items():
        np.testing.assert_array_equal(levels[1][key], value)


@pytest.mark.parametrize("name", CASES)
def test_a_second_run_of_a_pass_changes_nothing(name: str) -> None:
    """One that changed nothing is pure: it has nothing to change again."""
    graph = import_model(network(CASES[name], fork=True))
    for graph_pass in pipeline():
        before = state_of(graph)
        graph = apply_owned(graph, [graph_pass])
        if not state_of(graph).equals(before):
            assert operators(graph_pass(graph)) == operators(graph), graph_pass.__name__


DYNAMIC = ["conv padded", "conv strided, dilated", "transposed conv", "add a constant", "difference of branches",
           "average pool, padding counted", "max pool, padded", "concat", "split", "pad with a number", "resize, nearest",
           "depth to space"]  # fmt: skip


@pytest.mark.parametrize("name", DYNAMIC)
def test_where_spatial_sizes_are_dynamic(name: str) -> None:
    """The bias stays an evaluation in the graph: one file serves every size of the picture."""
    case = CASES[name]
    constants = {
        **PARAMETERS,
        **case.constants,
        "w0": dyadic(4, 2, 1, 1, seed=7, steps=1),
        "w1": dyadic(3, case.after[0], 1, 1, seed=8),
    }
    nodes = [
        node("Conv", ["x", "w0"], ["z"]),
        *activation("z", "a"),
        *case.nodes,
        *activation("b", "d2"),
        node("Conv", ["d2", "w1"], ["y"]),
    ]
    source = make_model(nodes, constants, {"x": ["N", 2, "H", "W"]}, {"y": ["N", 3, "P", "Q"]}, opset=18)
    conversion = onnx2snn.convert(source)
    for size in ((6, 6), (8, 10)):
        x = {"x": dyadic(3, 2, *size, seed=5)}
        assert onnx2snn.verify(source, conversion.model, x).max_abs_error == 0
