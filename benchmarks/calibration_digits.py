"""What calibrated digits networks answer: ordinary accuracies on 1,000 test digits, after 256 training digits without labels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

import onnx2snn
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import make_runner
from onnx2snn.runtime import SpikingSession

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"
SOURCE = DIGITS / "digits_relu.onnx"


def test_digits() -> tuple[np.ndarray, np.ndarray]:
    """1,000 images and their classes."""
    with np.load(DIGITS / "digits.npz") as data:
        return data["image"], data["labels"]


def calibration_digits() -> np.ndarray:
    """256 training images."""
    with np.load(DIGITS / "calibration.npz") as data:
        return data["image"]


def ann_accuracy(source: Path = SOURCE) -> float:
    """Of the float network."""
    images, labels = test_digits()
    answer = make_runner(load_model(source))({"image": images})["logits"]
    return float(np.mean(answer.argmax(1) == labels))


def our_accuracy(options: dict[str, Any], timesteps: int, source: Path = SOURCE) -> dict[str, float]:
    """Of the spiking network that a calibration leads to, and what it spends on a digit."""
    images, labels = test_digits()
    began = time.perf_counter()
    calibration = onnx2snn.calibrate(source, {"image": calibration_digits()}, timesteps=timesteps, **options)
    seconds = time.perf_counter() - began
    conversion = onnx2snn.convert(calibration.model)
    return _spent(conversion, images, labels) | {"seconds": round(seconds, 1)}


def data_free_accuracy(timesteps: int) -> dict[str, float]:
    """Of the network with batch norms, calibrated by what they remember of 256 training digits."""
    from batch_norms import with_batch_norms  # noqa: PLC0415 - beside this file

    source = with_batch_norms(load_model(SOURCE), {"image": calibration_digits()})
    calibration = onnx2snn.calibrate(source, timesteps=timesteps)
    return _spent(onnx2snn.convert(calibration.model), *test_digits())


def mixed_accuracy(max_loss: float) -> dict[str, Any]:
    """Of the network whose layers have their own T."""
    data = {"image": calibration_digits()}
    conversion = onnx2snn.convert(onnx2snn.calibrate(SOURCE, data, timesteps="auto", max_loss=max_loss).model)
    steps = [layer.timesteps for layer in conversion.layers]
    return {"timesteps": steps, **_spent(conversion, *test_digits())}


def rate_accuracy(timesteps: int) -> dict[str, float]:
    """Of the rate-coded network, calibrated for K = T."""
    images, labels = test_digits()
    data = {"image": calibration_digits()}
    conversion = onnx2snn.convert(SOURCE, calibrate=data, timesteps=timesteps, coding="rate")
    return _spent(conversion, images, labels)


def _spent(conversion: Any, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    session = SpikingSession(conversion.model.SerializeToString(), execution="fused")
    result = session.run({"image": images})
    return {
        "accuracy": float(np.mean(result.outputs["logits"].argmax(1) == labels)),
        "spikes": float(sum(v.mean() for v in result.spikes.values())),
        "synops": float(sum(v.mean() for v in result.synops.values())),
    }
