"""Stages compute what the whole network computes, each operator once, and keep no more than they must."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import Builder

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.calibration.layerwise import forget
from onnx2snn.calibration.lines import clipped_lines
from onnx2snn.calibration.stages import make_stages
from onnx2snn.graph.exporter import with_outputs
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model


def chain() -> onnx.ModelProto:
    b = Builder()
    a = b.add("Relu", b.dense("x", (6, 8), 1))
    return b.model({"x": ["N", 6]}, {"y": (b.dense(a, (8, 8), 3), ["N", 8])})


def residual() -> onnx.ModelProto:
    b = Builder()
    a = b.add("Relu", b.dense("x", (6, 8), 1))
    inner = b.dense(b.add("Relu", b.dense(a, (8, 8), 3)), (8, 8), 5)
    out = b.dense(b.add("Relu", b.add("Add", inner, a)), (8, 8), 7)
    return b.model({"x": ["N", 6]}, {"y": (b.add("Add", out, a), ["N", 8])})


def densely_connected() -> onnx.ModelProto:
    b = Builder()
    held = b.dense("x", (6, 8), 1)
    for size in (8, 16, 24):
        more = b.dense(b.add("Relu", held), (size, 8), size)
        held = b.add("Concat", held, more, axis=1)
    return b.model({"x": ["N", 6]}, {"y": (b.dense(b.add("Relu", held), (32, 8), 7), ["N", 8])})


def reshaped() -> onnx.ModelProto:
    """Sizes that a network computes of its own tensors are computed again where they are needed."""
    b = Builder()
    a = b.add("Relu", b.conv("x", (1, 3), 1))
    size = b.add("Slice", b.add("Shape", a), np.int64([0]), np.int64([1]), np.int64([0]))
    flat = b.add("Reshape", a, b.add("Concat", size, np.int64([-1]), axis=0))
    out = b.dense(b.add("Relu", b.dense(flat, (108, 8), 3)), (8, 8), 5)
    return b.model({"x": ["N", 1, 6, 6]}, {"y": (out, ["N", 8])})


NETWORKS = {
    "chain": chain,
    "residual": residual,
    "densely_connected": densely_connected,
    "reshaped": reshaped,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_are_the_network(name: str) -> None:
    model = NETWORKS[name]()
    graph = apply_owned(import_model(model), PREPARE)
    lines = clipped_lines(graph)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    inputs = {"x": np.random.default_rng(0).normal(0, 1, (40, *shape)).astype(np.float32)}
    expected = with_outputs(graph, [line.root for line in lines]).run(inputs)
    stages = make_stages(graph, [[line.root] for line in lines], [line.output for line in lines], ["y"])
    computed = [
        node.name for stage in stages for node in stage.nodes if node.op not in ("Shape", "Slice", "Concat")
    ]
    assert len(computed) == len(set(computed))
    held = dict(inputs)
    for stage, line in zip(stages, lines, strict=False):
        held |= stage.run(graph, held, 40)
        np.testing.assert_array_equal(held[line.root], expected[line.root])
        held[line.output] = line.value(held[line.root])
        forget(held, stage)
    found = stages[-1].run(graph, held, 40)
    np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-6, atol=1e-6)
    assert set(held) <= set(stages[-1].given) | {lines[-1].output}
