"""``onnx2snn report``: a page of two networks, and what it tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from conftest import Example
from helpers_commands import answer, run
from onnx import numpy_helper

from onnx2snn.cli import main


def report(example: Example, *words: object) -> Result:
    return run("report", example.ann, example.snn, "--data", example.data, *words)


def test_a_report_is_written_and_told(example: Example, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = report(
        example, "--html", page, "--neuron", "act1_clip/neuron:7", "--neuron", "act1_clip/neuron:0,1,2"
    )
    assert result.exit_code == 0, result.stderr
    assert "the neurons asked for" in page.read_text(encoding="utf-8")
    assert result.stdout.startswith(
        "lossless: 90 samples, T = 4 time steps a layer, 12 to an answer, accuracy: ANN"
    )
    assert str(page) in result.stdout
    assert "Lossless" in page.read_text(encoding="utf-8")


def test_a_report_has_a_name_of_its_own(example: Example, tmp_path: Path) -> None:
    snn = tmp_path / "net.onnx"
    snn.write_bytes(example.snn.read_bytes())
    words = ["report", example.ann, snn, "--data", example.data, "--limit", "5"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "net_report.html").exists()


def test_a_report_for_machines_needs_no_page(example: Example, tmp_path: Path) -> None:
    facts = answer("report", example.ann, example.snn, "--data", example.data)
    assert facts["html"] is None
    assert facts["lossless"] is True
    assert facts["latency"]["steps"] == 12
    page = tmp_path / "report.html"
    both = answer("report", example.ann, example.snn, "--data", example.data, "--html", page)
    assert both["html"] == str(page)
    assert page.exists()
    assert both.keys() == facts.keys()


def test_a_report_with_a_sweep(example: Example, relu_network: Path, tmp_path: Path) -> None:
    points = tmp_path / "sweep.json"
    points.write_text('[{"code": "rate", "T": 8, "accuracy": 0.5}]')
    page = tmp_path / "report.html"
    assert report(example, "--html", page, "--sweep", points).exit_code == 0
    assert "rate code" in page.read_text(encoding="utf-8")
    measured = answer(
        "report",
        example.ann,
        example.snn,
        "--data",
        example.data,
        "--sweep",
        relu_network,
        "--calibrate",
        example.data,
    )["sweep"]
    steps = {code: [p["timesteps"] for p in measured if p["code"] == code] for code in ("binary", "rate")}
    assert steps == {"binary": [1, 2, 3, 4, 5, 6], "rate": [1, 2, 4, 8, 16, 32]}


def test_a_report_on_a_network_that_answers_otherwise(example: Example, tmp_path: Path) -> None:
    model = onnx.load(example.snn)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.2), weights.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    words = (
        "report",
        example.ann,
        tmp_path / "wrong.onnx",
        "--data",
        example.data,
        "--html",
        tmp_path / "r.html",
    )
    result = run(*words)
    assert result.exit_code == 1
    assert result.stdout.startswith("not lossless")
    assert "Not lossless" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_certificate_as_a_page_needs_no_data(example: Example, tmp_path: Path) -> None:
    result = run("verify", example.ann, example.snn, "--html", tmp_path / "c.html")
    assert result.exit_code == 0, result.stderr
    assert "64 samples (drawn" in (tmp_path / "c.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["--html", "{folder}/missing/r.html"], 4, "mkdir"),
        (["--json", "--sample", "90"], 4, "no sample 90"),
        (["--json", "--neuron", "act1"], 2, "layer:12"),
        (["--json", "--neuron", "nowhere:3"], 4, "act1"),
        (["--json", "--sweep", "{folder}/missing.json"], 4, "cannot be read"),
        (["--json", "--sweep", "{folder}/relu.onnx"], 2, "--calibrate"),
    ],
)
def test_what_a_report_cannot_do(
    example: Example, tmp_path: Path, words: list[str], code: int, hint: str
) -> None:
    result = report(example, *(word.format(folder=tmp_path) for word in words))
    assert result.exit_code == code, result.stderr
    assert hint in result.stderr
