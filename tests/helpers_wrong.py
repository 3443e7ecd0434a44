"""Passes that are wrong, and a small network that they change: what converter and certificate have to find."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto

from onnx2snn.graph.core import Pass, graph_pass, is_constant
from onnx2snn.passes import PREPARE

RANDOM = np.random.default_rng(0)
WEIGHTS = {"w": RANDOM.integers(-8, 9, (8, 8)) / 16, "v": RANDOM.integers(-8, 9, (8, 3)) / 16}
X = (np.random.default_rng(1).integers(-16, 17, (40, 8)) / 8).astype(np.float32)


def network(kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Two dense layers with a quantiser to 256 levels between, all numbers dyadic."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    constants = {name: value.astype(dtype) for name, value in WEIGHTS.items()}
    constants |= {"s": np.array(0.25, dtype), "low": np.array(0, dtype), "high": np.array(255, dtype)}
    nodes = [
        node("MatMul", ["x", "w"], ["c"], "dense"),
        node("Div", ["c", "s"], ["u"], "scale"),
        node("Round", ["u"], ["r"], "round"),
        node("Clip", ["r", "low", "high"], ["q"], "clip"),
        node("Mul", ["q", "s"], ["d"], "dequantise"),
        node("MatMul", ["d", "v"], ["y"], "readout"),
    ]
    types = {"x": kind, "y": kind}
    return make_model(
        nodes, constants, {"x": ["N", 8]}, {"y": ["N", 3]}, opset=21, types=types, ir_version=10
    )


def changed(operator: str, position: int, change: Callable[[np.ndarray], np.ndarray], which: int = 0) -> Pass:
    """A pass that is wrong: it changes a constant of one operator."""

    @graph_pass
    def wrong(graph: gs.Graph) -> gs.Graph:
        found = [n for n in graph.nodes if n.op == operator and is_constant(n.inputs[position])][which]
        constant = found.inputs[position]
        found.inputs[position] = gs.Constant(f"{constant.name}/wrong", np.asarray(change(constant.values)))
        return graph

    return wrong


@graph_pass
def rounds_down(graph: gs.Graph) -> gs.Graph:
    """Another that is wrong."""
    for found in graph.nodes:
        if found.op == "Round":
            found.op = "Floor"
    return graph


WRONG = {
    "a hidden weight": changed("MatMul", 1, lambda w: w + np.eye(8, dtype=w.dtype) / 16),
    "all hidden weights": changed("MatMul", 1, lambda w: -w),
    "a weight of the readout": changed("MatMul", 1, lambda w: w + (np.arange(24).reshape(8, 3) == 5) / np.float32(16), -1),
    "the scale": changed("Mul", 1, lambda s: s * 2),
    "the rounding": rounds_down,
}  # fmt: skip


def put_in(wrong: Pass, patch: pytest.MonkeyPatch) -> None:
    """Converter and certificate share the pass: neither is the first witness."""
    for module in ("onnx2snn.conversion", "onnx2snn.certificate.normalised_source"):
        patch.setattr(importlib.import_module(module), "PREPARE", (*PREPARE, wrong))
