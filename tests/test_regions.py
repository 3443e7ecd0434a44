"""Detectors of two stages: what the refusal advises leads to a spiking network, and it is compared with its source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from helpers_control_flow import Middle, quantised
from helpers_operators import dyadic
from helpers_regions import regions, relu

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.errors import ConversionError, InvalidModelError

X = {"x": dyadic(3, 3, 8, 8, seed=8) / 16}


@pytest.mark.parametrize("head", [quantised, relu])
def test_regions_are_kept_and_compared(head: Middle) -> None:
    """Each sample has as many rows behind its regions as the data selects."""
    source = regions(quantised, head)
    with pytest.raises(ConversionError, match="node 'best'") as refused:
        onnx2snn.convert(source)
    assert "--hybrid" in str(refused.value.remedy)
    made = onnx2snn.convert(source, hybrid=True)
    certificate = onnx2snn.verify(source, made, X)
    assert certificate.lossless
    assert certificate.max_abs_error < 1e-6


@pytest.mark.parametrize("head", [quantised, relu])
def test_an_open_batch_is_compared_one_sample_at_a_time(head: Middle, tmp_path: Path) -> None:
    """Samples of a batch share their best regions; each alone has its own."""
    source, target = tmp_path / "ann.onnx", tmp_path / "snn.onnx"
    onnx.save(regions(quantised, head, "N"), source)
    onnx2snn.convert(source, hybrid=True).save(target)
    assert onnx2snn.verify(source, target, X).one_at_a_time
    drawn = CliRunner().invoke(main, ["verify", str(source), str(target)])
    assert drawn.exit_code == 0, drawn.output
    assert "one sample at a time" in drawn.output


def test_rows_that_a_fixed_batch_of_several_selects_are_of_no_sample() -> None:
    """What is advised is the test above."""
    source = regions(quantised, quantised, 3)
    with pytest.raises(InvalidModelError, match="belong to no one sample") as refused:
        onnx2snn.verify(source, onnx2snn.convert(source, hybrid=True), X)
    assert "dynamic batch axis" in str(refused.value.remedy)


def test_a_float_detector_is_calibrated_as_its_refusal_says(tmp_path: Path) -> None:
    source, target, data = tmp_path / "ann.onnx", tmp_path / "snn.onnx", tmp_path / "data.npz"
    onnx.save(regions(relu, relu), source)
    np.savez(data, **X)
    refused = CliRunner().invoke(main, [str(source), str(target)])
    assert refused.exit_code == 3
    assert "--calibrate DATA --timesteps 4 with --hybrid beside it" in refused.output
    words = [str(source), str(target), "--calibrate", str(data), "--timesteps", "4", "--hybrid"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "top-1" not in done.output  # as many rows as regions: no class of a sample
    quantised_file = tmp_path / "quantised.onnx"
    words = [
        "calibrate",
        str(source),
        str(quantised_file),
        "--data",
        str(data),
        "--timesteps",
        "4",
        "--hybrid",
    ]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert CliRunner().invoke(main, [str(quantised_file), str(target), "--hybrid"]).exit_code == 0


@pytest.mark.parametrize("count", [3, 17])
def test_a_network_that_selects_its_rows_is_calibrated_by_statistics(count: int) -> None:
    """Layer by layer it cannot be: what is quantised selects other rows than the float network."""
    samples = {"x": dyadic(count, 3, 8, 8, seed=8) / 16}
    calibration = onnx2snn.calibrate(regions(relu, relu), samples, timesteps=4, hybrid=True)
    assert calibration.method == "mse"
