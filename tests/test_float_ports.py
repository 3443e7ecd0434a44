"""Outputs of another floating-point type than float32: a Cast behind what the network computes, which may round."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto

import onnx2snn
from onnx2snn.model.reference import run_reference

WEIGHTS = ((np.arange(16).reshape(4, 4) - 7) / 13).astype(np.float32)
TYPES = {"float16": TensorProto.FLOAT16, "float64": TensorProto.DOUBLE}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("behind", ["synapses", "activation", "line"])
def test_the_file_answers_what_the_source_answers(kind: str, behind: str) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "s"], ["q"]),
        node("DequantizeLinear", ["q", "s"], ["d"]),
        *([node("MatMul", ["d", "w"], ["r"])] if behind == "synapses" else []),
        *([node("Mul", ["d", "s"], ["r"])] if behind == "line" else []),
        node("Cast", ["d" if behind == "activation" else "r"], ["y"], to=TYPES[kind]),
    ]
    constants = {"w": WEIGHTS, "s": np.float32(0.037)}
    source = make_model(nodes, constants, {"x": ["N", 4]}, {"y": ["N", 4]}, types={"y": TYPES[kind]})
    x = np.linspace(-2, 3, 24).reshape(6, 4).astype(np.float32)
    conversion = onnx2snn.convert(source)
    onnx.checker.check_model(conversion.model, full_check=True)
    session = ort.InferenceSession(conversion.model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    expected = run_reference(source, {"x": x})["y"]
    assert found.dtype == expected.dtype == np.dtype(kind)
    np.testing.assert_allclose(found, expected, rtol=2**-10 if kind == "float16" else 1e-6)
    assert onnx2snn.verify(source, conversion.model, {"x": x}).lossless
