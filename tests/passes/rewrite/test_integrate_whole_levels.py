"""Potentials of levels are added as whole numbers: what stands for zero is zero, whatever divides it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_quantised import Quantised
from onnx import numpy_helper

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

#: Steps and zero points for which neither α·z, nor the sum of rounded squares, is what float32 makes of it in other orders.
HARD = [
    (0.0417, 0, np.int8),
    (0.04128141416948193, 0, np.int8),
    (0.0312, 117, np.uint8),
    (0.0417, 117, np.uint8),
]
X = np.random.default_rng(1).normal(0, 1, (16, 6, 8)).astype(np.float32)


def cosine(scale: float, zero: int, dtype: Any) -> onnx.ModelProto:
    """Keys of length 1, as cosine attention has them; two tokens are padding, whose key is zero: 0 / max(0, 1e-12)."""
    net = Quantised()
    tokens = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.03, 0, np.int8)
    padded = net.add("Pad", tokens, net.hold(np.array([0, 0, 0, 0, 2, 0])), net.hold(np.float32(0)))
    keys = net.quantised(net.add("MatMul", padded, net.weights(8, 8)), scale, zero, dtype)
    length = net.add("Clip", net.add("ReduceL2", keys, axes=[-1], keepdims=1), net.hold(np.float32(1e-12)))
    unit = net.quantised(net.add("Div", keys, length), 0.008, zero, dtype)
    hidden = net.quantised(net.add("MatMul", unit, net.weights(8, 8)), 0.03, 90)
    net.add("MatMul", hidden, net.weights(8, 5), output="y")
    return net.model({"x": ["N", 6, 8]}, {"y": ["N", 8, 5]})


@pytest.mark.parametrize(("scale", "zero", "dtype"), HARD)
def test_zero_by_a_length_of_nothing_is_zero(scale: float, zero: int, dtype: Any) -> None:
    source = cosine(scale, zero, dtype)
    conversion = onnx2snn.convert(source)
    certificate = onnx2snn.verify(source, conversion, {"x": X})
    assert certificate.lossless
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
    expected = run_reference(source, {"x": X})["y"]
    for execution in ("spiking", "fused", "int8"):
        found = SpikingSession(conversion.model.SerializeToString(), execution=execution).run({"x": X})
        np.testing.assert_allclose(found.outputs["y"], expected, atol=2e-6)


def last_potential(model: onnx.ModelProto) -> tuple[np.ndarray, list[str]]:
    """The bias of the last Integrate, and what reads its potential."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    last = next(n for n in reversed(model.graph.node) if n.op_type == "Integrate")
    return held[last.input[1]], [n.op_type for n in model.graph.node if last.output[0] in n.input]


def test_a_quantised_output_has_the_bits_of_the_source() -> None:
    """α·(k + n) is rounded once, as DequantizeLinear rounds; the multiple has the output's name."""
    net = Quantised()
    hidden = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.03, 131)
    y = net.quantised(net.add("MatMul", hidden, net.weights(8, 5)), 0.0417, 117)
    net.nodes[-1].output[0] = "y"
    assert y != "y"
    source = net.model({"x": ["N", 6, 8]}, {"y": ["N", 6, 5]})
    conversion = onnx2snn.convert(source)
    bias, readers = last_potential(conversion.model)
    assert (bias.tolist(), readers) == ([-117.0], ["Mul"])
    found = SpikingSession(conversion.model.SerializeToString()).run({"x": X}).outputs["y"]
    np.testing.assert_array_equal(found, run_reference(source, {"x": X})["y"])


def test_a_bias_between_steps_stays() -> None:
    """Levels moved by a third of a step: the sum of both is no multiple of one."""
    net = Quantised()
    hidden = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.03, 131)
    level = net.quantised(net.add("MatMul", hidden, net.weights(8, 5)), 0.0417, 117)
    net.add("Add", level, net.hold(np.float32(0.0417 * 1.0371713 / 3)), output="y")
    conversion = onnx2snn.convert(net.model({"x": ["N", 6, 8]}, {"y": ["N", 6, 5]}))
    bias, readers = last_potential(conversion.model)
    assert readers == []
    np.testing.assert_allclose(bias, (1 / 3 - 117) * 0.0417 * 1.0371713, rtol=1e-6)
