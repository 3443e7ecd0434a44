"""Accuracy over time steps: one trained ReLU network of real digits, converted by several tools.

    pip install 'onnx2snn[train]' spikingjelly sinabs
    python benchmarks/peers.py

Every tool gets the same network (examples/digits/digits_relu.onnx, batch norm fused) and the same 256 digits to calibrate
with, and is asked about the same 1,000. SpikingJelly's rate-coding recipe runs in three of its settings. Sinabs
leaves the scaling of weights to its users (its own function is for networks without biases); here it is the usual one, by a
quantile of the activations.
Pictures are presented as a constant current in each time step; the answer is the class with the largest sum of outputs.
A rate-coded network is read out after T steps of all its layers at once; onnx2snn's T is that of a layer. Results go to
benchmarks/results/peers.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import sinabs.from_torch
import sinabs.utils
import torch
from spikingjelly.activation_based import ann2snn, functional
from torch import Tensor, nn

import onnx2snn
from onnx2snn.runtime import SpikingSession

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
OURS = (1, 2, 3, 4, 5, 6)
BATCH = 100

#: Class scores (N, 10) after each of STEPS, of images (N, 1, 28, 28).
Scores = Callable[[Tensor], Mapping[int, Tensor]]


def relu_network() -> nn.Sequential:
    """The network of digits_relu.onnx."""
    held = {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(DIGITS / "digits_relu.onnx").graph.initializer
    }
    network: list[nn.Module] = []
    for name, before, after in (("0", 1, 16), ("4", 16, 32), ("8", 32, 64)):
        layer = nn.Conv2d(before, after, 3, padding=1)
        network += [
            _filled(layer, held[f"{name}.weight"], held[f"{name}.weight_bias"]),
            nn.ReLU(),
            nn.AvgPool2d(2),
        ]
    network.append(nn.Flatten())
    network += [_filled(nn.Linear(576, 64), held["13.weight"], held["13.bias"]), nn.ReLU()]
    network.append(_filled(nn.Linear(64, 10), held["15.weight"], held["15.bias"]))
    return nn.Sequential(*network).eval()


def _filled(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def spikingjelly(recipe: ann2snn.FXConversionRecipe) -> Scores:
    network = ann2snn.FXConverter(recipe).convert(relu_network())
    return summed(network, lambda: functional.reset_net(network))


def summed(network: nn.Module, reset: Callable[[], object]) -> Scores:
    """The sum of what a network answers, step by step, to the same images."""

    def scores(images: Tensor) -> Mapping[int, Tensor]:
        reset()
        total, found = torch.zeros(len(images), 10), {}
        for step in range(1, STEPS[-1] + 1):
            total = total + network(images)
            if step in STEPS:
                found[step] = total
        return found

    return scores


def normalised(calibration: Tensor, quantile: float = 0.999) -> nn.Sequential:
    """Every activation divided by its quantile λ: W ← W·λ_before/λ, b ← b/λ (Rueckauer et al. 2017)."""
    network, before, value = relu_network(), 1.0, calibration
    for position, layer in enumerate(network):
        value = layer(value)  # of the source: a layer is scaled behind its use
        if isinstance(layer, nn.Conv2d | nn.Linear):
            last = position == len(network) - 1
            scale = 1.0 if last else float(np.quantile(value.clamp(min=0).numpy(), quantile))
            layer.weight *= before / scale
            layer.bias /= scale
            before = scale
    return network


def sinabs_network(calibration: Tensor) -> Scores:
    with torch.no_grad():
        weights = normalised(calibration)
    network = sinabs.from_torch.from_model(weights, batch_size=BATCH).spiking_model
    return summed(network, lambda: sinabs.utils.reset_states(network))


def accuracy_over_time(scores: Scores, images: Tensor, labels: Tensor) -> dict[int, float]:
    correct = dict.fromkeys(STEPS, 0)
    with torch.no_grad():
        for some, truth in zip(images.split(BATCH), labels.split(BATCH), strict=True):
            for step, found in scores(some).items():
                correct[step] += int((found.argmax(1) == truth).sum())
    return {step: count / len(labels) for step, count in correct.items()}


def ours(calibration: np.ndarray, images: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    found = {}
    for timesteps in OURS:
        with tempfile.TemporaryDirectory() as folder:
            snn = Path(folder) / "snn.onnx"
            network = DIGITS / "digits_relu.onnx"
            onnx2snn.convert(network, calibrate={"image": calibration}, timesteps=timesteps).save(snn)
            answers = (
                SpikingSession(snn, execution="fused")
                .run({"image": images}, count="spikes")
                .outputs["logits"]
            )
        found[timesteps] = float(np.mean(answers.argmax(1) == labels))
    return found


def measure() -> dict[str, object]:
    with np.load(DIGITS / "digits.npz") as digits, np.load(DIGITS / "calibration.npz") as calibration:
        images, labels, some = digits["image"], digits["labels"].astype(np.int64), calibration["image"]
    batches = list(torch.from_numpy(some).split(64))
    recipes = ann2snn.RateCodingRecipe
    tools: dict[str, Callable[[], Scores]] = {
        "SpikingJelly, largest activation": lambda: spikingjelly(recipes(batches, mode="Max")),
        "SpikingJelly, 99.9 % quantile": lambda: spikingjelly(recipes(batches, mode="99.9%")),
        "SpikingJelly, by channel, half threshold": lambda: spikingjelly(
            recipes(batches, mode="99.9%", channel_wise=True, half_threshold=True)
        ),
        "Sinabs, normalised weights": lambda: sinabs_network(torch.from_numpy(some)),
    }
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    found: dict[str, object] = {}
    for name, make in tools.items():
        torch.manual_seed(0)
        found[name] = accuracy_over_time(make(), x, y)
        print(name, found[name], flush=True)
    with torch.no_grad():
        found["source"] = float((relu_network()(x).argmax(1) == y).float().mean())
    found["onnx2snn, calibrated"] = ours(some, images, labels)
    print("onnx2snn", found["onnx2snn, calibrated"], "source", found["source"])
    found["versions"] = {name: version(name) for name in ("onnx2snn", "spikingjelly", "sinabs", "torch")}
    return found


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    torch.set_num_threads(1)
    RESULTS.write_text(json.dumps(measure(), indent=1) + "\n")


if __name__ == "__main__":
    main()
