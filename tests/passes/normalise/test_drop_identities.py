"""What does nothing at inference is read through."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from onnx import TensorProto

import onnx2snn
from onnx2snn.passes.normalise.drop_identities import drop_identities
from onnx2snn.passes.normalise.fold_constants import fold_constants
from onnx2snn.passes.normalise.infer_shapes import infer_shapes

SHAPE = ["N", 3, 8, 8]
X = {"x": samples(2, 3, 8, 8)}


def model(
    *nodes: onnx.NodeProto, constants: dict[str, Any] | None = None, opset: int = 17
) -> onnx.ModelProto:
    return make_model(list(nodes), constants or {}, {"x": SHAPE}, {"y": SHAPE}, opset=opset)


RELU = node("Relu", ["a"], ["y"])
NOTHING = {
    "identity": model(node("Identity", ["x"], ["a"]), RELU),
    "dropout": model(node("Dropout", ["x"], ["a", "mask"]), RELU),
    "dropout with a ratio": model(
        node("Dropout", ["x", "r", "t"], ["a"]), RELU, constants={"r": np.float32(0.5), "t": np.array(False)}
    ),
    "pad by nothing": model(node("Pad", ["x", "p"], ["a"]), RELU, constants={"p": np.zeros(8, np.int64)}),
    "cast to the same type": model(node("Cast", ["x"], ["a"], to=TensorProto.FLOAT), RELU),
    "cast like": model(node("CastLike", ["x", "k"], ["a"]), RELU, constants={"k": np.float32(1)}),
    "a sum over nothing": model(node("ReduceSum", ["x"], ["a"], noop_with_empty_axes=1), RELU),
    "a mean over no axes": model(
        node("ReduceMean", ["x", "e"], ["a"], noop_with_empty_axes=1), RELU, constants={"e": np.zeros(0, np.int64)}, opset=18
    ),
    "expand to the shape it has": model(node("Expand", ["x", "s"], ["a"]), RELU, constants={"s": np.ones(4, np.int64)}),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_dropped(name: str) -> None:
    graph = apply_checked(NOTHING[name], X, infer_shapes, drop_identities)
    assert operators(graph) == ["Relu"]


def test_in_front_of_an_output_its_name_stays() -> None:
    graph = apply_checked(
        model(node("Relu", ["x"], ["a"]), node("Identity", ["a"], ["y"])), X, drop_identities
    )
    assert operators(graph) == ["Relu"]
    assert graph.outputs[0].name == "y"


def test_between_an_input_and_an_output_it_stays() -> None:
    graph = apply_checked(model(node("Identity", ["x"], ["y"])), X, drop_identities)
    assert operators(graph) == ["Identity"]


def test_two_outputs_of_one_value() -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Identity", ["y"], ["z"])]
    source = make_model(nodes, {}, {"x": SHAPE}, {"y": SHAPE, "z": SHAPE})
    apply_checked(source, X, drop_identities)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Cast", ["x"], ["a"], to=TensorProto.INT32), node("Cast", ["a"], ["y"], to=TensorProto.FLOAT)],
        [node("Dropout", ["x", "r", "t"], ["a"]), RELU],
    ],
)
def test_what_does_something_stays(nodes: list[onnx.NodeProto]) -> None:
    source = model(*nodes, constants={"r": np.float32(0), "t": np.array(True)})
    assert len(apply_checked(source, X, drop_identities).nodes) == 2


def test_a_widened_constant_is_read_narrow() -> None:
    source = model(
        node("Expand", ["k", "s"], ["a"]),
        node("Add", ["x", "a"], ["y"]),
        constants={"k": samples(1, 3, 1, 1), "s": np.array([1, 3, 8, 8])},
    )
    assert operators(apply_checked(source, X, infer_shapes, drop_identities)) == ["Add"]


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand"])
def test_a_function_of_a_widened_constant_is_widened_last(kind: str) -> None:
    """-1 where x is small, and 1 elsewhere, as ones_like and its negative."""
    ones = node("Expand", ["one", "sizes"], ["ones"])
    if kind == "ConstantOfShape":
        ones = node(kind, ["sizes"], ["ones"], value=onnx.numpy_helper.from_array(np.ones(1, np.float32)))
    source = model(
        node("Shape", ["x"], ["sizes"]),
        ones,
        node("Neg", ["ones"], ["minus"]),
        node("Less", ["x", "least"], ["small"]),
        node("Where", ["small", "minus", "ones"], ["y"]),
        constants={"one": np.ones(1, np.float32), "least": np.float32(-0.3)},
    )
    passes = [infer_shapes, drop_identities, fold_constants, infer_shapes, drop_identities]
    assert operators(apply_checked(source, X, *passes)) == ["Less", "Where"]


@pytest.mark.parametrize("exporter", ["filled", "expanded"])
def test_ternary_activations(exporter: str) -> None:
    """torch.where(x > t, ones_like(x), torch.where(x < -t, -ones_like(x), zeros_like(x)))."""

    def like(number: float, name: str) -> onnx.NodeProto:
        if exporter == "expanded":
            return node("Expand", [f"{number:g}", "sizes"], [name])
        value = onnx.helper.make_tensor("v", TensorProto.FLOAT, [1], [number])
        return node("ConstantOfShape", ["sizes"], [name], value=value)

    nodes = [
        node("MatMul", ["x", "w"], ["z"]),
        node("Shape", ["z"], ["sizes"]),
        like(1, "ones"),
        like(0, "zeros"),
        node("Neg", ["ones"], ["minus"]),
        node("Less", ["z", "low"], ["below"]),
        node("Greater", ["z", "high"], ["above"]),
        node("Where", ["below", "minus", "zeros"], ["rest"]),
        node("Where", ["above", "ones", "rest"], ["a"]),
        node("MatMul", ["a", "v"], ["y"]),
    ]
    constants = {"w": samples(6, 8), "v": samples(8, 3), "low": np.float32(-0.3), "high": np.float32(0.3)}
    constants |= {"0": np.zeros(1, np.float32), "1": np.ones(1, np.float32)}
    source = make_model(nodes, constants, {"x": ["N", 6]}, {"y": ["N", 3]})
    conversion = onnx2snn.convert(source)
    assert conversion.timesteps == 2
    assert onnx2snn.verify(source, conversion).lossless


def test_nothing_beside_a_tensor_is_left_out() -> None:
    """A roll of windows by nothing, as torch exports it, with quantisers on both of its parts."""
    constants: dict[str, Any] = {
        "from": np.array([0]), "end": np.array([99]), "none": np.array([0]), "axis": np.array([2]),
        "s": np.float32(0.1), "z": np.uint8(7), "w": np.ones((4, 3, 1, 1), np.float32),
    }  # fmt: skip

    def quantised(name: str) -> list[onnx.NodeProto]:
        return [
            node("QuantizeLinear", [name, "s", "z"], [f"{name}/q"]),
            node("DequantizeLinear", [f"{name}/q", "s", "z"], [f"{name}/d"]),
        ]

    nodes = [
        *quantised("x"),
        node("Slice", ["x/d", "from", "end", "axis"], ["a"]),
        node("Slice", ["x/d", "none", "none", "axis"], ["b"]),
        *quantised("a"),
        *quantised("b"),
        node("Concat", ["a/d", "b/d"], ["c"], axis=2),
        node("Conv", ["c", "w"], ["v"]),
        node("Relu", ["v"], ["r"]),
        *quantised("r"),
        node("Conv", ["r/d", "w4"], ["y"]),
    ]
    constants["w4"] = np.ones((3, 4, 1, 1), np.float32)
    source = make_model(nodes, constants, {"x": SHAPE}, {"y": SHAPE})
    conversion = onnx2snn.convert(source)
    assert not any(one.op_type in ("Concat", "Slice") for one in conversion.model.graph.node)
    assert onnx2snn.verify(source, conversion.model, X).lossless
