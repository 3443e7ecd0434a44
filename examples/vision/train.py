"""Train a small vision transformer and a small MobileNetV3 on digits, in 8 bits and in 4, and export them.

    python examples/vision/train.py --data mnist.npz --epochs 24

writes vit_8.onnx, vit_4.onnx, mobilenet_8.onnx and mobilenet_4.onnx next to this script: trained in floats, then with
quantisers, which learn their scales.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from digits.train import Digits, load, shift_and_rotate  # noqa: E402 - its folder is no package
from vision.networks import NETWORKS, Quantiser  # noqa: E402

BATCH = 64


def train(network: nn.Module, digits: Digits, epochs: int, rate: float) -> None:
    """Adam; the rate falls along a cosine."""
    draws = torch.Generator().manual_seed(1)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-3)
    steps = epochs * (len(digits) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(digits), generator=draws)
        for chosen in order[: len(digits) // BATCH * BATCH].split(BATCH):
            images = shift_and_rotate(digits.images[chosen], draws)
            loss = functional.cross_entropy(network(images), digits.labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    network.eval()


def accuracy(network: nn.Module, digits: Digits) -> float:
    """Of the test digits."""
    with torch.no_grad():
        return float((network(digits.images).argmax(1) == digits.labels).float().mean())


def in_bits(network: nn.Module, bits: int) -> None:
    """Switch the quantisers on; they find their scales anew."""
    for module in network.modules():
        if isinstance(module, Quantiser):
            module.bits = bits
            module.scale.data.zero_()


def export(network: nn.Module, path: Path) -> None:
    """An ordinary ONNX file of float operators."""
    image: Tensor = torch.zeros(2, 1, 28, 28)
    axes = {"image": {0: "N"}, "logits": {0: "N"}}
    torch.onnx.export(
        network, (image,), str(path), input_names=["image"], output_names=["logits"],
        dynamic_axes=axes, opset_version=17, dynamo=False,
    )  # fmt: skip


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    digits, test = load(options.data)
    for name, make in NETWORKS.items():
        if options.only not in name:
            continue
        torch.manual_seed(0)
        network = make(0)
        train(network, digits, options.epochs, 3e-3)
        print(f"{name}: {accuracy(network, test):.2%} in floats", flush=True)
        for bits in (8, 4):
            in_bits(network, bits)
            train(network, digits, max(2, options.epochs // 3), 5e-4 if bits == 8 else 1e-3)
            print(f"{name}: {accuracy(network, test):.2%} in {bits} bits", flush=True)
            export(network, HERE / f"{name}_{bits}.onnx")


if __name__ == "__main__":
    main()
