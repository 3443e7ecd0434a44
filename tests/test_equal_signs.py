"""8-bit operators at the extremes of their operands: exact sums, whatever the processor's kernels do."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto

from onnx2snn.model.equal_signs import with_equal_signs
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import SMALL, split_model

MICROSOFT = "com.microsoft"
RANDOM = np.random.default_rng(3)
TYPES = {"uint8": np.uint8, "int8": np.int8}


def extremes(kind: Any, *shape: int) -> np.ndarray:
    """Numbers at the ends of their type: pairs of their products do not fit in 16 bits."""
    ends = np.iinfo(kind)
    return RANDOM.choice([ends.min, ends.max], shape).astype(kind)


def model(
    operator: str, inputs: list[str], kind: Any, constants: dict[str, Any], answer: Any, **options: Any
) -> onnx.ModelProto:
    """x through one operator."""
    domains = [MICROSOFT] if options.get("domain") else []
    types = {"x": TYPE[kind], "y": TYPE[answer]}
    shape = ["N", 4, 5, 5] if "Conv" in operator else ["N", 64]
    return make_model(
        [node(operator, inputs, ["y"], **options)],
        constants,
        {"x": shape},
        {"y": [None] * len(shape)},
        opset=13,
        types=types,
        domains=domains,
    )


TYPE = {
    np.uint8: TensorProto.UINT8,
    np.int8: TensorProto.INT8,
    np.int32: TensorProto.INT32,
    np.float32: TensorProto.FLOAT,
}


def constants(activation: Any, weight: Any, channels: bool) -> dict[str, Any]:
    zero = np.arange(6) if channels else np.array(3)
    return {
        "zx": np.array(2, activation),
        "zw": zero.astype(weight),
        "one": np.float32(1),
        "ones": np.ones(zero.shape, np.float32),
        "sy": np.float32(16384),
        "zy": np.array(1, activation),
    }


def exact(x: np.ndarray, w: np.ndarray, held: dict[str, Any]) -> np.ndarray:
    return (x.astype(np.int64) - int(held["zx"])) @ (w.astype(np.int64) - held["zw"].astype(np.int64))


def codes(sums: np.ndarray, held: dict[str, Any]) -> np.ndarray:
    kind = held["zy"].dtype
    ends = np.iinfo(kind)
    rounded = np.rint(sums.astype(np.float32) / held["sy"]) + int(held["zy"])
    return np.clip(rounded, ends.min, ends.max).astype(kind)


MATRICES = {
    "MatMulInteger": (["x", "w", "zx", "zw"], np.int32, {}),
    "MatMulIntegerToFloat": (["x", "w", "one", "ones", "zx", "zw"], np.float32, {"domain": MICROSOFT}),
    "QLinearMatMul": (["x", "one", "zx", "w", "ones", "zw", "sy", "zy"], None, {}),
    "QGemm": (["x", "one", "zx", "w", "ones", "zw", "", "sy", "zy"], None, {"domain": MICROSOFT}),
}


@pytest.mark.parametrize("channels", [False, True], ids=["alike", "channels"])
@pytest.mark.parametrize("weight", TYPES)
@pytest.mark.parametrize("activation", TYPES)
@pytest.mark.parametrize("operator", MATRICES)
def test_products_of_matrices_are_exact(operator: str, activation: str, weight: str, channels: bool) -> None:
    kind = TYPES[activation]
    inputs, answer, options = MATRICES[operator]
    held = constants(kind, TYPES[weight], channels)
    x, w = extremes(kind, 3, 64), extremes(TYPES[weight], 64, 6)
    source = model(operator, inputs, kind, {**held, "w": w}, answer or kind, **options)
    found = run_reference(source, {"x": x})["y"]
    sums = exact(x, w, held)
    np.testing.assert_array_equal(found, sums if answer else codes(sums, held))


@pytest.mark.parametrize("weight", TYPES)
@pytest.mark.parametrize("activation", TYPES)
@pytest.mark.parametrize("operator", ["ConvInteger", "QLinearConv"])
def test_convolutions_are_exact(operator: str, activation: str, weight: str) -> None:
    kind = TYPES[activation]
    held = constants(kind, TYPES[weight], channels=operator == "QLinearConv")
    x, w = extremes(kind, 2, 4, 5, 5), extremes(TYPES[weight], 6, 4, 5, 5)
    integer = operator == "ConvInteger"
    inputs = ["x", "w", "zx", "zw"] if integer else ["x", "one", "zx", "w", "ones", "zw", "sy", "zy"]
    source = model(operator, inputs, kind, {**held, "w": w}, np.int32 if integer else kind)
    found = run_reference(source, {"x": x})["y"]
    sums = exact(x.reshape(2, -1), w.reshape(6, -1).T, held)[:, :, None, None]
    np.testing.assert_array_equal(found, sums if integer else codes(sums, held))


def test_weights_that_are_computed_or_have_no_zero_point() -> None:
    """A weight that is no constant is turned by nodes; a zero point that was left out is zero."""
    x, w = extremes(np.uint8, 3, 64), extremes(np.int8, 64, 6)
    nodes = [node("Identity", ["v"], ["w"]), node("MatMulInteger", ["x", "w"], ["y"])]
    source = make_model(
        nodes,
        {"v": w},
        {"x": ["N", 64]},
        {"y": ["N", 6]},
        types={"x": TensorProto.UINT8, "y": TensorProto.INT32},
    )
    np.testing.assert_array_equal(
        run_reference(source, {"x": x})["y"], x.astype(np.int32) @ w.astype(np.int32)
    )


def test_the_model_is_not_changed_and_a_large_weight_stays_apart() -> None:
    x, w = extremes(np.uint8, 2, 64), extremes(np.int8, 64, SMALL // 16)
    source = model("MatMulInteger", ["x", "w"], np.uint8, {"w": w}, np.int32)
    split = split_model(source)
    before = split.structure.SerializeToString(deterministic=True)
    turned = with_equal_signs(split)
    assert split.structure.SerializeToString(deterministic=True) == before
    assert list(split.weights) == ["w"]
    assert turned.weights["w/uint8"].dtype == np.uint8
    np.testing.assert_array_equal(
        run_reference(source, {"x": x})["y"], x.astype(np.int32) @ w.astype(np.int32)
    )


def test_nothing_to_do_is_the_same_model() -> None:
    split = split_model(make_model([node("Relu", ["x"], ["y"])], {}, {"x": ["N"]}, {"y": ["N"]}))
    assert with_equal_signs(split) is split
