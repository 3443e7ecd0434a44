"""Networks whose inputs and outputs are integers, from the file to the certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto

import onnx2snn
from onnx2snn.model.reference import run_reference

RANDOM = np.random.default_rng(11)
SCALES = {
    "sx": np.float32(0.0078125 * 1.1),
    "sw": np.float32(0.0123),
    "sa": np.float32(0.071),
    "sv": np.float32(0.0211),
    "sy": np.float32(0.173),
}


def eight_bits(kind: Any, zero: int) -> onnx.ModelProto:
    """Two layers on 8-bit codes from end to end, as converters of .tflite files write them."""
    zeros = {"z": kind(zero), "zw": np.int8(0)}
    weights = {
        "w": RANDOM.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
        "v": RANDOM.integers(-127, 128, (5, 64)).astype(np.int8),
    }
    nodes = [
        node("DequantizeLinear", ["x", "sx", "z"], ["xf"]),
        node("DequantizeLinear", ["w", "sw", "zw"], ["wf"]),
        node("Conv", ["xf", "wf"], ["c"], pads=[1, 1, 0, 0], strides=[2, 2]),
        node("Relu", ["c"], ["r"]),
        node("QuantizeLinear", ["r", "sa", "z"], ["q"]),
        node("DequantizeLinear", ["q", "sa", "z"], ["a"]),
        node("Flatten", ["a"], ["f"]),
        node("DequantizeLinear", ["v", "sv", "zw"], ["vf"]),
        node("Gemm", ["f", "vf"], ["g"], transB=1),
        node("QuantizeLinear", ["g", "sy", "z"], ["y"]),
    ]
    code = TensorProto.INT8 if kind is np.int8 else TensorProto.UINT8
    return make_model(
        nodes,
        {**SCALES, **zeros, **weights},
        {"x": ["N", 3, 8, 8]},
        {"y": ["N", 5]},
        opset=13,
        types={"x": code, "y": code},
    )


@pytest.mark.parametrize(
    ("kind", "zero"), [(np.int8, -128), (np.int8, 3), (np.int8, 100), (np.uint8, 128), (np.uint8, 0)]
)
def test_codes_in_and_out_are_the_same_and_certified(kind: Any, zero: int) -> None:
    source = eight_bits(kind, zero)
    ends = np.iinfo(kind)
    x = RANDOM.integers(ends.min, ends.max + 1, (6, 3, 8, 8)).astype(kind)
    conversion = onnx2snn.convert(source)
    onnx.checker.check_model(conversion.model, full_check=True)
    session = ort.InferenceSession(conversion.model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    expected = run_reference(source, {"x": x})["y"]
    assert found.dtype == kind
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 5
    certificate = onnx2snn.verify(source, conversion.model, {"x": x})
    assert certificate.lossless
    assert sum(layer.levels_compared for layer in certificate.layers) >= 6 * 64


INPUTS = {
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "uint16": TensorProto.UINT16,
    "int16": TensorProto.INT16,
    "uint32": TensorProto.UINT32,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_of_any_type_through_a_cast(name: str) -> None:
    weights = ((np.arange(16).reshape(4, 4) - 7) / 16).astype(np.float32)
    nodes = [
        node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        node("MatMul", ["f", "w"], ["c"]),
        node("QuantizeLinear", ["c", "s"], ["q"]),
        node("DequantizeLinear", ["q", "s"], ["d"]),
        node("MatMul", ["d", "v"], ["y"]),
    ]
    constants = {"w": weights, "v": weights[:, :2], "s": np.float32(0.25)}
    source = make_model(
        nodes, constants, {"x": ["N", 4]}, {"y": ["N", 2]}, opset=21, types={"x": INPUTS[name]}
    )
    x = np.arange(40).reshape(10, 4).astype(name)
    conversion = onnx2snn.convert(source)
    session = ort.InferenceSession(conversion.model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], run_reference(source, {"x": x})["y"])
    certificate = onnx2snn.verify(source, conversion.model, {"x": x})
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
