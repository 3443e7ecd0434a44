"""The vision networks that are shipped stay convertible and certified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnx2snn

ROOT = Path(__file__).resolve().parents[2] / "examples"
FILES = sorted((ROOT / "vision").glob("*.onnx"))


def test_there_are_some() -> None:
    assert [path.stem for path in FILES] == ["mobilenet_4", "mobilenet_8", "vit_4", "vit_8"]


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stem.endswith("4")], ids=lambda path: path.stem
)
def test_it_converts_by_default_and_is_certified(path: Path) -> None:
    with np.load(ROOT / "digits" / "digits.npz") as arrays:
        images = arrays["image"][:4]
    conversion = onnx2snn.convert(path)
    assert conversion.non_spiking == ()
    assert conversion.timesteps == 4
    certificate = onnx2snn.verify(path, conversion, {"image": images})
    assert certificate.lossless
    compared = sum(layer.levels_compared for layer in certificate.layers)
    assert sum(layer.ambiguous for layer in certificate.layers) < 0.005 * compared
