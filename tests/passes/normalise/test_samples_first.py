"""Samples on another axis than the first."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

from onnx2snn.analysis.batch_axis import sample_axes
from onnx2snn.model.files import load_model
from onnx2snn.operators.batch import Samples
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.merge_moves import merge_moves
from onnx2snn.passes.normalise.samples_first import samples_first

X = {"x": samples(2, 5, 6)}
IN = node("Transpose", ["x"], ["a"], perm=[1, 0, 2])
OUT = node("Transpose", ["b"], ["y"], perm=[1, 0, 2])


def between(
    *nodes: onnx.NodeProto, after: tuple[Any, ...] = ("N", 5, 6), **constants: Any
) -> onnx.ModelProto:
    """From [N, 5, 6], over positions in front, and back."""
    return make_model([IN, *nodes], constants, {"x": ["N", 5, 6]}, {"y": list(after)}, opset=18)


#: By name: nodes from ``a`` [5, N, 6] to ``y``, constants, sizes of ``y``, operators that are left.
CASES: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], tuple[Any, ...], list[str]]] = {
    "entry by entry": (
        [node("Mul", ["a", "c"], ["m"]), node("Relu", ["m"], ["b"]), OUT],
        {"c": samples(5, 1, 6)},
        ("N", 5, 6),
        ["Mul", "Relu"],
    ),
    "a product of matrices, its rows samples": (
        [node("MatMul", ["a", "w"], ["b"]), OUT],
        {"w": samples(6, 4)},
        ("N", 5, 4),
        ["MatMul"],
    ),
    "along axes": (
        [
            node("Softmax", ["a"], ["s"], axis=0),
            node("Gather", ["s", "i"], ["g"], axis=0),
            node("Concat", ["g", "a"], ["j"], axis=0),
            node("ReduceSum", ["j", "one"], ["b"], keepdims=0),
            node("Identity", ["b"], ["y"]),
        ],
        {"i": np.array([3, 1]), "one": np.array([0])},
        ("N", 6),
        ["Softmax", "Gather", "Concat", "ReduceSum", "Identity"],
    ),
    "rows": (
        [
            node("Reshape", ["a", "flat"], ["r"]),
            node("Gemm", ["r", "w", "c"], ["g"], transB=1),
            node("Reshape", ["g", "back"], ["b"]),
            OUT,
        ],
        {"flat": np.array([-1, 6]), "w": samples(4, 6), "c": samples(4), "back": np.array([5, -1, 4])},
        ("N", 5, 4),
        ["Reshape", "Reshape", "Gemm", "Reshape", "Reshape"],
    ),
    "an axis in front of the others": (
        [node("Unsqueeze", ["a", "zero"], ["u"]), node("Squeeze", ["u", "zero"], ["b"]), OUT],
        {"zero": np.array([0])},
        ("N", 5, 6),
        ["Identity"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operators_work_on_samples_in_front(name: str) -> None:
    nodes, constants, after, left = CASES[name]
    source = between(*nodes, after=after, **constants)
    graph = apply_checked(
        source, X, infer_shapes, samples_first, merge_moves, tolerance=1e-6
    )  # another order of sums
    assert [op for op in operators(graph) if op != "Transpose"] == left
    assert [n for n in graph.nodes if n.op == "Transpose"] == []


def test_heads_beside_samples_are_an_axis_of_their_own() -> None:
    """Stacked products of attention: [L, N·H, D] ─▶ [N·H, L, D]."""
    nodes = [
        node("Reshape", ["a", "heads"], ["h"]),
        node("Transpose", ["h"], ["q"], perm=[1, 0, 2]),
        node("Transpose", ["h"], ["k"], perm=[1, 2, 0]),
        node("MatMul", ["q", "k"], ["s"]),
        node("MatMul", ["s", "q"], ["m"]),
        node("Transpose", ["m"], ["t"], perm=[1, 0, 2]),
        node("Reshape", ["t", "back"], ["b"]),
        OUT,
    ]
    source = between(*nodes, heads=np.array([5, -1, 3]), back=np.array([5, -1, 6]))
    graph = apply_checked(source, X, infer_shapes, samples_first, merge_moves, tolerance=1e-6)
    products = [n for n in graph.nodes if n.op == "MatMul"]
    assert [list(t.shape) for t in products[0].inputs] == [["N", 2, 5, 3], ["N", 2, 3, 5]]


def test_windows_beside_samples_are_an_axis_of_their_own() -> None:
    """Attention in windows: [N·W, L, 2·D] ─▶ [2, N·W, L, D], queries and keys in front of windows."""
    nodes = [
        node("Reshape", ["x", "parts"], ["p"]),
        node("Transpose", ["p"], ["t"], perm=[2, 0, 1, 3]),
        node("Gather", ["t", "zero"], ["q"], axis=0),
        node("Gather", ["t", "one"], ["k"], axis=0),
        node("Transpose", ["k"], ["turned"], perm=[0, 2, 1]),
        node("MatMul", ["q", "turned"], ["s"]),
        node("Reshape", ["s", "back"], ["y"]),
    ]
    constants = {"parts": np.array([-1, 2, 2, 2]), "zero": np.array(0), "one": np.array(1)}
    constants["back"] = np.array([-1, 6, 2])
    source = make_model(nodes, constants, {"x": ["N", 6, 4]}, {"y": ["N", 6, 2]}, opset=18)
    given = {"x": samples(2, 6, 4)}
    graph = apply_checked(source, given, infer_shapes, samples_first, merge_moves, tolerance=1e-6)
    assert all(n.attrs["perm"][0] == 0 for n in graph.nodes if n.op == "Transpose")


def test_what_samples_differ_in_stays() -> None:
    """1. A constant for each sample; 2. a softmax over samples."""
    source = make_model(
        [IN, node("Add", ["a", "c"], ["d"]), node("Softmax", ["d"], ["b"], axis=1), OUT],
        {"c": samples(5, 2, 6)},
        {"x": [2, 5, 6]},
        {"y": [2, 5, 6]},
    )
    graph = apply_checked(source, X, infer_shapes, samples_first)
    assert operators(graph) == ["Transpose", "Add", "Softmax", "Transpose"]


def test_where_samples_are_counted_is_followed() -> None:
    nodes = [
        node("Reshape", ["a", "flat"], ["r"]),
        node("Reshape", ["a", "heads"], ["h"]),
        node("Reshape", ["r", "back"], ["b"]),
        OUT,
    ]
    constants = {"flat": np.array([-1, 6]), "heads": np.array([5, -1, 3]), "back": np.array([5, -1, 6])}
    source = between(*nodes, **constants)
    source.graph.output.append(onnx.helper.make_tensor_value_info("h", 1, [5, "M", 3]))
    found = sample_axes(infer_shapes(apply_checked(source, X)))
    assert found["r"] == Samples(0, 5, 1)
    assert found["h"] == Samples(1, 1, 2)
    assert found["b"] == Samples(1)


def test_sizes_are_read_where_samples_are_in_front() -> None:
    nodes = [
        node("Reshape", ["a", "heads"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("Shape", ["r"], ["s"]),
        node("Gather", ["s", "one"], ["e"], axis=0),
        node("Concat", ["five", "e", "three"], ["t"], axis=0),
        node("Reshape", ["r", "t"], ["q"]),
        node("Reshape", ["q", "back"], ["b"]),
        OUT,
    ]
    vectors = {"heads": [5, -1, 3], "one": [1], "five": [5], "three": [3], "back": [5, -1, 6]}
    source = between(*nodes, **{name: np.array(values) for name, values in vectors.items()})
    graph = apply_checked(source, X, infer_shapes, samples_first, merge_moves)
    assert "Transpose" not in operators(graph)


def test_embeddings_are_gathered_by_sample() -> None:
    """Indices [N, L] into rows, and into columns."""
    nodes = [node("Gather", ["w", "x"], ["a"]), node("Gather", ["w", "x"], ["b"], axis=1)]
    source = make_model(
        nodes,
        {"w": samples(7, 6)},
        {"x": ["N", 5]},
        {"a": ["N", 5, 6], "b": [7, "N", 5]},
        types={"x": onnx.TensorProto.INT64},
    )
    graph = infer_shapes(import_model(load_model(source)))
    assert {name: found.axis for name, found in sample_axes(graph).items()} == {"x": 0, "a": 0, "b": 1}


@pytest.mark.parametrize("batch", [2, "N"])
@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_places_and_their_classes(batch: int | str, axis: int, keepdims: int) -> None:
    """The axis that ArgMax leaves out, and the one that OneHot puts in, move that of the samples."""
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("ArgMax", ["t"], ["k"], axis=2, keepdims=keepdims),
        node("OneHot", ["k", "depth", "both"], ["y"], axis=axis),
    ]
    shape: list[int | str] = [4, batch, 1] if keepdims else [4, batch]
    shape.insert(len(shape) if axis < 0 else axis, 3)
    held = {"depth": np.array(3), "both": np.array([0, 1], np.float32)}
    source = make_model(nodes, held, {"x": [batch, 4, 3]}, {"y": shape})
    apply_checked(source, {"x": samples(2, 4, 3)}, infer_shapes, samples_first)
