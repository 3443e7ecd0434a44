"""Corrections of weights: what synapses read, and what a change of them changes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_networks import Builder

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.calibration.fit import draw_rows, weight_changes
from onnx2snn.calibration.synapses_ahead import Synapses, synapses_of
from onnx2snn.graph.core import Array
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.reference import run_reference
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model

RANDOM = np.random.default_rng(1)


def weights(*shape: int) -> Array:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


def batch_norm(b: Builder, z: str, channels: int) -> str:
    given = [
        weights(channels),
        weights(channels),
        weights(channels),
        np.abs(weights(channels)) + np.float32(0.1),
    ]
    return b.add("BatchNormalization", z, *given)


CONVOLUTIONS = {
    "plain": ((6, 3, 3, 3), {"pads": [1, 1, 1, 1]}),
    "strides and dilations": ((6, 3, 3, 2), {"strides": [2, 1], "dilations": [1, 2], "pads": [0, 1, 2, 1]}),
    "groups": ((6, 1, 3, 3), {"group": 3}),
    "depthwise": ((3, 1, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
}


def check(b: Builder, out: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], axis: int) -> None:
    """A change of weights changes z by gain·ΔW·x, at every row."""
    x_shape, out_shape = shapes
    model = b.model({"x": ["N", *x_shape]}, {"y": (out, ["N", *out_shape])})
    graph = apply_owned(import_model(model), PREPARE)
    z = graph.outputs[0]
    found = synapses_of(z, out_shape[axis - 1])
    assert found is not None
    x = weights(5, *x_shape)
    before = run_reference(to_model(graph), {"x": x})["y"]
    rows = draw_rows(before.shape, axis, found.terms * found.groups)
    operands = found.operands(x, rows.samples, rows.places)
    change = RANDOM.normal(0, 1, (found.groups, found.terms, out_shape[axis - 1] // found.groups))
    found.add(change)
    after = run_reference(to_model(graph), {"x": x})["y"]
    moved = (operands @ change).transpose(0, 2, 1).reshape(-1, len(rows.samples))
    expected = rows.of(before, axis) + found.gain[:, None] * moved
    np.testing.assert_allclose(rows.of(after, axis), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str) -> None:
    shape, attributes = CONVOLUTIONS[name]
    b = Builder()
    z = batch_norm(b, b.add("Conv", "x", weights(*shape), **attributes), shape[0])
    model = b.model({"x": ["N", 3, 7, 8]}, {"z": (z, ["N", shape[0], "H", "W"])})
    sizes = run_reference(model, {"x": weights(1, 3, 7, 8)})["z"].shape[1:]
    b.nodes.pop()
    check(b, b.add("Mul", z, 0.5), ((3, 7, 8), sizes), 1)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed: int) -> None:
    b = Builder()
    held = weights(6, 4) if transposed else weights(4, 6)
    z = b.add("Gemm", "x", held, weights(6), transB=transposed, alpha=2.0)
    check(b, b.add("Add", z, weights(6)), ((4,), (6,)), 1)


def test_matmul_of_sequences() -> None:
    b = Builder()
    check(b, b.add("MatMul", "x", weights(4, 6)), ((5, 4), (5, 6)), 2)


def test_a_sum_with_a_shortcut() -> None:
    b = Builder()
    inner = b.add("Conv", "x", weights(3, 3, 3, 3), pads=[1, 1, 1, 1])
    check(b, b.add("Add", b.add("Sigmoid", "x"), inner), ((3, 6, 6), (3, 6, 6)), 1)


def synapses_in(b: Builder, out: str) -> Synapses | None:
    model: onnx.ModelProto = b.model({"x": ["N", 4]}, {"y": (out, ["N", 6])})
    return synapses_of(apply_owned(import_model(model), PREPARE).outputs[0], 6)


def test_nothing_to_correct() -> None:
    b = Builder()
    assert synapses_in(b, b.add("Sigmoid", b.add("Gemm", "x", weights(4, 6)))) is None
    b = Builder()
    z = b.add("Gemm", "x", weights(4, 6))
    assert synapses_in(b, b.add("Add", b.add("Mul", z, 0.5), b.add("Sigmoid", z))) is None  # others read z
    b = Builder()
    assert synapses_in(b, b.add("Mul", b.add("Gemm", "x", weights(4, 6)), 0.0)) is None  # nothing reaches it


def test_ridge_finds_what_is_missing() -> None:
    operands = weights(2, 400, 5)
    truth = RANDOM.normal(0, 1, (2, 5, 3))
    missing = (operands @ truth).transpose(0, 2, 1).reshape(6, -1) + 7.0  # a constant is no matter of weights
    exact, damped = weight_changes(operands, missing, [1e-9, 10.0])
    np.testing.assert_allclose(exact, truth, atol=1e-3)
    assert np.linalg.norm(damped) < 0.5 * np.linalg.norm(truth)
