"""``onnx2snn calibrate``, and ``convert`` with its options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from onnx2snn.cli import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "data.npz"
    np.savez(
        path, image=random.uniform(0, 1, (40, 1, 8, 8)).astype(np.float32), labels=random.integers(0, 3, 40)
    )
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    return (
        result.exit_code,
        result.stdout if result.exit_code == 0 else result.output,
    )  # progress goes to stderr


def test_what_is_printed(relu_network: Path, data: Path, tmp_path: Path) -> None:
    code, text = run("calibrate", relu_network, tmp_path / "q.onnx", "--data", data, "--timesteps", 4)
    assert code == 0
    for word in (
        "act1",
        "Relu",
        "dB",
        "output error",
        "top-1 agreement",
        "accuracy: float",
        "onnx2snn verify",
    ):
        assert word in text
    onnx.checker.check_model(onnx.load(tmp_path / "q.onnx"))


@pytest.mark.parametrize("timesteps", ["3", "auto"])
def test_json(relu_network: Path, data: Path, tmp_path: Path, timesteps: str) -> None:
    arguments = ["--data", data, "--timesteps", timesteps, "--max-loss", 50, "--samples", 16, "--json"]
    code, text = run("calibrate", relu_network, tmp_path / "q.onnx", *arguments)
    assert code == 0
    facts = json.loads(text)
    assert facts["samples"] == 40
    assert set(facts["accuracy"]) == {"float", "quantised"}
    assert [layer["name"] for layer in facts["layers"]] == ["act1", "act2"]
    assert facts["timesteps"] == max(layer["timesteps"] for layer in facts["layers"])
    assert 0 <= facts["top1_agreement"] <= 1


@pytest.mark.parametrize("method", ["mse", "percentile", "max"])
def test_methods(relu_network: Path, data: Path, tmp_path: Path, method: str) -> None:
    arguments = ["--data", data, "--timesteps", 4, "--method", method, "--per-layer", "--json"]
    code, text = run("calibrate", relu_network, tmp_path / "q.onnx", *arguments)
    assert code == 0
    assert json.loads(text)["method"] == method
    assert [layer["thresholds"] for layer in json.loads(text)["layers"]] == [1, 1]


def test_usage(relu_network: Path, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "q.onnx"
    for arguments in (
        [relu_network, target, "--timesteps", 4],
        [relu_network, target, "--timesteps", 4, "--data", data, "--data-free"],
        [relu_network, target, "--timesteps", "many", "--data", data],
        [relu_network, target, "--timesteps", 0, "--data", data],
        [relu_network, relu_network, "--timesteps", 4, "--data", data],
    ):
        assert run("calibrate", *arguments)[0] == 2
    assert not target.exists()
    code, text = run("calibrate", relu_network, target, "--timesteps", 4, "--data-free")
    assert code == 4
    assert "batch norm" in text


def test_both_steps_at_once(relu_network: Path, data: Path, tmp_path: Path) -> None:
    snn, ann = tmp_path / "snn.onnx", tmp_path / "ann.onnx"
    calibration = ["--calibrate", data, "--timesteps", 4]
    code, text = run(relu_network, snn, *calibration, "--quantised", ann)
    assert code == 0
    assert "output error" in text
    assert run("verify", ann, snn, "--data", data)[0] == 0
    code, text = run("verify", relu_network, snn, "--data", data)
    assert code == 1
    assert "an approximation, not lossless" in text
    assert run(ann, tmp_path / "x.onnx", "--quantised", tmp_path / "y.onnx")[0] == 2


def test_a_rate_code(relu_network: Path, data: Path, tmp_path: Path) -> None:
    snn, ann = tmp_path / "snn.onnx", tmp_path / "ann.onnx"
    rate = ["--coding", "rate", "--timesteps", 12]
    code, text = run(relu_network, snn, "--calibrate", data, *rate, "--quantised", ann, "--json")
    assert code == 0
    assert json.loads(text)["timesteps"] == 12
    assert run("run", snn, "--data", data)[0] == 0
    code, text = run("verify", ann, snn, "--data", data, "--json")
    assert code == 1
    facts = json.loads(text)
    assert (facts["lossless"], facts["approximate"]) == (False, True)
    assert run(ann, tmp_path / "again.onnx", *rate)[0] == 0


def test_a_calibrated_conversion_says_how_it_can_be_certified(
    relu_network: Path, data: Path, tmp_path: Path
) -> None:
    words = ["convert", relu_network, tmp_path / "snn.onnx", "--calibrate", data, "--timesteps", 4]
    quantised = ["--quantised", tmp_path / "q.onnx"]
    assert "give --quantised PATH" in run(*words)[1]
    assert "--quantised" not in run(*words, *quantised)[1]
    rate = run(*words[:-2], "--coding", "rate", "--timesteps", 8)[1]
    assert "not compared with the source: loaded; a rate code approximates its answers" in rate
    assert "--quantised" not in rate
