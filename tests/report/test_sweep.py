"""Accuracy over T: read from a file, or measured on a float network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Example

from onnx2snn.data import input_specs, open_data
from onnx2snn.errors import InputError
from onnx2snn.report import SweepPoint, read_sweep, run_sweep, sweep_size


@pytest.mark.parametrize("wrapped", [None, "points", "sweep"])
def test_points_from_a_file(tmp_path: Path, wrapped: str | None) -> None:
    points = [
        {"code": "rate", "T": 4, "accuracy": 0.25},
        {"T": 2, "accuracy": 1},
        {"timesteps": 1, "accuracy": 0},
    ]
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps({wrapped: points} if wrapped else points))
    assert read_sweep(path) == (
        SweepPoint("binary", 1, 0.0),
        SweepPoint("binary", 2, 1.0),
        SweepPoint("rate", 4, 0.25),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "no JSON"),
        ("{}", "no points"),
        ("[]", "no points"),
        ("[4]", "not whole"),
        ('[{"T": 4}]', "not whole"),
        ('[{"T": "many", "accuracy": 1}]', "not whole"),
        ('[{"T": 0, "accuracy": 1}]', "out of range"),
        ('[{"T": 1, "accuracy": 98.9}]', "out of range"),
        ('[{"T": 1, "accuracy": NaN}]', "out of range"),
    ],
)
def test_what_is_no_sweep_is_refused_with_an_example(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "sweep.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_sweep(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_sweep(tmp_path / "missing.json")


def test_a_float_network_is_calibrated_for_each_t(relu_network: Path, example: Example) -> None:
    data = open_data(example.data, input_specs(example.ann))
    done: list[int] = []
    codes = {"binary": ({}, (1, 5))}
    points = run_sweep(relu_network, data, data, codes=codes, progress=done.append)
    assert [(point.code, point.timesteps) for point in points] == [("binary", 1), ("binary", 5)]
    assert all(0 <= point.accuracy <= 1 for point in points)
    assert sum(done) == sweep_size(data, codes) == 180


def test_a_sweep_needs_labels(relu_network: Path) -> None:
    data = open_data({"image": np.zeros((3, 1, 8, 8), np.float32)}, input_specs(relu_network))
    with pytest.raises(InputError, match="true classes"):
        run_sweep(relu_network, data, data)
