"""Batch norm behind an activation is a part of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, operators
from helpers_quantised import Quantised

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.spell_batch_norm import spell_batch_norm

X = {"x": np.random.default_rng(0).normal(0, 1, (2, 3, 8, 8)).astype(np.float32)}


def network(*between: str) -> onnx.ModelProto:
    """A convolution, ``between``, a quantiser, and a convolution that reads it."""
    net = Quantised(1)
    a = net.quantised(net.add("Relu", net.add("Conv", "x", net.weights(6, 3, 3, 3))), 0.02)
    z = net.add("Conv", a, net.weights(6, 6, 1, 1))
    for op in between:
        factors = [net.weights(6, spread=1.0), net.weights(6), net.weights(6)]
        variance = net.hold(np.linspace(0.5, 2, 6, dtype=np.float32))
        slopes = net.hold(np.linspace(0.1, 0.6, 6, dtype=np.float32).reshape(6, 1, 1))
        operands = {"BatchNormalization": (*factors, variance), "PRelu": (slopes,)}
        z = net.add(op, z, *operands.get(op, ()))
    net.add("Conv", net.quantised(z, 0.02, 120), net.weights(4, 6, 3, 3), output="y")
    return net.model({"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 4, 4]})


@pytest.mark.parametrize("activation", ["Relu", "PRelu", "Sigmoid"])
def test_behind_an_activation(activation: str) -> None:
    source = network("BatchNormalization", activation, "BatchNormalization")
    graph = apply_checked(source, X, infer_shapes, spell_batch_norm)
    assert operators(graph).count("BatchNormalization") == 1
    conversion = onnx2snn.convert(source)
    assert onnx2snn.verify(source, conversion.model, X).lossless


def test_behind_synapses_it_stays() -> None:
    source = network("BatchNormalization", "Relu")
    graph = apply_checked(source, X, infer_shapes)
    assert operators(spell_batch_norm(graph)) == operators(graph)
