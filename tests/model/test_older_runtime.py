"""Beside an onnxruntime that is older than the onnx package: no model is of the newest IR version only because it is new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.runtime import SpikingSession

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def test_no_model_takes_the_newest_version_of_the_onnx_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """onnxruntime refuses models of an IR version that it does not know."""
    monkeypatch.setattr(onnx, "IR_VERSION", 99)
    with np.load(DIGITS / "calibration.npz") as held:
        samples = {"image": held["image"][:20]}
    calibrated = onnx2snn.calibrate(DIGITS / "digits_relu.onnx", samples, timesteps=3).model
    conversion = onnx2snn.convert(calibrated)
    target = tmp_path / "snn.onnx"
    conversion.save(target)
    assert onnx2snn.verify(calibrated, target, samples).lossless
    SpikingSession(target, execution="fused").run(samples)
    for execution in ("spiking", "fused", "int8", "step"):
        onnx2snn.compile(conversion, execution=execution)
