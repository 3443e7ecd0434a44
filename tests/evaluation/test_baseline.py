"""Networks that do not spike are measured beside those that do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from conftest import Example
from helpers_networks import NETWORKS

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.evaluation.answers import run_all
from onnx2snn.evaluation.memory import WIDTHS, access, memory_energy
from onnx2snn.evaluation.neurobench import Operations, Structure
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import split_model
from onnx2snn.runtime import SpikingSession

CONV, FIRST, LAST = 4 * 9 * 36, 36 * 12, 12 * 5  # multiply-accumulates of the small network


def run(*words: str) -> dict[str, object]:
    found = CliRunner().invoke(main, [*map(str, words), "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_the_source_is_run_as_its_file_is(command: str, example: Example) -> None:
    ann, snn = (run(command, path, "--data", example.data) for path in (example.ann, example.snn))
    assert ann["accuracy"] == snn["accuracy"]
    assert ann["energy"]["ann"] == snn["energy"]["ann"]
    assert ann["energy"]["snn"] is None
    assert ann["layers"] == []
    assert (ann["steps_to_answer"], snn["steps_to_answer"], snn["timesteps"]) == (1, 12, 4)


def test_its_answers_are_written(example: Example, tmp_path: Path) -> None:
    run_all(example.ann, example.data, output=tmp_path / "r.npz", batch=20, workers=2)
    with np.load(tmp_path / "r.npz") as result, np.load(example.data) as data:
        expected = run_reference(onnx.load(example.ann), {"image": data["image"]})
        np.testing.assert_allclose(result["logits"], expected["logits"], rtol=1e-5, atol=1e-5)
        assert set(result) == {"logits"}


def test_an_execution_is_of_spiking_networks(example: Example) -> None:
    for options in (["--execution", "fused"], ["--backend", "numpy"]):
        found = CliRunner().invoke(main, ["run", str(example.ann), "--data", str(example.data), *options])
        assert found.exit_code == 4
        assert "does not spike" in found.output


def test_energy_stands_there_by_both_tables_and_with_memory(example: Example) -> None:
    found = run("run", example.snn, "--data", example.data)
    energy = found["energy"]
    assert energy["float32"]["ann"]["mean"] == pytest.approx(4.6e-12 * (CONV + FIRST + LAST))
    assert energy["int8"]["ann"]["mean"] == pytest.approx(0.3e-12 * (CONV + FIRST + LAST))
    synops = found["synops"]["mean"]
    assert energy["int8"]["snn"]["mean"] == pytest.approx(0.1e-12 * synops + 0.3e-12 * CONV)
    assert energy["float32"]["memory"]["snn"] > energy["float32"]["snn"]["mean"]
    assert "Lemaire" in found["memory_model"]


def test_an_access_costs_what_the_published_sizes_cost() -> None:
    sizes, joules = [8192, 32768, 1048576], [10e-12, 20e-12, 100e-12]
    line = np.polynomial.Polynomial.fit(sizes, joules, 1)
    assert [access(size) for size in (0, *sizes)] == pytest.approx(
        [line(size) for size in (0, *sizes)], rel=1e-4
    )


def test_memory_accesses_are_those_of_the_equations() -> None:
    table = {
        "layers": [{"name": "a", "timesteps": 4, "neurons": 10}],
        "macs": {"ann": 500, "analog": 100},
    }
    structure, means = Structure(0, 64, 0, synapses=2), {"spikes": 7.0, "synops": 90.0}
    found = memory_energy(WIDTHS["float32"], structure, table, means, {"a": 10})
    weights, numbers, bits = access(4 * 32), access(4 * 10), access(10 / 8)
    assert found["ann"] == pytest.approx(500 * (weights + numbers) + 10 * numbers)
    reads = (90 + 100) * weights + 100 * numbers + 2 * (90 + 2 * 4 * 10) * numbers + 2 * 7 * bits
    assert found["snn"] == pytest.approx(reads)
    assert memory_energy(WIDTHS["int8"], structure, table, {}, {"a": 10})["snn"] is None
    assert memory_energy(WIDTHS["int8"], structure, {}, {}, {}) == {"snn": None, "ann": None}


def test_neurobench_counts_by_definition(example: Example) -> None:
    metrics = run("run", example.snn, "--data", example.data)["neurobench"]
    result = SpikingSession(example.snn).run(np.load(example.data)["image"])
    slots = sum(result.neurons.values()) * 4
    spikes = sum(float(s.mean()) for s in result.spikes.values())
    assert metrics["activation_sparsity"] == pytest.approx(1 - spikes / slots)
    operations = metrics["synaptic_operations"]
    assert operations["dense"] == CONV + 4 * (FIRST + LAST)
    assert operations["effective_macs"] == CONV  # no pixel and no weight is zero
    assert operations["effective_acs"] == pytest.approx(sum(float(s.mean()) for s in result.synops.values()))
    weights = 4 * 9 + 36 * 12 + 12 * 5
    assert metrics["footprint"] >= 4 * (weights + sum(result.neurons.values()))
    assert metrics["connection_sparsity"] == 0


def test_zeros_are_no_effective_operations(example: Example) -> None:
    model = onnx.load(example.ann)
    weights = next(t for t in model.graph.initializer if t.name == "w1")
    values = onnx.numpy_helper.to_array(weights).copy()
    values[:2] = 0
    weights.CopyFrom(onnx.numpy_helper.from_array(values, "w1"))
    split = split_model(onnx2snn.convert(model).model)
    assert Structure.of(split).zeros == 18
    images = np.ones((3, 1, 8, 8), np.float32)
    images[1] = 0
    found = Operations(split).of({"image": images})["macs/effective"]
    np.testing.assert_array_equal(found, [CONV // 2, 0, CONV // 2])
    with np.load(example.data) as data:
        whole = Operations(split_model(onnx.load(example.ann))).of({"image": data["image"]})["macs/effective"]
    assert CONV < whole.max() <= CONV + FIRST + LAST


def test_spike_trains_are_written(example: Example, tmp_path: Path) -> None:
    trains, counts = tmp_path / "trains.npz", tmp_path / "counts.npz"
    run("run", example.snn, "--data", example.data, "--spikes", trains, "--output", counts, "--limit", "25")
    trace = SpikingSession(example.snn).trace(np.load(example.data)["image"][:25])
    with np.load(trains) as found, np.load(counts) as counted:
        for name, spikes in trace.spikes.items():
            np.testing.assert_array_equal(found[name], np.moveaxis(spikes, 0, 1))
            flat = found[name].reshape(25, -1).sum(axis=1)
            np.testing.assert_array_equal(counted[f"spikes/{name}"], flat)
    refused = CliRunner().invoke(
        main, ["run", str(example.ann), "--data", str(example.data), "--spikes", str(trains)]
    )
    assert refused.exit_code == 4


@pytest.mark.parametrize("command", ["run", "evaluate", "verify", "report"])
def test_the_first_samples_are_enough(command: str, example: Example) -> None:
    files = [example.snn] if command in ("run", "evaluate") else [example.ann, example.snn]
    found = run(command, *files, "--data", example.data, "--limit", "7", "--batch", "3")
    assert found["samples"] == 7


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("run", ["snn"]),
        ("run", ["ann"]),
        ("evaluate", ["snn"]),
        ("verify", ["ann", "snn"]),
        ("report", ["ann", "snn"]),
    ],
)
def test_a_provider_runs_the_network(command: str, files: list[str], example: Example) -> None:
    words = [command, *(str(getattr(example, name)) for name in files), "--data", str(example.data)]
    found = CliRunner().invoke(main, [*words, "--provider", "NoSuchProvider", "--json"])
    assert found.exit_code == 4
    assert "NoSuchProvider" in found.output
    run(*words, "--provider", "CPUExecutionProvider", "--limit", "3")


def test_a_state_of_one_provider_is_not_continued_by_another(example: Example, tmp_path: Path) -> None:
    words = ["evaluate", str(example.snn), "--data", str(example.data), "--resume", str(tmp_path / "s.json")]
    run(*words, "--provider", "CPUExecutionProvider")
    assert CliRunner().invoke(main, words).exit_code == 4


def test_what_sizes_alone_decide_is_no_operation() -> None:
    network = NETWORKS["of_any_size"]()
    inputs = network.inputs(5)
    found = Operations(split_model(onnx2snn.convert(network.model).model)).of(inputs)
    effective = found["macs/effective"]
    height, width = inputs["x"].shape[2:]
    assert effective.shape == (5,)
    assert (effective <= 9 * 3 * height * width).all()  # the one convolution that reads the picture
    assert effective.all()
