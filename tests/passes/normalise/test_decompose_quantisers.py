"""Quantisers as float arithmetic: the same numbers, bit for bit, and no integer codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from onnx import TensorProto

from onnx2snn.model.files import load_model
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers

SHAPE = ["N", 3, 8, 8]
X = {"x": samples(2, 3, 8, 8)}
SCALES = {"s": np.float32(0.037), "z": np.uint8(11)}


def quantised(*between: Any, constants: dict[str, Any] | None = None, y: Any = SHAPE, **keys: Any) -> Any:
    """QuantizeLinear, operators from q to r, DequantizeLinear."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        *between,
        node("DequantizeLinear", ["r" if between else "q", "s", "z"], ["y"]),
    ]
    return make_model(nodes, {**SCALES, **(constants or {})}, {"x": SHAPE}, {"y": y}, **keys)


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_eight_bits(opset: int, dtype: type) -> None:
    model = quantised(constants={"z": dtype(11)}, opset=opset, ir_version=10)
    graph = apply_checked(model, X, decompose_quantisers)
    assert operators(graph) == ["Div", "Round", "Add", "Clip", "Sub", "Mul"]
    assert {np.dtype(t.dtype).name for t in graph.tensors().values()} == {"float32"}


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_sixteen_bits_of_the_microsoft_domain(dtype: type) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], domain="com.microsoft"),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], domain="com.microsoft"),
    ]
    constants = {"s": np.float32(1e-3), "z": dtype(7)}
    model = make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE}, opset=11, domains=["com.microsoft"])
    apply_checked(model, X, decompose_quantisers)


@pytest.mark.parametrize("code", [TensorProto.INT4, TensorProto.UINT4])
def test_four_bits_named_by_attribute(code: int) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s"], ["q"], output_dtype=code),
        node("DequantizeLinear", ["q", "s"], ["y"]),
    ]
    model = make_model(nodes, {"s": np.float32(0.3)}, {"x": SHAPE}, {"y": SHAPE}, opset=21, ir_version=10)
    graph = apply_checked(model, X, decompose_quantisers)
    assert operators(graph) == ["Div", "Round", "Clip", "Mul"]


@pytest.mark.parametrize("axis", [1, -3])
def test_per_channel(axis: int) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=axis),
    ]
    constants = {"s": np.array([0.1, 0.2, 0.3], np.float32), "z": np.array([1, -2, 3], np.int8)}
    apply_checked(make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE}), X, decompose_quantisers)


def test_ties_round_to_even() -> None:
    model = quantised(constants={"s": np.float32(1), "z": np.uint8(0)})
    x = {"x": np.arange(-96, 96, dtype=np.float32).reshape(1, 3, 8, 8) / 2}
    apply_checked(model, x, decompose_quantisers)


MOVES = {
    "pool": ([node("MaxPool", ["q"], ["r"], kernel_shape=[2, 2])], {}, ["N", 3, 7, 7]),
    "reshape": ([node("Reshape", ["q", "t"], ["r"])], {"t": np.array([0, -1])}, ["N", 192]),
    "clip": ([node("Clip", ["q", "lo", "hi"], ["r"])], {"lo": np.uint8(20), "hi": np.uint8(30)}, SHAPE),
    "pad and concat": (
        [node("Pad", ["q", "pads", "z"], ["p"]), node("Concat", ["p", "p"], ["r"], axis=1)],
        {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
        ["N", 6, 10, 10],
    ),
    "transpose and slice": (
        [node("Transpose", ["q"], ["t"], perm=[0, 2, 3, 1]), node("Slice", ["t", "a", "b", "c"], ["r"])],
        {"a": np.array([1]), "b": np.array([5]), "c": np.array([2])},
        ["N", 8, 4, 3],
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_codes_runs_on_floats(name: str) -> None:
    nodes, constants, shape = MOVES[name]
    graph = apply_checked(quantised(*nodes, constants=constants, y=shape), X, decompose_quantisers)
    assert {np.dtype(n.outputs[0].dtype).name for n in graph.nodes} == {"float32"}


@pytest.mark.parametrize("code", [np.uint8, np.int8])
def test_codes_between_two_are_cut_off(code: type) -> None:
    resize = node("Resize", ["q", "", "k"], ["r"], mode="linear")
    constants = {"k": np.array([1, 1, 2.5, 3], np.float32), "z": code(11)}
    model = quantised(resize, constants=constants, y=["N", 3, 20, 24])
    graph = apply_checked(model, X, decompose_quantisers)
    assert operators(graph) == ["Div", "Round", "Add", "Clip", "Resize", "Clip", "Cast", "Cast", "Sub", "Mul"]


def test_positions_of_a_max_pool_stay_integers() -> None:
    model = make_model(
        [node("MaxPool", ["x"], ["y", "where"], kernel_shape=[2, 2])],
        {},
        {"x": SHAPE},
        {"y": ["N", 3, 7, 7], "where": ["N", 3, 7, 7]},
        types={"where": TensorProto.INT64},
    )
    apply_checked(model, X, decompose_quantisers)


INTEGER_ONLY = {
    "shift": ([node("BitShift", ["q", "one"], ["r"], direction="RIGHT")], {"one": np.uint8(1)}),
    "compare": ([node("Equal", ["q", "z"], ["e"]), node("Where", ["e", "z", "q"], ["r"])], {}),
    "wrapping sum": ([node("Add", ["q", "k"], ["r"])], {"k": np.uint8(200)}),
}


@pytest.mark.parametrize("name", INTEGER_ONLY)
def test_what_needs_integers_gets_them_back(name: str) -> None:
    nodes, constants = INTEGER_ONLY[name]
    graph = apply_checked(quantised(*nodes, constants=constants), X, decompose_quantisers)
    assert "Cast" in operators(graph)


def test_integer_inputs_and_outputs_keep_their_types() -> None:
    nodes = [
        node("DequantizeLinear", ["x", "s", "z"], ["d"]),
        node("Relu", ["d"], ["a"]),
        node("QuantizeLinear", ["a", "s", "z"], ["y"]),
    ]
    types = {"x": TensorProto.UINT8, "y": TensorProto.UINT8}
    model = make_model(nodes, SCALES, {"x": SHAPE}, {"y": SHAPE}, types=types)
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    graph = apply_checked(model, {"x": x}, decompose_quantisers)
    assert operators(graph)[0] == operators(graph)[-1] == "Cast"


def test_a_cast_to_integers_in_front_of_a_dequantiser() -> None:
    nodes = [
        node("Clip", ["x", "lo", "hi"], ["c"]),
        node("Cast", ["c"], ["q"], to=TensorProto.UINT8),
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    constants = {**SCALES, "lo": np.float32(0), "hi": np.float32(7)}
    apply_checked(make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE}), X, decompose_quantisers)


def test_what_is_not_constant_or_blocked_stays() -> None:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    graph = apply_checked(make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE}), X, decompose_quantisers)
    assert operators(graph) == ["DynamicQuantizeLinear", "DequantizeLinear"]


def test_names_of_codes_stay_and_new_nodes_say_what_they_stand_for() -> None:
    graph = decompose_quantisers(import_model(load_model(quantised())))
    assert {"q", "y"} <= set(graph.tensors())
    assert {name for n in graph.nodes for name in n.attrs["_onnx2snn_origin"]} == {"q", "y"}
