"""Corrections of what a readout answers, in every operator that can be one."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_networks import Builder

from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.exact.write_quantisers import add_to
from onnx2snn.graph.exporter import to_model
from onnx2snn.model.reference import run_reference
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(0, 1, (4, 3, 5, 5)).astype(np.float32)
FLAT = X[:, :, 0, 0]
SHIFT = np.array([1.0, -2.0])


def weights(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


OPERATORS = {
    "Gemm": lambda b: b.add("Gemm", "x", weights(3, 2), weights(2), beta=0.5),
    "Gemm without a bias": lambda b: b.add("Gemm", "x", weights(3, 2)),
    "Gemm with one bias for all": lambda b: b.add("Gemm", "x", weights(3, 2), weights(1)),
    "MatMul": lambda b: b.add("MatMul", "x", weights(3, 2)),
}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_shifts(name: str, *, behind: bool) -> None:
    b = Builder()
    z = OPERATORS[name](b)
    out = b.add("Softmax", z) if behind else z
    model = b.model({"x": ["N", 3]}, {"y": (out, ["N", 2]), "z": (z, ["N", 2])})
    graph = apply_owned(import_model(model), PREPARE)
    node = next(n for n in graph.nodes if n.op in ("Gemm", "MatMul"))
    before = run_reference(to_model(graph), {"x": FLAT})["z"]
    add_to(graph, node, SHIFT)
    after = run_reference(to_model(graph), {"x": FLAT})
    np.testing.assert_allclose(after["z"], before + SHIFT, rtol=1e-5, atol=1e-5)
    if behind:
        exponents = np.exp(after["z"] - after["z"].max(axis=1, keepdims=True))
        np.testing.assert_allclose(after["y"], exponents / exponents.sum(axis=1, keepdims=True), rtol=1e-5)


def test_shifts_of_a_convolution() -> None:
    b = Builder()
    model = b.model({"x": ["N", 3, 5, 5]}, {"z": (b.add("Conv", "x", weights(2, 3, 3, 3)), ["N", 2, 3, 3])})
    graph = apply_owned(import_model(model), PREPARE)
    before = run_reference(to_model(graph), {"x": X})["z"]
    add_to(graph, next(n for n in graph.nodes if n.op == "Conv"), SHIFT)
    found = run_reference(to_model(graph), {"x": X})["z"]
    np.testing.assert_allclose(found, before + SHIFT.reshape(2, 1, 1), rtol=1e-5, atol=1e-5)
