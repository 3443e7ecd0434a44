"""The commands on a real network: what they print, write and answer."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import CLASSES, Example
from helpers_commands import answer, run
from onnx import numpy_helper


def test_a_first_conversion_teaches(example: Example, tmp_path: Path) -> None:
    target = tmp_path / "snn.onnx"
    result = run(example.ann, target)
    assert result.exit_code == 0
    assert target.exists()
    assert "T = 4 time steps" in result.stdout
    assert "Threshold" in result.stdout
    assert f"onnx2snn verify {example.ann} {target}" in result.stdout.replace("\n", "")
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("bias", ["once", "per-step", "paper"])
@pytest.mark.parametrize("execution", ["spiking", "fused"])
def test_conversion_for_machines(example: Example, tmp_path: Path, bias: str, execution: str) -> None:
    facts = answer("convert", example.ann, tmp_path / "s.onnx", "--bias", bias, "--execution", execution)
    assert facts["timesteps"] == 4
    assert [layer["levels"] for layer in facts["layers"]] == [15, 15]
    assert facts["neurons"] == sum(layer["neurons"] for layer in facts["layers"]) == 4 * 6 * 6 + 12


def test_quiet_conversion_prints_nothing(example: Example, tmp_path: Path) -> None:
    result = run("-q", example.ann, tmp_path / "snn.onnx")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_each_pass_can_be_checked(example: Example, tmp_path: Path) -> None:
    result = run(example.ann, tmp_path / "snn.onnx", "--check", example.data)
    assert result.exit_code == 0
    assert "checked after each of" in result.stdout


def test_calibration_in_one_step_and_in_two(relu_network: Path, example: Example, tmp_path: Path) -> None:
    refused = run(relu_network, tmp_path / "a.onnx")
    assert refused.exit_code == 3
    assert "--calibrate" in refused.stderr
    assert (
        run(relu_network, tmp_path / "a.onnx", "--calibrate", example.data, "--timesteps", 5).exit_code == 0
    )
    words = ("--data", example.data, "--timesteps", 5)
    assert answer("calibrate", relu_network, tmp_path / "quantised.onnx", *words)["timesteps"] == 5
    assert answer(tmp_path / "quantised.onnx", tmp_path / "b.onnx")["timesteps"] == 5


def test_verification(example: Example) -> None:
    facts = answer("verify", example.ann, example.snn, "--data", example.data)
    assert facts["lossless"] is True
    assert facts["samples"] == example.samples
    assert facts["timesteps"] == 4
    assert facts["accuracy"]["ann"] == facts["accuracy"]["snn"]
    assert {layer["unexplained"] for layer in facts["layers"]} == {0}
    shown = run("verify", example.ann, example.snn, "--data", example.data).stdout
    assert shown.startswith("lossless: 90 samples")


def test_a_network_that_answers_otherwise_exits_with_one(example: Example, tmp_path: Path) -> None:
    model = onnx.load(example.snn)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.2), weights.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    result = run("verify", example.ann, tmp_path / "wrong.onnx", "--data", example.data)
    assert result.exit_code == 1
    assert "not lossless" in result.stdout


def test_running_writes_outputs_and_spikes(example: Example, tmp_path: Path) -> None:
    facts = answer("run", example.snn, "--data", example.data, "--output", tmp_path / "r.npz", "--batch", 40)
    with np.load(tmp_path / "r.npz") as results:
        assert results["logits"].shape == (90, CLASSES)
        spikes = {name: results[name] for name in results.files if name.startswith("spikes/")}
    assert sorted(spikes) == sorted(f"spikes/{layer['name']}" for layer in facts["layers"])
    assert all(counts.shape == (90,) and counts.dtype == np.int64 for counts in spikes.values())
    assert facts["spikes"]["mean"] == pytest.approx(sum(counts.mean() for counts in spikes.values()))
    assert facts["energy"]["snn"]["mean"] > 0
    shown = run("run", example.snn, "--data", example.data).stdout
    assert "synaptic operations" in shown


def test_evaluation_prints_accuracy_and_spread(example: Example) -> None:
    assert "accuracy" in run("evaluate", example.snn, "--data", example.data).stdout
    facts = answer("evaluate", example.snn, "--data", example.data)
    assert facts == answer("evaluate", example.snn, "--data", example.data, "--execution", "spiking")


@pytest.mark.parametrize("which", ["ann", "snn"])
def test_inspection_before_and_after(example: Example, which: str) -> None:
    path = getattr(example, which)
    assert "act1" in run("inspect", path).stdout
    assert answer("inspect", path)


def test_commands_to_try_next_work_as_they_are_printed(example: Example, tmp_path: Path) -> None:
    folder = tmp_path / "it's my net"
    folder.mkdir()
    (folder / "a.onnx").write_bytes(example.ann.read_bytes())
    printed = run(folder / "a.onnx", folder / "s.onnx").stdout.split("Next:")[1].strip().splitlines()
    assert len(printed) == 2
    for line in printed:
        program, *words = shlex.split(line)
        assert program == "onnx2snn"
        result = run(*(word.replace("DATA.npz", str(example.data)) for word in words))
        assert result.exit_code == 0, (line, result.stderr)


def test_what_is_offered_after_calibration_works(
    relu_network: Path, example: Example, tmp_path: Path
) -> None:
    result = run(relu_network, tmp_path / "s.onnx", "--calibrate", example.data, "--timesteps", 3)
    for line in result.stdout.split("Next:")[1].strip().splitlines():
        again = run(*shlex.split(line)[1:])
        assert again.exit_code == 0, (line, again.stderr)


@pytest.mark.usefixtures("quiet_afterwards")
def test_verbose_tells_what_happens_inside_on_stderr(example: Example, tmp_path: Path) -> None:
    result = run(example.ann, tmp_path / "s.onnx", "--json", "-v")
    assert json.loads(result.stdout)["timesteps"] == 4
    assert "recognise_staircases: " in result.stderr
    assert max(map(len, result.stderr.splitlines())) < 200
    assert "90 samples with labels" in run("run", example.snn, "--data", example.data, "--verbose").stderr


@pytest.fixture
def quiet_afterwards() -> Iterator[None]:
    yield
    logger = logging.getLogger("onnx2snn")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)


def damaged(example: Example, folder: Path) -> dict[str, Path]:
    """Model files that are none."""
    whole = example.ann.read_bytes()
    contents = {"empty": b"", "cut": whole[: len(whole) // 2], "text": b"hello, this is no model\n" * 40}
    for name, content in contents.items():
        (folder / f"{name}.onnx").write_bytes(content)
    return {name: folder / f"{name}.onnx" for name in [*contents, "missing"]}


@pytest.mark.parametrize("fault", ["empty", "cut", "text", "missing"])
@pytest.mark.parametrize("command", ["convert", "verify", "run", "inspect", "evaluate", "calibrate"])
def test_a_bad_model_is_exit_code_four(example: Example, tmp_path: Path, fault: str, command: str) -> None:
    bad, out = damaged(example, tmp_path)[fault], tmp_path / "out.onnx"
    words = {
        "convert": [bad, out],
        "verify": [bad, example.snn],
        "run": [bad, "--data", example.data],
        "inspect": [bad],
        "evaluate": [bad, "--data", example.data],
        "calibrate": [bad, out, "--data", example.data, "--timesteps", 3],
    }[command]
    result = run(command, *words)
    assert result.exit_code == 4, result.stderr
    assert "Traceback" not in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["convert", "{ann}", "{folder}/missing/out.onnx"], 4, "mkdir"),
        (["convert", "{ann}", "{folder}"], 4, "folder"),
        (["verify", "{ann}", "{ann}"], 4, "onnx2snn"),
        (["run", "{ann}", "--data", "{data}", "--execution", "int8"], 4, "onnx2snn"),
        (["run", "{snn}", "--data", "{folder}/missing.npz"], 4, "no such file"),
        (["run", "{snn}", "--data", "{ann}"], 4, "an ONNX model"),
        (["run", "{snn}", "--data", "{data}", "--output", "{folder}/no/r.npz"], 4, "mkdir"),
        (["verify", "{ann}", "{snn}", "--data", "{folder}"], 4, "holds no data"),
        (["evaluate", "{snn}", "--data", "{data}", "--resume", "{ann}"], 4, "state file"),
        (["evaluate", "{snn}", "--data", "{data}", "--resume", "{data}"], 2, "overwrite"),
        (["convert", "{snn}", "{folder}/again.onnx"], 3, ""),
        (["run", "{snn}", "{data}"], 2, "it goes behind --data"),
        (["verify", "{ann}", "{snn}", "{data}"], 2, "it goes behind --data"),
        (["evaluate", "{snn}", "x.npy"], 2, "x.npy is data: it goes behind --data"),
        (["convert", "{ann}", "{folder}/new.npz"], 2, "its name ends in .onnx, not in .npz"),
        (["run", "{snn}", "--data", "{data}", "-o", "{folder}/result.csv"], 2, "ends in .npz, not in .csv"),
        (["verify", "{ann}", "{snn}", "--html", "{folder}/page.onnx"], 2, "ends in .html"),
    ],
)
def test_faults_of_the_user(example: Example, tmp_path: Path, words: list[str], code: int, hint: str) -> None:
    names = {"ann": example.ann, "snn": example.snn, "data": example.data, "folder": tmp_path}
    result = run(*(word.format(**names) for word in words))
    assert result.exit_code == code, result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_data_of_another_shape_names_both(example: Example, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", image=np.zeros((3, 1, 9, 9), np.float32))
    result = run("run", example.snn, "--data", tmp_path / "d.npz")
    assert result.exit_code == 4
    assert "(3, 1, 9, 9)" in result.stderr
    assert "(N, 1, 8, 8)" in result.stderr


@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_a_file_that_counts_no_spikes_says_so(command: str, example: Example, tmp_path: Path) -> None:
    fast = tmp_path / "fast.onnx"
    assert run("compile", example.snn, fast).exit_code == 0
    shown = run(command, fast, "--data", example.data, "--limit", "5").stdout
    assert "this file does not count them (onnx2snn compile SNN.onnx FAST.onnx --count synops)" in shown
    assert "Spikes/neuron" not in shown
