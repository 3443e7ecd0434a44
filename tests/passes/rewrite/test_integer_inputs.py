"""Behind integer codes the first synapses add whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto, numpy_helper

import onnx2snn
from onnx2snn.model.reference import run_reference

KINDS = {
    np.uint8: TensorProto.UINT8,
    np.int8: TensorProto.INT8,
    np.uint16: TensorProto.UINT16,
    np.float32: TensorProto.FLOAT,
}
RANDOM = np.random.default_rng(23)


def integer_network(kind: Any, *, weights: Any = np.int8) -> onnx.ModelProto:
    """Codes through an integer convolution, whose kernel adds exactly, and a readout; unsigned weights have a zero point."""
    low, high, zero = (0, 256, 101) if weights is np.uint8 else (-127, 128, 0)
    held = {
        "sx": np.float32(0.0173),
        "zx": kind(100),
        "w": RANDOM.integers(low, high, (8, 3, 3, 3)).astype(weights),
        "sw": RANDOM.uniform(0.001, 0.02, 8).astype(np.float32),
        "zw": np.full(8, zero, weights),
        "sy": np.float32(0.171),
        "zy": kind(17),
        "b": RANDOM.integers(-20000, 20000, 8).astype(np.int32),
        "v": RANDOM.normal(0, 1, (8 * 9, 4)).astype(np.float32),
    }
    nodes = [
        node("QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"], ["q"], pads=[1, 1, 1, 1]),
        node("DequantizeLinear", ["q", "sy", "zy"], ["d"]),
        node("MaxPool", ["d"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "v"], ["y"]),
    ]
    return make_model(nodes, held, {"x": ["N", 3, 6, 6]}, {"y": ["N", 4]}, opset=13, types={"x": KINDS[kind]})


def first_weights(model: onnx.ModelProto) -> np.ndarray:
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    first = next(n for n in model.graph.node if n.op_type in ("Conv", "MatMul", "Gemm"))
    return numpy_helper.to_array(held[first.input[1]])


@pytest.mark.parametrize(("kind", "codes"), [(np.uint8, np.int8), (np.int8, np.int8), (np.uint8, np.uint8)])
def test_no_neuron_is_ambiguous(kind: Any, codes: Any) -> None:
    source = integer_network(kind, weights=codes)
    converted = onnx2snn.convert(source).model
    weights = first_weights(converted)
    np.testing.assert_array_equal(weights, np.rint(weights))
    ends = np.iinfo(kind)
    x = RANDOM.integers(ends.min, ends.max + 1, (200, 3, 6, 6)).astype(kind)
    certificate = onnx2snn.verify(source, converted, {"x": x})
    assert certificate.lossless
    layer = certificate.layers[0]
    assert layer.exact == layer.levels_compared == 200 * 8 * 9


def dense(kind: Any, *, move: bool = False, peak: int = 7) -> onnx.ModelProto:
    """Codes, their zero point, their scale; whole-number weights."""
    moved = [node("Reshape", ["f", "shape"], ["m"])] if move else []
    nodes = [
        node("Cast", ["x"], ["c"], to=TensorProto.FLOAT),
        node("Sub", ["c", "z"], ["o"]),
        node("Mul", ["o", "s"], ["f"]),
        *moved,
        node("MatMul", ["m" if move else "f", "w"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("QuantizeLinear", ["r", "t", "u"], ["q"]),
        node("DequantizeLinear", ["q", "t", "u"], ["d"]),
        node("MatMul", ["d", "v"], ["y"]),
    ]
    whole = RANDOM.integers(-peak, peak + 1, (6, 5)).astype(np.float32)
    held = {
        "z": np.float32(3),
        "s": np.float32(0.3),
        "w": whole * np.float32(0.013),
        "t": np.float32(0.4),
        "u": np.uint8(0),
        "v": RANDOM.normal(0, 1, (5, 2)).astype(np.float32),
        "shape": np.array([0, 6], np.int64),
    }
    shape: list[Any] = ["N", 2, 3] if move else ["N", 6]
    return make_model(nodes, held, {"x": shape}, {"y": ["N", 2]}, opset=13, types={"x": KINDS[kind]})


@pytest.mark.parametrize("move", [False, True])
def test_scales_go_into_thresholds(move: bool) -> None:
    source = dense(np.uint8, move=move)
    converted = onnx2snn.convert(source).model
    weights = first_weights(converted)
    np.testing.assert_array_equal(weights, np.rint(weights))
    shape = (50, 2, 3) if move else (50, 6)
    x = RANDOM.integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_allclose(
        run_reference(converted, {"x": x})["y"], run_reference(source, {"x": x})["y"], rtol=1e-5, atol=1e-5
    )
    assert onnx2snn.verify(source, converted, {"x": x}).lossless


def test_numbers_that_are_not_whole_and_sums_that_are_too_large_stay() -> None:
    """Inputs in float32 may be anything; 16-bit codes times 7-bit weights leave what float32 holds."""
    for source in (dense(np.float32), dense(np.uint16, peak=127)):
        weights = first_weights(onnx2snn.convert(source).model)
        assert not np.array_equal(weights, np.rint(weights))
