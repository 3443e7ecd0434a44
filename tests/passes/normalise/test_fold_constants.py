"""Constants and known sizes are computed once."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from onnx import TensorProto

from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import constant_input, is_constant
from onnx2snn.model.files import load_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.fold_constants import fold_constants
from onnx2snn.passes.normalise.infer_shapes import infer_shapes

SHAPE = ["N", 3, 8, 8]
X = {"x": samples(2, 3, 8, 8)}


def test_a_chain_of_constants_becomes_one() -> None:
    nodes = [
        node("Mul", ["a", "b"], ["c"]),
        node("Sqrt", ["c"], ["d"]),
        node("Mul", ["x", "d"], ["e"]),
        node("Add", ["e", "c"], ["y"]),
    ]
    constants = {"a": np.abs(samples(3, 1, 1)), "b": np.float32(2)}
    graph = apply_checked(make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE}), X, fold_constants)
    assert operators(graph) == ["Mul", "Add"]


def test_large_weights_are_dequantised() -> None:
    weights = np.random.default_rng(0).integers(-128, 128, (64, 64)).astype(np.int8)
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"], axis=1), node("MatMul", ["x", "w"], ["y"])]
    constants = {"q": weights, "s": np.linspace(0.01, 0.02, 64, dtype=np.float32)}
    model = make_model(nodes, constants, {"x": ["N", 64]}, {"y": ["N", 64]})
    graph = apply_checked(model, {"x": samples(2, 64)}, fold_constants)
    assert operators(graph) == ["MatMul"]


def test_blocks_of_four_bits_are_dequantised() -> None:
    nodes = [
        node("Cast", ["q"], ["q4"], to=TensorProto.INT4),
        node("DequantizeLinear", ["q4", "s"], ["w"], axis=0, block_size=32),
        node("MatMul", ["x", "w"], ["y"]),
    ]
    constants = {
        "q": np.random.default_rng(0).integers(-8, 8, (64, 64)).astype(np.int8),
        "s": np.full((2, 64), 0.1, np.float32),
    }
    model = make_model(nodes, constants, {"x": ["N", 64]}, {"y": ["N", 64]}, opset=21, ir_version=10)
    assert operators(apply_checked(model, {"x": samples(2, 64)}, fold_constants)) == ["MatMul"]


@pytest.mark.parametrize("taking", ["Gather", "Slice", "start"])
def test_sizes_that_are_known_though_the_batch_is_not(taking: str) -> None:
    if taking == "Gather":
        nodes = [node("Shape", ["x"], ["s"]), node("Gather", ["s", "i"], ["t"])]
    elif taking == "Slice":
        nodes = [node("Shape", ["x"], ["s"]), node("Slice", ["s", "a", "b"], ["t"])]
    else:
        nodes = [node("Shape", ["x"], ["t"], start=1, end=3)]
    nodes += [
        node("Cast", ["t"], ["f"], to=TensorProto.FLOAT),
        node("ReduceMax", ["f"], ["m"], keepdims=0),
        node("Mul", ["x", "m"], ["y"]),
    ]
    constants = {"i": np.array([1, -1]), "a": np.array([1]), "b": np.array([3])}
    graph = import_model(load_model(make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE})))
    graph = fold_constants(graph)
    assert operators(graph) == ["Mul"]
    np.testing.assert_array_equal(constant_input(graph.nodes[0], 1), 8)


def test_a_size_that_is_not_known_stays() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "i"], ["t"]),
        node("Cast", ["t"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["x", "f"], ["y"]),
    ]
    model = make_model(nodes, {"i": np.array(0)}, {"x": SHAPE}, {"y": SHAPE})
    assert "Shape" in operators(apply_checked(model, X, fold_constants))


def token_in_front(sizes: list[onnx.NodeProto]) -> onnx.ModelProto:
    """One row of constants in front of each sample, as often as there are samples: ``sizes`` makes t of the shape s of x."""
    constants = {
        "token": np.arange(4, dtype=np.float32).reshape(1, 1, 4),
        "first": np.array([0]),
        "minus": np.array([-1]),
        "minuses": np.array([-1, -1, -1]),
        "one": np.array([1]),
        "ones": np.array([1, 1, 1]),
        "two": np.array([2]),
    }
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "first"], ["n"]),
        node("Concat", ["n", "minus", "minus"], ["asked"], axis=0),
        *sizes,
        node("Expand", ["token", "t"], ["tokens"]),
        node("Concat", ["tokens", "x"], ["y"], axis=1),
    ]
    return make_model(nodes, constants, {"x": ["N", 2, 4]}, {"y": ["N", 3, 4]})


def test_what_is_chosen_of_sizes_is_known_where_it_is_known_which() -> None:
    sizes = [node("Equal", ["asked", "minuses"], ["kept"]), node("Where", ["kept", "ones", "asked"], ["t"])]
    found = apply_checked(
        token_in_front(sizes), {"x": samples(2, 2, 4)}, infer_shapes, fold_constants, infer_shapes
    )
    assert "Where" not in operators(found)
    assert next(n for n in found.nodes if n.op == "Expand").outputs[0].shape == ["N", 1, 4]


def test_what_may_be_either_is_still_chosen() -> None:
    sizes = [
        node("Concat", ["n", "one", "one"], ["each"], axis=0),
        node("Equal", ["n", "two"], ["kept"]),
        node("Where", ["kept", "ones", "each"], ["t"]),
    ]
    found = apply_checked(token_in_front(sizes), {"x": samples(1, 2, 4)}, infer_shapes, fold_constants)
    assert "Where" in operators(found)


def test_an_output_that_is_constant_is_still_written() -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Add", ["a", "a"], ["k"]), node("Mul", ["k", "a"], ["unused"])]
    model = make_model(nodes, {"a": samples(3)}, {"x": SHAPE}, {"y": SHAPE, "k": [3]})
    apply_checked(model, X, fold_constants)


@pytest.mark.parametrize("operator", ["Expand", "Tile", "ConstantOfShape"])
def test_what_would_fill_the_memory_is_not_folded(operator: str) -> None:
    made = {
        "Expand": node("Expand", ["k", "huge"], ["e"]),
        "Tile": node("Tile", ["k", "huge"], ["e"]),
        "ConstantOfShape": node("ConstantOfShape", ["huge"], ["e"]),
    }[operator]
    nodes = [made, node("ReduceSum", ["e"], ["r"], keepdims=0), node("Add", ["x", "r"], ["y"])]
    constants = {"k": np.ones(1, np.float32), "huge": np.array([1 << 36])}
    graph = import_model(load_model(make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE})))
    assert operator in operators(fold_constants(graph))


def test_random_numbers_stay_random() -> None:
    nodes = [node("RandomNormal", [], ["r"], shape=[3, 1, 1]), node("Add", ["x", "r"], ["y"])]
    graph = import_model(load_model(make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE})))
    assert operators(fold_constants(graph)) == ["RandomNormal", "Add"]


def test_every_reader_gets_its_own_constant() -> None:
    nodes = [node("Neg", ["a"], ["k"]), node("Mul", ["x", "k"], ["m"]), node("Add", ["m", "k"], ["y"])]
    model = make_model(nodes, {"a": samples(3, 1, 1)}, {"x": SHAPE}, {"y": SHAPE})
    graph = apply_checked(model, X, fold_constants)
    constants = [t for n in graph.nodes for t in n.inputs if is_constant(t)]
    assert len(constants) == len({t.name for t in constants}) == 2
    assert constants[0].values is constants[1].values


def test_constants_that_cannot_be_computed_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    nodes = [
        node("Reshape", ["a", "s"], ["b"]),
        node("Cast", ["b"], ["c"], to=TensorProto.FLOAT),
        node("ReduceSum", ["c"], ["d"], keepdims=0),
        node("Add", ["x", "d"], ["y"]),
    ]
    constants = {"a": np.arange(6), "s": np.array([4, -1])}
    with pytest.raises(InvalidModelError):
        fold_constants(import_model(load_model(make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE}))))
