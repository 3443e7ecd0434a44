"""A report's numbers: those of the network, however they are gathered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Example
from helpers_networks import NETWORKS
from onnx import numpy_helper

import onnx2snn
from onnx2snn.errors import InputError
from onnx2snn.report import ReportFacts, gather
from onnx2snn.report import layer_tally as tally_module
from onnx2snn.report.layer_tally import LayerTally, batch_size
from onnx2snn.report.report_facts import SweepPoint
from onnx2snn.runtime import SpikingSession


@pytest.fixture(scope="module")
def facts(example: Example) -> ReportFacts:
    return gather(example.ann, example.snn, example.data, sample=7, sweep=[{"T": 4, "accuracy": 0.5}])


@pytest.fixture(scope="module")
def inputs(example: Example) -> dict[str, np.ndarray]:
    with np.load(example.data) as data:
        return {"image": data["image"]}


def test_counts_are_those_of_the_spikes(
    facts: ReportFacts, example: Example, inputs: dict[str, np.ndarray]
) -> None:
    session = SpikingSession(example.snn)
    result, trace = session.run(inputs), session.trace(inputs)
    for layer in facts.layers:
        train = trace.spikes[layer.name]
        T, samples = train.shape[:2]
        flat = train.reshape(T, samples, -1)
        assert layer.neurons == flat.shape[2]
        assert layer.shape == train.shape[2:]
        assert layer.spikes_per_neuron == pytest.approx(result.spikes[layer.name].mean() / layer.neurons)
        assert layer.rate == pytest.approx(flat.mean())
        assert layer.silent == pytest.approx((flat.sum(axis=(0, 1)) == 0).mean())
        assert layer.synops == pytest.approx(result.synops[layer.name].mean())
        np.testing.assert_allclose(layer.bits, flat.mean(axis=(1, 2)))
        levels = np.tensordot(2 ** np.arange(T - 1, -1, -1), flat.astype(np.int64), axes=1)
        np.testing.assert_allclose(layer.histogram, [(levels == k).mean() for k in range(layer.levels + 1)])
    assert facts.energy[0].snn == pytest.approx(result.energy.snn.mean())
    assert facts.energy[0].ann == pytest.approx(result.energy.ann.mean())
    assert facts.spikes == pytest.approx(sum(spikes.mean() for spikes in result.spikes.values()))


def test_costs_are_those_that_run_prints(facts: ReportFacts, example: Example) -> None:
    told, found = facts.to_dict(), onnx2snn.evaluate(example.snn, example.data).to_dict()
    assert told["neurobench"] == found["neurobench"]
    assert told["memory_model"] == found["memory_model"]
    for energy, name in zip(facts.energy, ("float32", "int8"), strict=True):
        costs = found["energy"][name]
        assert energy.memory == costs["memory"]
        assert energy.with_memory == pytest.approx(
            (costs["snn"]["mean"] + costs["memory"]["snn"], costs["ann"]["mean"] + costs["memory"]["ann"])
        )


def test_the_certificate_is_that_of_verify(facts: ReportFacts, example: Example) -> None:
    assert facts.certificate == onnx2snn.verify(example.ann, example.snn, example.data)
    again = gather(example.ann, example.snn, example.data, certificate=facts.certificate)
    assert again.certificate is facts.certificate


def test_one_sample_is_looked_at_closely(
    facts: ReportFacts, example: Example, inputs: dict[str, np.ndarray]
) -> None:
    with np.load(example.data) as data:
        assert facts.sample.label == data["labels"][7]
    np.testing.assert_array_equal(facts.sample.inputs["image"], inputs["image"][7])
    trace = SpikingSession(example.snn).trace({"image": inputs["image"][7:8]})
    for layer in facts.sample.layers:
        T = len(layer.train)
        train = trace.spikes[layer.name][:, 0].reshape(T, -1)
        assert layer.spikes == train.sum()
        assert layer.active == (train.sum(axis=0) > 0).sum()
        np.testing.assert_array_equal(layer.trains, train[:, layer.neurons])
        counts = layer.trains.sum(axis=0)
        assert (np.diff(counts.astype(int)) <= 0).all()
        np.testing.assert_array_equal(layer.train, train[:, layer.watched])
        np.testing.assert_array_equal(layer.potentials[T:] >= layer.thresholds, layer.train == 1)
        assert layer.level == min(np.floor(layer.potentials[T]), 2**T - 1)


def test_latency_counts_layers_on_the_longest_path(facts: ReportFacts) -> None:
    assert (facts.latency.depth, facts.latency.steps, facts.latency.interval) == (2, 12, 4)
    measured = [time for execution in facts.latency.milliseconds.values() for time in execution.values()]
    assert len(measured) == 4
    assert min(measured) > 0


def test_json_holds_the_same_facts(facts: ReportFacts) -> None:
    values = json.loads(json.dumps(facts.to_dict(), allow_nan=False))
    assert values["lossless"] is True
    assert values["samples"] == 90
    assert values["timesteps"] == 4
    assert values["accuracy"] == facts.certificate.accuracy
    assert values["latency"]["steps"] == 12
    assert values["sweep"] == [{"code": "binary", "timesteps": 4, "accuracy": 0.5}]
    assert [stop["kind"] for stop in values["stops"]] == ["input", "layer", "layer", "output"]
    for layer, found in zip(values["layers"], facts.layers, strict=True):
        assert layer["spikes_per_neuron"] == found.spikes_per_neuron
        assert layer["exact"] == found.certificate.exact
        assert layer["histogram"] == found.histogram.tolist()
    assert values["sample"]["inputs"]["image"]["shape"] == [1, 8, 8]


def test_memory_is_bounded(example: Example, facts: ReportFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert batch_size([{"neurons": 22016}]) == 64
    assert batch_size([{"neurons": 10_000_000}, {"neurons": 1_000_000}]) == 1
    monkeypatch.setattr(tally_module, "MOST_LEVELS", 1000)
    again = gather(example.ann, example.snn, example.data, certificate=facts.certificate)
    for layer, other in zip(again.layers, facts.layers, strict=True):
        assert layer.spikes_per_neuron == other.spikes_per_neuron
        np.testing.assert_array_equal(layer.histogram, other.histogram)


def test_many_levels_share_bins_but_not_bits() -> None:
    entry = {"name": "n", "timesteps": 16, "levels": 65535, "threshold": 1.0, "neurons": 4}
    tally = LayerTally(entry)
    tally.add(np.array([[0, 1, 65535, 256]], np.float32), None)
    counts = onnx2snn.certificate.LayerCounts("n", 4)
    layer = tally.facts(1, 1, counts)
    assert layer.bin == 256
    assert len(layer.histogram) == 256
    assert layer.histogram[[0, 1, 255]].tolist() == [0.5, 0.25, 0.25]
    assert layer.bits.sum() * 4 == 1 + 16 + 1
    assert layer.synops is None


def test_samples_are_drawn_where_there_are_none(example: Example) -> None:
    facts = gather(example.ann, example.snn, None, certificate=onnx2snn.verify(example.ann, example.snn))
    assert facts.certificate.generated
    assert facts.certificate.samples == 64
    assert facts.sample.label is None
    assert facts.layers[0].histogram.sum() == pytest.approx(1)


def test_a_network_that_answers_otherwise_is_told(example: Example, tmp_path: Path) -> None:
    model = onnx.load(example.snn)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.2), weights.name))
    wrong = f"{tmp_path}/wrong.onnx"
    onnx.save(model, wrong)
    facts = gather(example.ann, wrong, example.data)
    assert not facts.to_dict()["lossless"]
    assert facts.layers[0].certificate.unexplained > 0


def test_a_hybrid_says_what_does_not_spike(tmp_path: Path) -> None:
    network = NETWORKS["hybrid"]()
    onnx.save(network.model, f"{tmp_path}/ann.onnx")
    onnx2snn.convert(network.model, hybrid=True).save(f"{tmp_path}/snn.onnx")
    facts = gather(f"{tmp_path}/ann.onnx", f"{tmp_path}/snn.onnx", network.inputs(5))
    assert [operator["operator"] for operator in facts.non_spiking] == ["Softmax"]
    assert facts.sample.answer is not None


@pytest.mark.parametrize("sample", [-1, 90])
def test_a_sample_that_is_not_there(example: Example, sample: int) -> None:
    with pytest.raises(InputError, match=f"no sample {sample}"):
        gather(example.ann, example.snn, example.data, sample=sample)


def test_points_are_kept_in_order(example: Example, facts: ReportFacts) -> None:
    points = [SweepPoint("rate", 8, 0.5), {"code": "binary", "T": 2, "accuracy": 1}, {"T": 1, "accuracy": 0}]
    found = gather(example.ann, example.snn, example.data, certificate=facts.certificate, sweep=points).sweep
    assert [(p.code, p.timesteps) for p in found] == [("binary", 1), ("binary", 2), ("rate", 8)]


def test_neurons_may_be_chosen(example: Example, facts: ReportFacts) -> None:
    first, second = (layer.name for layer in facts.layers)
    asked = {first: [(3, 5, 5), 0, 20]}
    sample = gather(
        example.ann, example.snn, example.data, certificate=facts.certificate, neurons=asked
    ).sample
    shown, other = sample.layers
    assert shown.neurons.tolist() == [3 * 36 + 5 * 6 + 5, 0, 20]
    assert (shown.asked, other.asked) == (True, False)
    assert shown.watched == 143
    np.testing.assert_array_equal(shown.train, shown.trains[:, 0])
    assert other.name == second


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        ({"act": [0]}, "no layer 'act'"),
        ({"{first}": [144]}, "no neuron 144"),
        ({"{first}": [(4, 0, 0)]}, "no neuron 4,0,0"),
        ({"{first}": [(0, 0)]}, "no neuron 0,0"),
        ({"{first}": [-1]}, "no neuron -1"),
    ],
)
def test_a_neuron_that_is_not_there(
    example: Example, facts: ReportFacts, neurons: dict[str, list[Any]], message: str
) -> None:
    asked = {name.format(first=facts.layers[0].name): value for name, value in neurons.items()}
    with pytest.raises(InputError, match=message):
        gather(example.ann, example.snn, example.data, certificate=facts.certificate, neurons=asked)


def test_a_rate_code_has_no_phases_and_no_bits_to_draw(example: Example, tmp_path: Path) -> None:
    onnx2snn.convert(example.ann, coding="rate", timesteps=4).save(tmp_path / "rate.onnx")
    with pytest.raises(InputError, match="rate-coded") as caught:
        gather(example.ann, tmp_path / "rate.onnx", example.data)
    assert "onnx2snn run" in str(caught.value.remedy)
