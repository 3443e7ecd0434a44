"""Quantisers that are written against the rules of ONNX mean what they can only mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto, numpy_helper

import onnx2snn
from onnx2snn.model.files import load_model
from onnx2snn.model.quantiser_repairs import with_valid_quantisers
from onnx2snn.model.reference import run_reference

RANDOM = np.random.default_rng(4)


def network(bias: np.ndarray, *, axis: int = 0, kind: Any = np.int16) -> onnx.ModelProto:
    """A layer on 16-bit codes, its bias dequantised."""
    held = {
        "sx": np.float32(0.01),
        "z": kind(0),
        "w": RANDOM.normal(0, 1, (5, 4)).astype(np.float32),
        "b": bias,
        "sb": np.float32(0.002),
        "zb": bias.dtype.type(0),
        "sy": np.float32(0.05),
        "u": np.uint8(0),
        "v": RANDOM.normal(0, 1, (4, 3)).astype(np.float32),
    }
    nodes = [
        node("DequantizeLinear", ["x", "sx", "z"], ["f"]),
        node("DequantizeLinear", ["b", "sb", "zb"], ["c"], axis=axis),
        node("Gemm", ["f", "w", "c"], ["g"]),
        node("Relu", ["g"], ["r"]),
        node("QuantizeLinear", ["r", "sy", "u"], ["q"]),
        node("DequantizeLinear", ["q", "sy", "u"], ["d"]),
        node("MatMul", ["d", "v"], ["y"]),
    ]
    types = {"x": TensorProto.INT16}
    return make_model(nodes, held, {"x": ["N", 5]}, {"y": ["N", 3]}, opset=21, types=types, ir_version=10)


@pytest.mark.parametrize(
    ("bias", "axis"),
    [(np.array([100, -2000, 3, 40000]), 0), (np.array([100, -2000, 3, 40000], np.int32), 3)],
    ids=["64 bits", "an axis that is not there"],
)
def test_what_is_against_the_rules_is_converted_and_certified(bias: np.ndarray, axis: int) -> None:
    source = network(bias, axis=axis)
    repaired = load_model(source)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in repaired.graph.initializer}
    assert held["b"].dtype == np.int32
    np.testing.assert_array_equal(held["b"], bias)
    x = RANDOM.integers(-3000, 3000, (20, 5)).astype(np.int16)
    converted = onnx2snn.convert(source).model
    plain = run_reference(repaired, {"x": x})["y"]
    np.testing.assert_allclose(run_reference(converted, {"x": x})["y"], plain, rtol=1e-5, atol=1e-5)
    assert onnx2snn.verify(source, converted, {"x": x}).lossless


def test_a_bias_that_32_bits_do_not_hold_stays_as_it_is() -> None:
    source = network(np.array([2**40, 0, 0, 0]))
    assert with_valid_quantisers(source) is source


def test_what_is_right_is_the_same_model() -> None:
    source = network(np.zeros(4, np.int32))
    assert with_valid_quantisers(source) is source


def weights_by_channel(shape: list[int], *, axis: int, block: int = 0) -> onnx.ModelProto:
    """A layer whose quantised weights have scales (and zero points) of ``shape``."""
    held = {
        "sx": np.float32(0.03),
        "zx": np.uint8(0),
        "w": RANDOM.integers(0, 256, (6, 4)).astype(np.uint8),
        "sw": RANDOM.uniform(0.01, 0.02, shape).astype(np.float32),
        "zw": RANDOM.integers(100, 150, shape).astype(np.uint8),
    }
    blocks = {"block_size": block} if block else {}
    nodes = [
        node("QuantizeLinear", ["x", "sx", "zx"], ["q"]),
        node("DequantizeLinear", ["q", "sx", "zx"], ["d"]),
        node("DequantizeLinear", ["w", "sw", "zw"], ["v"], axis=axis, **blocks),
        node("Gemm", ["d", "v"], ["y"], transB=1),
    ]
    return make_model(nodes, held, {"x": ["N", 4]}, {"y": ["N", 6]}, opset=21, ir_version=10)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        (weights_by_channel([6, 1], axis=0), [(6,), 0]),
        (weights_by_channel([1, 1, 6], axis=-2), [(6,), -2]),
        (weights_by_channel([6, 1], axis=0, block=16), [(6, 1), 1]),
        (weights_by_channel([6, 2], axis=-2, block=2), [(6, 2), 1]),
    ],
    ids=["axes of one behind", "axes of one in front", "one block a row", "blocks along the other axis"],
)
def test_scales_of_channels_and_blocks_lie_where_they_fit(
    source: onnx.ModelProto, written: list[Any]
) -> None:
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.graph.initializer}
    repaired = load_model(source)
    scale = next(tensor for tensor in repaired.graph.initializer if tensor.name == "sw")
    axis = next(a.i for n in repaired.graph.node for a in n.attribute if a.name == "axis")
    assert [tuple(scale.dims), axis] == written
    rows = [held[name].reshape(6, -1).repeat(4 // (held[name].size // 6), axis=1) for name in ("sw", "zw")]
    weights = (held["w"].astype(np.float32) - rows[1]) * rows[0]
    x = RANDOM.uniform(0, 5, (20, 4)).astype(np.float32)
    levels = np.clip(np.rint(x / held["sx"]), 0, 255) * held["sx"]
    answer = run_reference(onnx2snn.convert(source).model, {"x": x})["y"]
    np.testing.assert_allclose(answer, levels @ weights.T, rtol=1e-5, atol=1e-5)
    assert onnx2snn.verify(source, onnx2snn.convert(source), {"x": x}).lossless
