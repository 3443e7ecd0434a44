"""Verification: whatever the execution, the data, the form of the network, and whoever does the work."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Example, small_network
from helpers_corpus import TIES
from helpers_corpus import Example as Corpus
from helpers_networks import NETWORKS, Builder

import onnx2snn
from onnx2snn.activations import Staircase
from onnx2snn.certificate import Certificate
from onnx2snn.certificate.batch_findings import Counts, Findings, OutputNumbers
from onnx2snn.certificate.certificate import Defect
from onnx2snn.certificate.source_network import ReadActivation, SourceNetwork
from onnx2snn.errors import InputError


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("execution", ["spiking", "fused", "streaming"])
def test_every_form_of_network_in_every_execution(name: str, execution: str) -> None:
    network = NETWORKS[name]()
    model = onnx2snn.convert(network.model, hybrid=network.hybrid).model
    certificate = onnx2snn.verify(network.model, model, network.inputs(12), execution=execution)
    assert certificate.lossless, certificate.defects[:1]
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
    assert all(check.rigorous and not check.differing for check in certificate.maps)
    assert len(certificate.maps) == len(certificate.layers) + len(network.model.graph.output)


@pytest.mark.parametrize("bias", ["per-step", "paper"])
def test_every_form_of_bias_and_the_other_backend(example: Example, bias: Any) -> None:
    model = onnx2snn.convert(example.ann, bias=bias).model
    data = {"image": np.load(example.data)["image"][:10]}
    for backend in ("onnxruntime", "numpy"):
        assert onnx2snn.verify(example.ann, model, data, backend=backend).lossless


def test_calibrated_networks(relu_network: Path, example: Example) -> None:
    quantised = onnx2snn.calibrate(relu_network, example.data, timesteps=3).model
    certificate = onnx2snn.verify(quantised, onnx2snn.convert(quantised).model, example.data)
    assert certificate.lossless
    assert certificate.accuracy is not None
    assert certificate.accuracy["ann"] == certificate.accuracy["snn"]


@pytest.mark.parametrize("name", TIES)
def test_ties_that_the_source_rounds_by_chance_are_ambiguous(name: str) -> None:
    """Averages of levels are exact in the spiking network, and lie on thresholds; the source's float32 is a little off."""
    corpus = Corpus(name)
    certificate = onnx2snn.verify(corpus.path, corpus.conversion.model, corpus.inputs)
    assert certificate.lossless
    assert sum(layer.ambiguous for layer in certificate.layers) > 0


@pytest.fixture(scope="module")
def alone(example: Example) -> Certificate:
    return onnx2snn.verify(example.ann, example.snn, example.data)


class TestWays:
    """One certificate, however it is made."""

    def test_processes(self, example: Example, alone: Certificate) -> None:
        assert onnx2snn.verify(example.ann, example.snn, example.data, workers=2) == alone

    def test_interrupted_and_resumed(self, example: Example, alone: Certificate, tmp_path: Path) -> None:
        state = tmp_path / "state.json"

        def interrupt(samples: int) -> None:
            if samples:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            onnx2snn.verify(example.ann, example.snn, example.data, resume=state, progress=interrupt)
        done: list[int] = []
        files = (example.ann, example.snn, example.data)
        assert onnx2snn.verify(*files, resume=state, progress=done.append) == alone
        assert done == [64, 26]
        with pytest.raises(InputError, match="belongs to other work"):
            onnx2snn.evaluate(example.snn, example.data, batch=64, resume=state)

    def test_progress_covers_every_sample(self, example: Example) -> None:
        done: list[int] = []
        onnx2snn.verify(example.ann, example.snn, example.data, progress=done.append)
        assert done == [0, 64, 26]

    def test_nothing_to_compare_is_refused(self, example: Example) -> None:
        with pytest.raises(InputError):
            onnx2snn.verify(example.ann, example.snn, {"image": np.zeros((0, 1, 8, 8), np.float32)})


def test_findings_add_up_in_any_order_and_survive_a_file() -> None:
    defects = tuple(Defect("l", i, (i,), 1.0, 2.0, None, 0.5, 0.1, "why") for i in range(9))
    parts = [
        Findings(5, {"l": Counts(5, 4, 1)}, {"y": OutputNumbers(9, 0.5)}, 5, 4, 5, (3, 4), 0, ((0.5, 2), (0.1, 4)), defects[4:]),
        Findings(
            3, {"l": Counts(3, 1, 0, 1, 1), "m": Counts(1)}, {"y": OutputNumbers(6, 0.7, 2), "z": OutputNumbers(1)},
            3, 3, 0, (0, 0), 0, ((0.7, 7), (0.5, 6)), defects[:6],
        ),
        Findings(),
    ]  # fmt: skip
    total = sum(parts, Findings())
    assert total == parts[1] + (parts[2] + parts[0])
    assert total.worst == ((0.7, 7), (0.5, 2), (0.5, 6), (0.1, 4))
    assert (total.unexplained, total.values, total.largest_error) == (3, 16, 0.7)
    assert Findings.from_state(json.loads(json.dumps(total.to_state()))) == total


class TestSource:
    """What the source's levels are read from."""

    def test_a_tensor_that_holds_no_levels_is_a_defect(
        self, example: Example, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = SourceNetwork.__call__

        def shifted(self: SourceNetwork, inputs: Any) -> Any:
            answer = read(self, inputs)
            name = next(iter(answer.levels))
            activation = self.activations[name]
            values = answer.levels[name] * activation.staircase.scale + 0.3 * activation.staircase.scale
            answer.levels[name], answer.off_grid[name] = activation.levels(values)
            return answer

        monkeypatch.setattr(SourceNetwork, "__call__", shifted)
        certificate = onnx2snn.verify(example.ann, example.snn, example.data)
        assert not certificate.lossless
        assert any("none of its levels" in defect.reason for defect in certificate.defects)

    def test_levels_above_the_highest_are_none(self, example: Example) -> None:
        activation = next(iter(SourceNetwork(onnx.load(example.ann)).activations.values()))
        k, off = activation.levels(np.array([0.0, 1 / 15, 1.0, 16 / 15, -1 / 15, 0.1, np.nan], np.float32))
        assert k[:3].tolist() == [0, 1, 15]
        assert off is not None
        assert off.tolist() == [False, False, False, True, True, True, True]

    @pytest.mark.parametrize("shift", [0.0, -8.0, np.array([[1.0], [3.0]])])
    def test_levels_are_read_quickly_or_exactly_alike(self, shift: Any) -> None:
        """Codes that float32 has rounded a little, and one too much: the quick way never accepts what the exact one does not."""
        scale = np.array([[0.1], [0.37]])
        staircase = Staircase(
            scale, np.zeros(()), 15, np.array(15), scale, shift * scale, np.asarray("floor")
        )
        activation = ReadActivation("t", staircase, operators=3)
        k = np.random.default_rng(0).integers(0, 16, (70, 2, 900)).astype(np.float32)
        values = (scale * (k + shift)).astype(np.float32)
        found, off = activation.levels(values)
        assert off is None
        np.testing.assert_array_equal(found, k)
        np.testing.assert_array_equal(found, activation.levels(values.astype(np.float64))[0])
        for wrong in (values[69, 1, 899] * np.float32(1 + 1e-5), np.float32(np.nan), np.float32(-1e9)):
            spoiled = values.copy()
            spoiled[69, 1, 899] = wrong
            off = activation.levels(spoiled)[1]
            assert off is not None
            assert np.argwhere(off).tolist() == [[69, 1, 899]]


class TestOutputs:
    """What follows the last neurons."""

    def test_a_class_that_two_scores_share_is_either(self) -> None:
        """Equal columns: rounding alone decides which is the larger."""
        b = Builder()
        hidden = b.act(b.dense("x", (6, 8), 1), step=0.3)
        weights = np.repeat(np.random.default_rng(0).normal(0, 1, (8, 1)).astype(np.float32), 3, axis=1)
        scores = b.add("MatMul", hidden, weights)
        winner = b.add("ArgMax", scores, axis=1, keepdims=0)
        model = b.model({"x": ["N", 6]}, {"class": (winner, ["N"]), "scores": (scores, ["N", 3])})
        converted = onnx2snn.convert(model).model
        samples = {"x": np.random.default_rng(1).normal(0, 1, (30, 6)).astype(np.float32)}
        assert onnx2snn.verify(model, converted, samples).lossless

    def test_an_output_that_no_neuron_reaches_is_compared_too(self) -> None:
        b = Builder()
        hidden = b.act(b.dense("x", (6, 8), 1))
        analog = b.add("Tanh", b.dense("x", (6, 2), 3))
        model = b.model(
            {"x": ["N", 6]}, {"y": (b.dense(hidden, (8, 3), 5), ["N", 3]), "aside": (analog, ["N", 2])}
        )
        converted = onnx2snn.convert(model).model
        samples = {"x": np.random.default_rng(1).normal(0, 1, (9, 6)).astype(np.float32)}
        assert onnx2snn.verify(model, converted, samples).lossless
        tanh = next(n for n in converted.graph.node if n.op_type == "Tanh")
        tanh.op_type = "Softsign"
        certificate = onnx2snn.verify(model, converted, samples)
        assert not certificate.lossless
        assert {defect.layer for defect in certificate.defects} == {"aside"}

    def test_a_head_that_was_changed_is_caught(self) -> None:
        ann = small_network()
        ann.graph.node[-1].output[0] = "scores"
        ann.graph.node.append(onnx.helper.make_node("Softmax", ["scores"], ["logits"], "softmax", axis=1))
        converted = onnx2snn.convert(ann).model
        data = {"image": np.random.default_rng(0).uniform(0, 1, (6, 1, 8, 8)).astype(np.float32)}
        assert onnx2snn.verify(ann, converted, data).lossless
        next(n for n in converted.graph.node if n.op_type == "Softmax").op_type = "LogSoftmax"
        assert not onnx2snn.verify(ann, converted, data).lossless


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")
class TestCluster:
    """A local cluster of two nodes."""

    def test_the_same_bits(self, example: Example, alone: Certificate, ray_cluster: str) -> None:
        assert onnx2snn.verify(example.ann, example.snn, example.data, ray=ray_cluster) == alone


def test_ray_that_is_not_there_is_explained(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(onnx2snn.Onnx2SnnError, match="needs Ray"):
        onnx2snn.verify(example.ann, example.snn, example.data, ray="auto")
