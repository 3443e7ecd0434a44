"""Calibration of the float twin of the digits network, and what cannot be calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_corpus import Example

import onnx2snn
from onnx2snn.model.reference import make_runner

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def accuracy(model: onnx.ModelProto) -> float:
    with np.load(DIGITS / "digits.npz") as data:
        answers = make_runner(model)({"image": data["image"]})["logits"].argmax(axis=1)
        return float(np.mean(answers == data["labels"]))


def digits(count: int) -> dict[str, np.ndarray]:
    with np.load(DIGITS / "calibration.npz") as data:
        return {"image": data["image"][:: 256 // count]}


@pytest.mark.parametrize(("timesteps", "loss"), [(4, 0.003), (3, 0.005), (2, 0.01)])
def test_32_samples_without_labels_suffice(timesteps: int, loss: float) -> None:
    source = DIGITS / "digits_relu.onnx"
    calibration = onnx2snn.calibrate(source, digits(32), timesteps=timesteps)
    assert calibration.samples == 32
    assert accuracy(calibration.model) >= accuracy(onnx.load(source)) - loss
    assert all(layer.signal_to_noise is not None for layer in calibration.layers)
    assert all(
        (layer.levels, layer.timesteps) == (2**timesteps - 1, timesteps) for layer in calibration.layers
    )


def test_corrections_beat_thresholds_alone() -> None:
    found = {
        method: onnx2snn.calibrate(DIGITS / "digits_relu.onnx", digits(32), timesteps=2, method=method)
        for method in ("auto", "mse", "percentile", "max")
    }
    errors = {method: calibration.output_error for method, calibration in found.items()}
    assert errors["auto"] < 0.5 * min(errors["mse"], errors["percentile"], errors["max"])
    assert {layer.correction for layer in found["mse"].layers} == {"none"}
    assert "weights" in {layer.correction for layer in found["auto"].layers}


def test_thresholds_by_layer_or_by_channel() -> None:
    for per_channel, sizes in ((True, [16, 32, 64, 64]), (False, [1, 1, 1, 1])):
        for method in ("auto", "mse"):
            calibration = onnx2snn.calibrate(
                DIGITS / "digits_relu.onnx", digits(8), method=method, per_channel=per_channel
            )
            assert [layer.thresholds for layer in calibration.layers] == sizes


def test_the_calibrated_network_converts_losslessly() -> None:
    data = digits(16)
    calibration = onnx2snn.calibrate(DIGITS / "digits_relu.onnx", data, timesteps=4)
    conversion = onnx2snn.convert(calibration.model)
    assert conversion.timesteps == 4
    for layer, calibrated in zip(conversion.layers, calibration.layers, strict=True):
        assert all(f"{name}/".startswith(f"{calibrated.name}/") for name in layer.source_nodes)
        assert layer.exact
    assert onnx2snn.verify(calibration.model, conversion.model, data).lossless
    both = onnx2snn.convert(DIGITS / "digits_relu.onnx", calibrate=data, timesteps=4)
    assert both.model.SerializeToString(deterministic=True) == conversion.model.SerializeToString(
        deterministic=True
    )
    assert both.calibration is not None
    assert both.calibration.to_dict() == calibration.to_dict()


def test_a_calibration_says_what_it_costs() -> None:
    with np.load(DIGITS / "digits.npz") as held:
        data = {"image": held["image"][:40], "labels": held["labels"][:40]}
    reports: list[tuple[float, float]] = []
    calibration = onnx2snn.calibrate(
        DIGITS / "digits_relu.onnx",
        data,
        timesteps=1,
        method="max",
        progress=lambda done, total: reports.append((done, total)),
    )
    source = make_runner(onnx.load(DIGITS / "digits_relu.onnx"))({"image": data["image"]})["logits"]
    found = make_runner(calibration.model)({"image": data["image"]})["logits"]
    right = {"float": source.argmax(1), "quantised": found.argmax(1)}
    assert calibration.accuracy == {
        name: pytest.approx(np.mean(classes == data["labels"])) for name, classes in right.items()
    }
    assert calibration.top1_agreement == pytest.approx(np.mean(right["float"] == right["quantised"]))
    error = np.sqrt(np.mean((source - found) ** 2)) / source.std()
    assert calibration.output_error == pytest.approx(error, rel=1e-4)
    assert reports[-1][0] == reports[-1][1]
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


def test_a_rate_code_has_as_many_levels_as_steps() -> None:
    calibration = onnx2snn.calibrate(DIGITS / "digits_relu.onnx", digits(8), timesteps=20, coding="rate")
    assert {(layer.levels, layer.timesteps) for layer in calibration.layers} == {(20, 20)}
    assert calibration.timesteps == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timesteps": 0}, "T lies between"),
        ({"timesteps": 17}, "T lies between"),
        ({"method": "best"}, "no method"),
        ({"samples": 0}, "at least one sample"),
        ({"timesteps": "auto", "coding": "rate"}, "one T"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(onnx2snn.InputError, match=message):
        onnx2snn.calibrate(DIGITS / "digits_relu.onnx", digits(8), **options)


def test_no_samples() -> None:
    with pytest.raises(onnx2snn.InputError, match="samples"):
        onnx2snn.calibrate(DIGITS / "digits_relu.onnx", {"image": np.zeros((0, 1, 28, 28), np.float32)})


def test_a_quantised_network_needs_no_calibration() -> None:
    example = Example("torchts13__mlp-lsq2-dyn")
    with pytest.raises(onnx2snn.ConversionError, match="no float activation"):
        onnx2snn.calibrate(example.path, example.inputs)
