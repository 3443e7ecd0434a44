"""Function operators of ONNX are the bodies that their definitions give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, assert_same, make_model, node, operators, run_graph, samples

from onnx2snn.graph.core import origin
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.normalise import NORMALISE
from onnx2snn.passes.normalise.expand_functions import expand_functions

X, Y, Z = (samples(2, 5, 8, seed=seed) for seed in range(3))
HEADS = {"q_num_heads": 2, "kv_num_heads": 2}
PLACES = np.array([[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]], np.int64)
ALLOWED = np.tril(np.ones((5, 7), bool), 2)

#: Operator, what it reads, which of these are constants, its attributes, and what is left of it when shapes are known.
CASES: dict[str, tuple[str, list[Any], tuple[int, ...], dict[str, Any], set[str]]] = {
    "attention": ("Attention", [X, Y, Z], (), HEADS, {"Reshape", "Transpose", "MatMul", "Mul", "Add", "Softmax"}),
    "attention to what came before": (
        "Attention", [X, Y, Z], (), {"is_causal": 1, **HEADS},
        {"Reshape", "Transpose", "MatMul", "Mul", "Add", "Softmax"},
    ),
    "attention of heads that share keys": (
        "Attention", [samples(2, 4, 5, 8), samples(2, 2, 7, 8), samples(2, 2, 7, 8, seed=1), ALLOWED], (3,), {},
        {"Expand", "Reshape", "Transpose", "MatMul", "Mul", "Add", "Softmax"},
    ),
    "attention below a ceiling": (
        "Attention", [samples(2, 4, 5, 8), samples(2, 4, 7, 8), samples(2, 4, 7, 8, seed=1), samples(5, 7)], (3,),
        {"softcap": 2.0, "scale": 0.3}, {"Reshape", "Transpose", "MatMul", "Mul", "Div", "Tanh", "Add", "Softmax"},
    ),
    "rotation": (
        "RotaryEmbedding", [X, samples(10, 2), samples(10, 2, seed=1), PLACES], (1, 2, 3), {"num_heads": 2},
        {"Reshape", "Split", "Mul", "Add", "Sub", "Concat"},
    ),
    "rotation of pairs side by side": (
        "RotaryEmbedding", [samples(2, 3, 5, 8), samples(2, 5, 4), samples(2, 5, 4, seed=1)], (1, 2),
        {"interleaved": 1}, {"Transpose", "Slice", "Split", "Mul", "Add", "Sub", "Concat", "Reshape"},
    ),
    "sum of squares": ("ReduceSumSquare", [X, np.array([2])], (1,), {}, {"Mul", "ReduceSum"}),
    "norm": ("ReduceL2", [X, np.array([2])], (1,), {}, {"Mul", "ReduceSum", "Sqrt"}),
    "cut and padded": ("CenterCropPad", [samples(2, 3, 8, 8), np.array([6, 9])], (1,), {"axes": [2, 3]}, {"Pad", "Slice"}),
}  # fmt: skip


def function_model(
    operator: str, read: list[Any], constant: tuple[int, ...], attributes: dict[str, Any]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """One operator on batches of open size, and samples."""
    values = {f"in{i}": value for i, value in enumerate(read)}
    held = {f"in{i}": values[f"in{i}"] for i in constant}
    given = {name: value for name, value in values.items() if name not in held}
    shapes = {name: ["N", *value.shape[1:]] for name, value in given.items()}
    called = node(operator, list(values), ["y"], name="theirs", **attributes)
    model = make_model([called], held, shapes, {"y": [None] * 4}, opset=23, ir_version=10)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model, given


@pytest.mark.parametrize("name", CASES)
def test_what_onnxruntime_answers(name: str) -> None:
    *case, left = CASES[name]
    source, given = function_model(*case)
    graph = apply_checked(source, given, expand_functions, tolerance=1e-6)
    assert {names for n in graph.nodes for names in origin(n)} == {"theirs"}
    for one in NORMALISE:
        graph = one(graph)
    assert left == {op for op in operators(graph) if op not in ("Unsqueeze", "Squeeze")}
    assert_same(run_graph(graph, given), run_reference(source, given), tolerance=1e-6)


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [("LayerNormalization", {}), ("Gelu", {}), ("Softmax", {}), ("ReduceLogSumExp", {}), ("HardSwish", {})],
)
def test_what_has_a_rule_stays(operator: str, attributes: dict[str, Any]) -> None:
    scale = [samples(8)] if operator == "LayerNormalization" else []
    source, given = function_model(operator, [X, *scale], (1,) if scale else (), attributes)
    assert operators(apply_checked(source, given, expand_functions)) == [operator]
