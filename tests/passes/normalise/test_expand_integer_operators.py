"""Integer operators as dequantise, float operator, quantise: what onnxruntime's kernels answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples
from onnx import TensorProto

from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers

SHAPE = ["N", 3, 8, 8]
X = {"x": samples(2, 3, 8, 8)}
MICROSOFT = "com.microsoft"

RANDOM = np.random.default_rng(5)
SCALES: dict[str, Any] = {
    "sx": np.float32(0.0317),
    "zx": np.uint8(128),
    "sy": np.float32(0.2113),
    "zy": np.uint8(100),
    "sw": np.float32(0.0131),
    "zw": np.uint8(120),
}


def codes(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape).astype(np.uint8)


def model(
    operator: str,
    inputs: list[str],
    shape: list[Any],
    *,
    flat: bool = False,
    constants: dict[str, Any] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """x, quantised (and flattened), through one integer operator, dequantised."""
    source = [node("Flatten", ["x"], ["f"])] if flat else []
    nodes = [
        *source,
        node("QuantizeLinear", ["f" if flat else "x", "sx", "zx"], ["q"]),
        node(operator, inputs, ["r"], **attributes),
        node("DequantizeLinear", ["r", "sy", "zy"], ["y"]),
    ]
    domains = [MICROSOFT] if attributes.get("domain") else []
    return make_model(
        nodes, {**SCALES, **(constants or {})}, {"x": SHAPE}, {"y": shape}, opset=13, domains=domains
    )


Q, Y, W = ["q", "sx", "zx"], ["sy", "zy"], ["w", "sw", "zw"]
CASES = {
    "convolution": model(
        "QLinearConv", [*Q, *W, *Y], ["N", 4, 8, 8], pads=[1, 1, 1, 1], constants={"w": codes(4, 3, 3, 3)}
    ),
    "convolution per channel": model(
        "QLinearConv",
        [*Q, *W, *Y, "b"],
        ["N", 4, 4, 4],
        pads=[1, 1, 1, 1],
        strides=[2, 2],
        constants={
            "w": codes(4, 3, 3, 3).astype(np.int8),
            "sw": np.array([0.011, 0.023, 0.012, 0.031], np.float32),
            "zw": np.zeros(4, np.int8),
            "b": np.array([100, -500, 3, 4], np.int32),
        },
    ),
    "product of matrices": model(
        "QLinearMatMul", [*Q, *W, *Y], ["N", 5], flat=True, constants={"w": codes(192, 5)}
    ),
    "gemm": model(
        "QGemm",
        [*Q, *W, "b", *Y],
        ["N", 5],
        flat=True,
        constants={"w": codes(5, 192), "b": np.array([1, 2, 3, 4, 500], np.int32)},
        domain=MICROSOFT,
        transB=1,
    ),
    "sum": model("QLinearAdd", [*Q, *Q, *Y], SHAPE, domain=MICROSOFT),
    "product": model(
        "QLinearMul", [*Q, *W, *Y], SHAPE, constants={"w": codes(3, 1, 1)}, domain=MICROSOFT
    ),
    "average": model(
        "QLinearAveragePool", [*Q, *Y], ["N", 3, 4, 4], domain=MICROSOFT, kernel_shape=[2, 2], strides=[2, 2]
    ),
    "global average": model(
        "QLinearGlobalAveragePool", [*Q, *Y], ["N", 3, 1, 1], domain=MICROSOFT, channels_last=0
    ),
    "concatenation": model("QLinearConcat", [*Y, *Q, *Q], ["N", 6, 8, 8], domain=MICROSOFT, axis=1),
    "leaky": model("QLinearLeakyRelu", [*Q, *Y], SHAPE, domain=MICROSOFT, alpha=0.1),
    "sigmoid": model(
        "QLinearSigmoid", [*Q, *Y], SHAPE, domain=MICROSOFT, constants={"sy": np.float32(1 / 256)}
    ),
    "softmax of a scale that is no share of one": model(
        "QLinearSoftmax", [*Q, *Y], SHAPE, domain=MICROSOFT, axis=1, opset=13,
        constants={"sy": np.float32(0.003), "zy": np.uint8(0)},
    ),
    "softmax of several axes": model(
        "QLinearSoftmax", [*Q, *Y], SHAPE, domain=MICROSOFT, axis=2, opset=12,
        constants={"sy": np.float32(1 / 256), "zy": np.uint8(0)},
    ),
    "softmax": model(
        "QLinearSoftmax", [*Q, *Y], ["N", 192], flat=True, domain=MICROSOFT, axis=-1, opset=13,
        constants={"sy": np.float32(1 / 256), "zy": np.uint8(0)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_same_codes(name: str) -> None:
    graph = apply_checked(CASES[name], X, decompose_quantisers, tolerance=1e-6)
    assert not [n.op for n in graph.nodes if n.op.startswith("Q") or n.domain]
    assert {np.dtype(n.outputs[0].dtype).name for n in graph.nodes} == {"float32"}


@pytest.mark.parametrize("bias", [False, True])
def test_sums_of_integers_are_added_in_float(bias: bool) -> None:
    summed = [node("Add", ["i", "b"], ["ib"])] if bias else []
    nodes = [
        node("Flatten", ["x"], ["f"]),
        node("QuantizeLinear", ["f", "sx", "zx"], ["q"]),
        node("MatMulInteger", ["q", "w", "zx", "zw"], ["i"]),
        *summed,
        node("Cast", ["ib" if bias else "i"], ["c"], to=TensorProto.FLOAT),
        node("Mul", ["c", "sx"], ["y"]),
    ]
    constants = {**SCALES, "w": codes(192, 5), "b": np.array([1, -2, 3, 4, 5], np.int32)}
    source = make_model(nodes, constants, {"x": SHAPE}, {"y": ["N", 5]})
    graph = apply_checked(source, X, decompose_quantisers, tolerance=1e-6)
    assert {np.dtype(n.outputs[0].dtype).name for n in graph.nodes} == {"float32"}


def test_convolution_of_integers() -> None:
    nodes = [
        node("QuantizeLinear", ["x", "sx", "zx"], ["q"]),
        node("ConvInteger", ["q", "w", "zx", "zw"], ["i"], pads=[1, 1, 1, 1]),
        node("Cast", ["i"], ["c"], to=TensorProto.FLOAT),
        node("Mul", ["c", "sx"], ["y"]),
    ]
    constants = {**SCALES, "w": codes(4, 3, 3, 3)}
    source = make_model(nodes, constants, {"x": SHAPE}, {"y": ["N", 4, 8, 8]})
    apply_checked(source, X, decompose_quantisers, tolerance=1e-6)


def test_a_scale_that_is_computed_leaves_the_operator_on_integers() -> None:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("QLinearConv", ["q", "s", "z", *W, *Y], ["r"]),
        node("DequantizeLinear", ["r", "sy", "zy"], ["y"]),
    ]
    source = make_model(nodes, {**SCALES, "w": codes(4, 3, 3, 3)}, {"x": SHAPE}, {"y": ["N", 4, 6, 6]})
    graph = apply_checked(source, X, decompose_quantisers)
    assert "QLinearConv" in operators(graph)
