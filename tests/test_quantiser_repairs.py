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
