"""The first witness is the source's file as it is: a wrong reading of it is found by what the file answers."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto

import onnx2snn
from onnx2snn.certificate.activation import Levels
from onnx2snn.certificate.reconstruction import Hidden
from onnx2snn.graph import Pass, graph_pass, is_constant
from onnx2snn.passes import PREPARE

RANDOM = np.random.default_rng(0)
WEIGHTS = {"w": RANDOM.integers(-8, 9, (8, 8)) / 16, "v": RANDOM.integers(-8, 9, (8, 3)) / 16}
X = (np.random.default_rng(1).integers(-16, 17, (40, 8)) / 8).astype(np.float32)


def network(kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """Two dense layers with an 8-bit quantiser between, all numbers dyadic."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    constants = {name: value.astype(dtype) for name, value in WEIGHTS.items()}
    constants |= {"s": np.array(0.25, dtype), "z": np.uint8(0)}
    nodes = [
        node("MatMul", ["x", "w"], ["c"], "dense"),
        node("QuantizeLinear", ["c", "s", "z"], ["q"], "quantise"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise"),
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
        found.inputs[position] = gs.Constant(f"{constant.name}/wrong", change(constant.values))
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


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_a_wrong_pass_made_is_not_certified(wrong: Pass, monkeypatch: pytest.MonkeyPatch) -> None:
    """Converter and certificate share the pass; neither is the first witness."""
    for module in ("onnx2snn.convert", "onnx2snn.certificate.source"):
        monkeypatch.setattr(importlib.import_module(module), "PREPARE", (*PREPARE, wrong))
    source = network()
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": X})
    assert not certificate.lossless
    assert certificate.defects


def test_each_output_is_listed() -> None:
    source = network()
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": X})
    assert certificate.lossless
    assert certificate.to_dict()["outputs"] == [{"name": "y", "max_abs_error": 0.0, "unexplained": 0}]
    assert [layer.read_from for layer in certificate.layers] == ["file"]


def hidden(reachable: np.ndarray, weights: np.ndarray, answer: np.ndarray) -> Hidden:
    """One layer, of which each level may be one higher where ``reachable``, and what the file answered."""

    def bounds(_: str, levels: dict[str, Levels]) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(levels["a"]), np.zeros_like(levels["a"]) + reachable

    def excess(levels: dict[str, Levels]) -> np.ndarray:
        return np.asarray(np.abs(levels["a"] @ weights - answer).sum(axis=1))

    return Hidden(["a"], bounds, lambda levels: levels, excess)


class TestHiddenLevels:
    """Levels that the file does not show, from what it answers."""

    weights = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [3.0, 2.0]], np.float32)
    silent: dict[str, Levels]

    @pytest.fixture(autouse=True)
    def _silent(self) -> None:
        self.silent = {"a": np.zeros((1, 4), np.float32)}

    def test_ambiguous_neurons_explain_an_answer(self) -> None:
        found = hidden(np.array([1, 0, 0, 1]), self.weights, np.array([4.0, 2.0])).explained(self.silent)
        assert found is not None
        np.testing.assert_array_equal(found["a"], [[1, 0, 0, 1]])

    def test_an_answer_that_they_do_not_give_is_unexplained(self) -> None:
        assert (
            hidden(np.array([1, 0, 0, 1]), self.weights, np.array([4.0, 2.5])).explained(self.silent) is None
        )

    def test_without_an_ambiguous_neuron_nothing_is_explained(self) -> None:
        assert hidden(np.zeros(4), self.weights, np.array([1.0, 0.0])).explained(self.silent) is None
