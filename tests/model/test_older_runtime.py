"""Beside an onnxruntime that is older than the onnx package: no model is of the newest IR version only because it is new."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.model.reference import Reference
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


def newer(ir: int, opset: int) -> onnx.ModelProto:
    model = onnx.load(DIGITS / "digits.onnx")
    model.ir_version = ir
    model.opset_import[0].version = opset
    return model


@pytest.mark.parametrize(("ir", "opset"), [(99, 21), (10, 99)])
def test_a_model_that_is_newer_than_onnxruntime_is_told_which_version_it_may_be_of(
    ir: int, opset: int
) -> None:
    with pytest.raises(onnx2snn.InvalidModelError) as refused:
        Reference(newer(ir, opset))
    remedy = str(refused.value.remedy)
    assert "update onnxruntime" in remedy
    known = int(remedy.removesuffix(" or older").split()[-1])
    Reference(newer(*((known, 21) if ir == 99 else (10, known))))
