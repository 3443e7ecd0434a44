"""The first witness is the source's file as it is: a wrong reading of it is found by what the file answers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_wrong import WEIGHTS, WRONG, X, network, put_in
from onnx import TensorProto

import onnx2snn
from onnx2snn.certificate.batch_findings import OutputNumbers
from onnx2snn.certificate.outputs import errors_of
from onnx2snn.certificate.reading import Levels
from onnx2snn.certificate.reconstruction import Hidden
from onnx2snn.data import Batch
from onnx2snn.graph.core import Pass


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_a_wrong_pass_made_is_not_certified(wrong: Pass, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(wrong, monkeypatch)
    source = network()
    certificate = onnx2snn.verify(source, onnx2snn.convert(source, check=False).model, {"x": X})
    assert not certificate.lossless
    assert certificate.defects


def test_each_output_is_listed() -> None:
    source = network()
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": X})
    assert certificate.lossless
    assert certificate.to_dict()["outputs"] == [{"name": "y", "max_abs_error": 0.0, "unexplained": 0}]
    assert [layer.read_from for layer in certificate.layers] == ["file"]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE], ids=["float16", "float64"])
def test_a_source_of_other_floats_runs_as_it_is(kind: int) -> None:
    source = network(kind)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": X.astype(dtype)})
    assert certificate.lossless
    assert certificate.max_abs_error == 0
    assert [layer.read_from for layer in certificate.layers] == ["file"]


def test_outputs_that_are_no_answer_to_each_sample_are_compared_as_a_whole() -> None:
    batch = Batch(0, {"x": np.zeros((3, 2), np.float32)}, None)
    flat, table = np.arange(6, dtype=np.float32), np.ones((5, 2), np.float32)
    found = errors_of(
        batch, {"q": flat[None], "p": table[None]}, {"q": flat[None] + np.float32(0.5), "p": table[None]}
    )
    assert (found.outputs["q"], found.outputs["p"]) == (OutputNumbers(6, 0.5), OutputNumbers(10, 0.0))
    assert found.classed == 0


def hidden(reachable: np.ndarray, weights: np.ndarray, answer: np.ndarray) -> Hidden:
    """One layer, of which each level may be one higher where ``reachable``, and what the file answered."""

    def bounds(_: str, levels: dict[str, Levels]) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros_like(levels["a"]), np.zeros_like(levels["a"]) + reachable

    def excess(levels: dict[str, Levels]) -> np.ndarray:
        return np.asarray(np.abs(levels["a"] @ weights - answer).sum(axis=1))

    return Hidden(["a"], bounds, lambda name, levels: levels[name], excess)


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


def test_a_network_that_squeezes_an_axis_in_front_of_its_batch_is_compared() -> None:
    """Patterns of levels are presented one by one there."""
    constants = {"w": WEIGHTS["w"].astype(np.float32), "v": WEIGHTS["v"].astype(np.float32)}
    constants |= {
        "k": np.full((1, 1, 8), 0.25, np.float32),
        "s": np.float32(0.25),
        "z": np.uint8(0),
        "axes": np.array([0]),
    }
    nodes = [
        node("MatMul", ["x", "w"], ["c"], "dense"),
        node("Add", ["c", "k"], ["t"], "bias"),
        node("QuantizeLinear", ["t", "s", "z"], ["q"], "quantise"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "dequantise"),
        node("MatMul", ["d", "v"], ["e"], "readout"),
        node("Squeeze", ["e", "axes"], ["y"], "squeeze"),
    ]
    source = make_model(nodes, constants, {"x": ["N", 8]}, {"y": ["N", 3]})
    assert onnx2snn.verify(source, onnx2snn.convert(source, hybrid=True).model, {"x": X}).lossless


def test_an_output_that_is_rounded_to_float8_is_compared() -> None:
    """A quantiser knows by the type of its zero point alone what it writes."""
    source = network()
    source.graph.node[-1].output[0] = "e"
    source.graph.node.extend(
        [
            node("QuantizeLinear", ["e", "s", "z"], ["k"], "f8"),
            node("DequantizeLinear", ["k", "s", "z"], ["y"]),
        ]
    )
    source.graph.initializer.append(onnx.helper.make_tensor("z", TensorProto.FLOAT8E4M3FN, [], [0.0]))
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": X})
    assert certificate.lossless
    assert certificate.max_abs_error == 0
