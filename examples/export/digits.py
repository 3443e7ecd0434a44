"""What all export examples share: a few real digits, and the three commands that follow an export."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import onnx2snn
from onnx2snn.runtime import SpikingSession

DATA = Path(__file__).parents[1] / "digits" / "digits.npz"
TRAINED = 800
#: Highest level of every activation: four bits, T = 4 time steps.
LEVELS = 15


def load_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """800 digits to train on and 200 to test: images (N, 1, 14, 14) float32 in 0..1, labels (N,) int64."""
    with np.load(DATA) as data:
        images = data["image"].reshape(-1, 1, 14, 2, 14, 2).mean(axis=(3, 5))
        labels = data["labels"].astype(np.int64)
    return images[:TRAINED], labels[:TRAINED], images[TRAINED:], labels[TRAINED:]


def convert_and_verify(ann: Path, images: np.ndarray, labels: np.ndarray, *, input_name: str) -> None:
    """Convert a network, verify the conversion neuron by neuron, and run it.

    Raises:
        SystemExit: the spiking network differs from its source in a way that rounding does not explain.
    """
    snn = ann.with_name(f"{ann.stem}_snn.onnx")
    conversion = onnx2snn.convert(ann)
    conversion.save(snn)
    certificate = onnx2snn.verify(ann, snn, {input_name: images})
    result = SpikingSession(snn).run({input_name: images})
    scores = next(value for value in result.outputs.values() if value.ndim == 2)
    print(f"{ann.name}: {len(conversion.layers)} layers of neurons, T = {conversion.timesteps} time steps")
    print(f"  lossless: {certificate.lossless} ({certificate.samples} samples)")
    print(f"  accuracy: {np.mean(scores.argmax(axis=1) == labels):.1%}")
    if not certificate.lossless:
        raise SystemExit(1)


def folder_from_command_line(what: str | None) -> Path:
    """The folder to write to: the command's one argument, ``exported`` without."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("exported"))
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    return folder
