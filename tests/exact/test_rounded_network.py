"""What rounding to grids made of a network is judged by one check, whoever rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from helpers_graphs import samples
from helpers_refused import in_levels, network, one

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.exact import snapping
from onnx2snn.exact.rounded_network import Product, moved


@pytest.mark.parametrize(
    ("facts", "faulty"),
    [
        ({}, False),
        ({"obstacle": "Hardmax"}, True),
        ({"error": 0.2}, False),  # neurons at thresholds
        ({"error": 0.2, "weights": 0.04}, True),
        ({"error": 0.09, "weights": 0.04}, False),
        ({"error": 0.19, "before": 0.1}, False),
        ({"error": 0.19, "before": 0.1, "exact": False}, True),
        ({"error": 0.21, "before": 0.1}, True),
    ],
)
def test_what_is_a_fault(facts: dict[str, Any], faulty: bool) -> None:
    product = Product(**({"exact": True, "weights": 0.0, "obstacle": None, "error": None} | facts))
    assert bool(product.fault) == faulty


def test_outputs_are_compared_with_those_of_the_network_itself() -> None:
    inputs = {"x": samples(40, 6)}
    assert moved(in_levels(255), in_levels(255), [inputs]) == 0
    assert moved(in_levels(255), in_levels(3), [inputs]) > 0.1
    assert moved(in_levels(255), in_levels(3), []) is None


def test_a_network_that_grids_would_change_is_left_alone(tmp_path: Path) -> None:
    inputs = {"x": samples(40, 6)}
    with pytest.raises(onnx2snn.ConversionError, match="its outputs would be off by"):
        onnx2snn.snap(in_levels(65535), inputs)
    exact = onnx2snn.snap(in_levels(4095), inputs)
    assert exact.moved is not None
    assert 0 < exact.moved < 0.02
    assert onnx2snn.snap(in_levels(4095)).moved is None
    in_levels_of_12_bits = tmp_path / "in.onnx"
    in_levels_of_12_bits.write_bytes(in_levels(4095).SerializeToString())
    np.savez(tmp_path / "data.npz", **inputs)
    words = [str(in_levels_of_12_bits), str(tmp_path / "out.onnx"), "--data", str(tmp_path / "data.npz")]
    assert "outputs move by" in CliRunner().invoke(main, ["snap", *words]).output
    assert "was not measured" in CliRunner().invoke(main, ["snap", *words[:2]]).output


def test_a_product_that_does_not_convert_is_given_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    recognised = []

    def obstacle_in(_graph: Any) -> str | None:
        recognised.append(1)
        return None if len(recognised) == 1 else "Gather"  # the network itself, and what is made of it

    monkeypatch.setattr(snapping, "obstacle_in", obstacle_in)
    with pytest.raises(onnx2snn.ConversionError, match="'Gather' would be no neuron"):
        onnx2snn.snap(in_levels(255))
    recognised.clear()
    calibration = onnx2snn.calibrate(network(one("Relu"), one("Relu")), {"x": samples(40, 6)})
    assert calibration.exact is None
    assert "'Gather' would be no neuron" in calibration.unrounded
