"""A function that only compares its potential with constants has its steps there, however near to each other they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from numpy.typing import NDArray

import onnx2snn
from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.activations.compared_places import compared_with
from onnx2snn.activations.made_of import MadeOf
from onnx2snn.activations.tabulate import tabulate
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.exact.threshold_search import searched
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, tidy
from onnx2snn.graph.exporter import to_model
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model

Tables = tuple[NDArray[np.float64], NDArray[np.float64]]


def waves(channels: int = 1) -> Tables:
    """Where a function rises, and where it falls: by turns, a thousand times, in no rhythm."""
    drawn = np.random.default_rng(3).uniform(-1, 1, (2000, channels)).astype(np.float32)
    places = np.sort(drawn.astype(np.float64), axis=0)
    return places[::2], places[1::2]


def network(tables: Tables) -> onnx.ModelProto:
    """Thresholds of the first table that a potential has reached, less those of the second, between synapses."""
    constants = {"w1": samples(6, 8, seed=1), "w2": samples(8, 3, seed=2)}
    nodes = [
        node("MatMul", ["x", "w1"], ["z"]),
        node("Neg", ["z"], ["k"]),
        node("MatMul", ["k", "w2"], ["y"]),
    ]
    graph = import_model(make_model(nodes, constants, {"x": ["N", 6]}, {"y": ["N", 3]}, opset=18))
    old = graph.nodes[1]
    spelling, out = Spelling(graph, Names(graph), old), old.outputs[0]
    old.outputs = []
    counts = [searched(spelling, list(table), old.inputs[0]) for table in tables]
    spelling.apply("Sub", *counts, output=out)
    return to_model(tidy(graph))


def expected(tables: Tables, z: np.ndarray) -> np.ndarray:
    rising, falling = (np.sum(z >= table[:, None], axis=0) for table in tables)
    return rising - falling


@pytest.mark.parametrize("channels", [1, 8])
def test_every_step_is_found(channels: int) -> None:
    tables = waves(channels)
    graph = apply_owned(import_model(network(tables)), PREPARE)
    (one,) = tabulate(graph, recognise_checked(graph))[0]
    z = np.random.default_rng(0).uniform(-1, 1, (4096, 8)).astype(np.float32)
    z[:1000] = tables[0]  # on every threshold
    levels = sum(
        np.sign(part.scale) * part.level_range(z.astype(float), z.astype(float))[0] for part in one.parts
    )
    assert np.array_equal(levels + one.shift, expected(tables, z))


def test_it_converts_without_loss() -> None:
    model = network(waves())
    conversion = onnx2snn.convert(model)
    certificate = onnx2snn.verify(model, conversion)
    assert certificate.lossless


def test_what_else_reads_a_potential_may_step_anywhere() -> None:
    nodes = [
        node("GreaterOrEqual", ["x", "low"], ["b"]),
        node("Where", ["b", "x", "low"], ["y"]),
    ]
    constants = {"low": np.zeros(1, np.float32)}
    graph = import_model(make_model(nodes, constants, {"x": ["N", 4]}, {"y": ["N", 4]}))
    assert compared_with(MadeOf(graph).chain(graph.outputs[0])) is None
    nodes[1] = node("Where", ["b", "one", "low"], ["y"])
    constants["one"] = np.ones(1, np.float32)
    graph = import_model(make_model(nodes, constants, {"x": ["N", 4]}, {"y": ["N", 4]}))
    found = compared_with(MadeOf(graph).chain(graph.outputs[0]))
    assert found is not None
    assert list(np.sign(found)) == [-1, 0, 1]
