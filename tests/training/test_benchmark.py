"""The sparsity benchmark, small: fewer digits, fewer epochs, the same steps."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"

pytestmark = pytest.mark.train


@pytest.fixture
def sparsity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(DIGITS))
    module = importlib.import_module("sparsity")

    for name, value in {"RESULTS": tmp_path / "results.json", "PLOT": tmp_path / "plot.svg"}.items():
        monkeypatch.setattr(module, name, value)
    for name, value in {"STATES": tmp_path / "states", "DENSE_EPOCHS": 4, "EPOCHS": 5, "RATE": 1e-2}.items():
        monkeypatch.setattr(module.training, name, value)
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with np.load(DIGITS / "digits.npz") as arrays:
        pixels, labels = (arrays["image"][:, 0] * 255).round().astype(np.uint8), arrays["labels"]
    path = tmp_path / "data.npz"
    np.savez(
        path,
        train_images=pixels[:800],
        train_labels=labels[:800],
        test_images=pixels[800:],
        test_labels=labels[800:],
    )
    return path


def test_the_penalty_saves_spikes_and_little_accuracy(
    sparsity: Any, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [
        sparsity.Run("none", 0.0, 4, 0),
        sparsity.Run("fg", 1e-3, 4, 0),
        sparsity.Run("fg-synops", 1e-5, 4, 0),
        sparsity.Run("fg-synops", 1e-5, 4, 0, 3e-7),
    ]
    monkeypatch.setattr(sparsity, "plan", lambda _seeds: iter(runs))
    monkeypatch.setattr(sparsity, "SHIPPED", runs[1])
    words = ["sparsity", "--data", str(data), "--jobs", "1", "--export", str(tmp_path / "sparse.onnx")]
    monkeypatch.setattr(sys, "argv", words)
    sparsity.main()
    dense, sparse, weighted, pruned = (
        result["outcome"] for result in json.loads(sparsity.RESULTS.read_text())
    )
    assert dense["accuracy"] > 0.8
    assert sparse["spikes"] < dense["spikes"] / 2
    assert sparse["accuracy"] > dense["accuracy"] - 0.1
    assert weighted["synops"] < 0.7 * dense["synops"]  # 65 steps do not bring it further
    assert pruned["synapses"] < 0.9 == 0.9 * weighted["synapses"]
    assert pruned["synops"] < 0.8 * weighted["synops"]
    assert pruned["accuracy"] > weighted["accuracy"] - 0.1
    assert (tmp_path / "sparse.onnx").exists()
    assert (tmp_path / "plot.svg").exists()


def test_a_run_that_is_there_is_not_repeated(
    sparsity: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = sparsity.Outcome(0.9, 0.3, 100.0, 0.1, 1000.0, 1.0, 1e-6, 1e-5, 1.0)
    calls = []
    monkeypatch.setattr(sparsity.training, "perform", lambda run, *_: calls.append(run) or outcome)
    monkeypatch.setattr(sys, "argv", ["sparsity", "--data", str(data), "--jobs", "1", "--seeds", "1"])
    sparsity.main()
    assert len(calls) == len(set(calls)) == len(list(sparsity.plan(1)))
    sparsity.main()
    assert len(calls) == len(list(sparsity.plan(1)))


def test_costs_are_read_from_a_curve_at_equal_accuracy(sparsity: Any) -> None:
    """Accuracy rises by 1 % from 100 to 10,000 spikes: half of that at 1,000."""
    plot = importlib.import_module("sparsity_plot")
    ends = ((100.0, 0.98), (10_000.0, 0.99))
    curve = [plot.Point("l1", 4, 1.0, 0.0, ({"spikes": cost, "accuracy": right},)) for cost, right in ends]
    assert plot.read(curve, "spikes", "accuracy", 0.985) == pytest.approx(1000)
    assert plot.read(curve, "spikes", "accuracy", 0.97) is None
    assert plot.read(curve, "spikes", "accuracy", 0.995) is None
