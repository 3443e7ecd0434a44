"""Calibration of the float twin of the digits network, and what cannot be calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_corpus import Example

import onnx2snn
from onnx2snn.reference import make_runner

DIGITS = Path(__file__).parents[1] / "examples" / "digits"


def accuracy(model: onnx.ModelProto) -> float:
    with np.load(DIGITS / "digits.npz") as data:
        answers = make_runner(model)({"image": data["image"]})["logits"].argmax(axis=1)
        return float(np.mean(answers == data["labels"]))


@pytest.mark.parametrize(("timesteps", "loss"), [(4, 0.002), (3, 0.01)])
def test_few_time_steps_lose_little(timesteps: int, loss: float) -> None:
    source = DIGITS / "digits_relu.onnx"
    calibration = onnx2snn.calibrate(source, DIGITS / "calibration.npz", timesteps=timesteps)
    assert calibration.samples == 256
    assert accuracy(calibration.model) >= accuracy(onnx.load(source)) - loss
    assert all(layer.signal_to_noise > 10 for layer in calibration.layers)


def test_the_calibrated_network_converts_losslessly() -> None:
    data = {"image": np.load(DIGITS / "calibration.npz")["image"][:32]}
    calibration = onnx2snn.calibrate(DIGITS / "digits_relu.onnx", data, timesteps=4)
    conversion = onnx2snn.convert(calibration.model)
    assert conversion.timesteps == 4
    assert len(conversion.layers) == len(calibration.layers)
    assert onnx2snn.verify(calibration.model, conversion.model, data).lossless
    both = onnx2snn.convert(DIGITS / "digits_relu.onnx", calibrate=data, timesteps=4)
    assert both.model.SerializeToString(deterministic=True) == conversion.model.SerializeToString(
        deterministic=True
    )


def test_smooth_activations_are_refused_by_name() -> None:
    example = Example("torchts13__plain-silu-b1")
    with pytest.raises(onnx2snn.ConversionError) as caught:
        onnx2snn.calibrate(example.path, example.inputs)
    assert caught.value.operator == "Sigmoid"


def test_a_quantised_network_needs_no_calibration() -> None:
    example = Example("torchts13__mlp-lsq2-dyn")
    with pytest.raises(onnx2snn.ConversionError, match="no float activation"):
        onnx2snn.calibrate(example.path, example.inputs)
