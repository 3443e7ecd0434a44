"""Tiny models, and the graph of one before and after passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.dialect.functions import DOMAIN, attach_functions
from onnx2snn.graph.core import Pass
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.importer import import_model

Shapes = Mapping[str, Sequence["int | str"]]

node = helper.make_node


def make_model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Any],
    inputs: Shapes,
    outputs: Shapes,
    *,
    opset: int = 17,
    domains: Sequence[str] = (),
    types: Mapping[str, int] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
    ir_version: int = 9,
) -> onnx.ModelProto:
    """A model; inputs and outputs are float32 where ``types`` does not say otherwise."""
    types = types or {}

    def infos(shapes: Shapes) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
            for name, shape in shapes.items()
        ]

    graph = helper.make_graph(
        nodes,
        "tiny",
        infos(inputs),
        infos(outputs),
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=ir_version)


def samples(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1.5, shape).astype(np.float32)


def operators(graph: gs.Graph) -> list[str]:
    return [n.op for n in graph.nodes]


def run_graph(graph: gs.Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ``graph`` answers; it must be a valid model."""
    model = to_model(graph)
    if any(one.domain == DOMAIN for one in model.graph.node):
        attach_functions(model)
    onnx.checker.check_model(model)
    return run_reference(model, inputs)


def apply_checked(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], *passes: Pass, tolerance: float = 0.0
) -> gs.Graph:
    """The graph after ``passes``: after each it is valid, answers what ``model`` answers, and a second run changes nothing.

    Args:
        model: The source.
        inputs: By name.
        passes: Applied in order.
        tolerance: Largest difference allowed, relative to the largest number expected; 0: bit for bit.
    """
    expected = run_reference(model, inputs)
    graph = import_model(load_model(model))
    assert_same(run_graph(graph, inputs), expected, tolerance=tolerance)
    for graph_pass in passes:
        before = to_model(graph)
        after = graph_pass(graph)
        assert to_model(graph) == before, f"{graph_pass.__name__} changed its argument"
        graph = after
        assert_same(run_graph(graph, inputs), expected, tolerance=tolerance)
        assert operators(graph_pass(graph)) == operators(graph), f"{graph_pass.__name__} is not idempotent"
    return graph


def assert_same(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], *, tolerance: float
) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        if tolerance == 0:
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        else:
            scale = max(1.0, float(np.abs(value.astype(np.float64)).max()))
            difference = np.abs(found[name].astype(np.float64) - value.astype(np.float64)).max()
            assert difference <= tolerance * scale, (name, difference)
