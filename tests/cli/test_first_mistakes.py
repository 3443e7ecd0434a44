"""What a new user meets first: each message says what is wrong, and its remedy, followed, works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_commands import run
from helpers_networks import Builder, Network

X = np.random.default_rng(1).normal(size=(8, 3, 16, 16)).astype(np.float32)


def network(*, quantised: bool = True, weight: float = 0.5) -> onnx.ModelProto:
    """Convolution, activation, maximum, ten classes."""
    b = Builder()
    z = b.conv("x", (3, 8), 1)
    a = b.act(z, step=0.25) if quantised else b.add("Relu", z)
    pooled = b.add("GlobalAveragePool", b.add("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]))
    out = b.dense(b.add("Mul", b.add("Flatten", pooled), weight), (8, 10), 2)
    return Network(b.model({"x": ["N", 3, 16, 16]}, {"y": (out, ["N", 10])}), {"x": (3, 16, 16)}).model


@pytest.fixture
def source(tmp_path: Path) -> Path:
    onnx.save(network(), tmp_path / "ann.onnx")
    assert run(tmp_path / "ann.onnx", tmp_path / "snn.onnx").exit_code == 0
    return tmp_path / "ann.onnx"


def test_a_float_network_with_pools_is_calibrated_as_told(tmp_path: Path) -> None:
    files = ann, snn, data = tmp_path / "relu.onnx", tmp_path / "snn.onnx", tmp_path / "x.npz"
    onnx.save(network(quantised=False), ann)
    np.savez(data, x=X)
    refused = run(ann, snn)
    assert refused.exit_code == 3
    assert "--calibrate DATA --timesteps 4" in refused.stderr
    assert run(ann, snn, "--calibrate", data, "--timesteps", 4).exit_code == 0
    assert all(file.exists() for file in files)


def test_channels_that_are_last_are_told_to_move(source: Path, tmp_path: Path) -> None:
    snn, data = tmp_path / "snn.onnx", tmp_path / "x.npz"
    last = np.moveaxis(X, 1, -1)
    np.savez(data, x=last)
    refused = run("verify", source, snn, "--data", data)
    assert refused.exit_code == 4
    assert "numpy.moveaxis(x, -1, 1)" in refused.stderr
    np.savez(data, x=np.moveaxis(last, -1, 1))
    assert run("verify", source, snn, "--data", data).exit_code == 0


@pytest.mark.parametrize("command", ["verify", "evaluate"])
def test_labels_beyond_the_classes_are_named(command: str, source: Path, tmp_path: Path) -> None:
    snn, data = tmp_path / "snn.onnx", tmp_path / "x.npz"
    models = [source, snn] if command == "verify" else [snn]
    np.savez(data, x=X, labels=[0, 1, 2, 3, 4, 10, 6, 7])
    refused = run(command, *models, "--data", data)
    assert refused.exit_code == 4
    assert "10 in sample 5" in refused.stderr
    np.savez(data, x=X, labels=[0, 1, 2, 3, 4, 9, 6, 7])
    assert run(command, *models, "--data", data).exit_code == 0


def test_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    ann, snn = tmp_path / "ann.onnx", tmp_path / "snn.onnx"
    onnx.save(network(weight=float("nan")), ann)
    refused = run(ann, snn)
    assert refused.exit_code == 3
    assert "values that are no numbers" in refused.stderr
    assert not snn.exists()
