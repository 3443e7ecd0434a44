"""float16, bfloat16 and float64 models are computed in float32; their inputs and outputs keep their types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, run_graph, samples
from onnx import TensorProto, numpy_helper

from onnx2snn.graph.core import is_constant
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.files import load_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise import NORMALISE
from onnx2snn.passes.normalise.compute_in_float32 import compute_in_float32

SHAPE = ["N", 3, 8, 8]
TYPES = [
    (np.float16, TensorProto.FLOAT16, 2e-2),
    (ml_dtypes.bfloat16, TensorProto.BFLOAT16, 1e-1),
    (np.float64, TensorProto.DOUBLE, 1e-5),
]


@pytest.mark.parametrize(("dtype", "code", "tolerance"), TYPES)
def test_inputs_and_outputs_keep_their_types(dtype: type, code: int, tolerance: float) -> None:
    weights = samples(4, 3, 3, 3)
    model = make_model(
        [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])],
        {"w": weights.astype(dtype)},
        {"x": SHAPE},
        {"y": ["N", 4, 6, 6]},
        opset=18,
        types={"x": code, "y": code},
    )
    graph = compute_in_float32(import_model(load_model(model)))
    assert operators(graph) == ["Cast", "Conv", "Relu", "Cast"]
    assert {np.dtype(t.dtype) for n in graph.nodes[1:3] for t in [*n.inputs, *n.outputs]} == {
        np.dtype(np.float32)
    }
    exported = to_model(graph).graph
    for info in (*exported.input, *exported.output):
        assert info.type.tensor_type.elem_type == code
    assert to_model(compute_in_float32(graph)) == to_model(graph)

    twin = make_model(
        [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])],
        {"w": weights},
        {"x": SHAPE},
        {"y": ["N", 4, 6, 6]},
    )
    if dtype is not ml_dtypes.bfloat16:  # onnxruntime's Python side takes no bfloat16
        x = samples(2, 3, 8, 8)
        found = run_graph(graph, {"x": x.astype(dtype)})["y"]
        expected = run_graph(import_model(load_model(twin)), {"x": x})["y"]
        assert found.dtype == dtype
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize(("dtype", "code", "tolerance"), TYPES)
def test_casts_inside_disappear(dtype: type, code: int, tolerance: float) -> None:
    nodes = [
        node("Cast", ["x"], ["half"], to=code),
        node("Constant", [], ["k"], value=numpy_helper.from_array(np.array(2, dtype))),
        node("Mul", ["half", "k"], ["m"]),
        node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = import_model(load_model(make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}, opset=18)))
    for graph_pass in NORMALISE:
        graph = graph_pass(graph)
    assert operators(graph) == ["Mul"]
    x = samples(2, 3, 8, 8)
    np.testing.assert_array_equal(run_graph(graph, {"x": x})["y"], 2 * x)


def test_an_output_that_is_read_inside_is_cast_once_for_the_outside() -> None:
    half = TensorProto.FLOAT16
    model = make_model(
        [node("Mul", ["x", "k"], ["y"]), node("Relu", ["y"], ["z"])],
        {"k": np.array(2, np.float16)},
        {"x": SHAPE},
        {"y": SHAPE, "z": SHAPE},
        types={"x": half, "y": half, "z": half},
    )
    graph = compute_in_float32(import_model(load_model(model)))
    assert sorted(operators(graph)) == ["Cast", "Cast", "Cast", "Mul", "Relu"]
    x = samples(2, 3, 8, 8).astype(np.float16)
    found = run_graph(graph, {"x": x})
    np.testing.assert_array_equal(found["y"], 2 * x)
    np.testing.assert_array_equal(found["z"], np.maximum(2 * x, 0))


def test_a_cast_that_the_source_has_at_an_output_stays() -> None:
    half = TensorProto.FLOAT16
    nodes = [node("Relu", ["x"], ["a"]), node("Cast", ["a"], ["y"], to=half)]
    model = make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}, types={"y": half})
    apply_checked(model, {"x": samples(2, 3, 8, 8)}, compute_in_float32)


def test_values_that_were_shared_stay_shared() -> None:
    model = make_model(
        [node("Mul", ["x", "k"], ["a"]), node("Add", ["a", "k"], ["y"])],
        {"k": np.array(2.0)},
        {"x": SHAPE},
        {"y": SHAPE},
        types={"x": TensorProto.DOUBLE, "y": TensorProto.DOUBLE},
    )
    graph = compute_in_float32(import_model(load_model(model)))
    constants = [t for n in graph.nodes for t in n.inputs if is_constant(t)]
    assert len(constants) == 2
    assert len({id(t.values) for t in constants}) == 1


def test_a_float32_model_is_left_alone() -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {}, {"x": SHAPE}, {"y": SHAPE})
    graph = import_model(load_model(model))
    assert to_model(compute_in_float32(graph)) == to_model(graph)
