"""Train the digits network on real handwritten digits and export it as an ordinary ONNX file.

    python examples/digits/train.py --data mnist.npz

writes digits.onnx (QCFS, K = 15) and its plain twin digits_relu.onnx, the test digits digits.npz and
calibration.npz (256 training digits without labels) next to this script. About five minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from model import digits_network  # noqa: E402 - its folder is no package

from onnx2snn.training import export_onnx  # noqa: E402

BATCH = 64
CALIBRATION_DIGITS = 256
Penalty = Callable[[], Tensor]


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 28, 28), float32 in 0..1, and their classes (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def load(path: Path) -> tuple[Digits, Digits]:
    """The digits to train on and those to test on, of an .npz with the four usual uint8 arrays."""
    with np.load(path) as arrays:
        parts = [(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test")]
    train, test = (Digits(to_images(images), torch.as_tensor(labels).long()) for images, labels in parts)
    return train, test


def to_images(pixels: np.ndarray) -> Tensor:
    return torch.as_tensor(pixels).reshape(-1, 1, 28, 28).float() / 255


def shift_and_rotate(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image turned by up to 12°, scaled by up to 10 % and moved by up to two pixels."""
    angle, scale, *shift = (2 * torch.rand(4, len(images), generator=generator) - 1).unbind()
    angle, scale = angle * math.radians(12), 1 + 0.1 * scale
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = [torch.stack([cosine, -sine, shift[0] / 7], 1), torch.stack([sine, cosine, shift[1] / 7], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def batches(
    digits: Digits, generator: torch.Generator, *, augment: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order, each digit a little different from the last time if ``augment``."""
    for chosen in torch.randperm(len(digits), generator=generator).split(BATCH):
        images = digits.images[chosen]
        yield shift_and_rotate(images, generator) if augment else images, digits.labels[chosen]


def train(
    model: nn.Module,
    digits: Digits,
    *,
    epochs: int,
    seed: int,
    penalty: Penalty | None = None,
    learning_rate: float = 3e-3,
    augment: bool = True,
    report: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> None:
    """Adam with one cycle of the learning rate; ``penalty`` is added to the loss after each forward pass."""
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(digits) / BATCH)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for images, labels in batches(digits, generator, augment=augment):
            loss = functional.cross_entropy(model(images), labels)
            if penalty is not None:
                loss = loss + penalty()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        report(epoch, total * BATCH / len(digits))


@torch.no_grad()
def accuracy(model: nn.Module, digits: Digits) -> float:
    """The share of ``digits`` that is classified correctly."""
    model.eval()
    answers = torch.cat([model(part).argmax(1) for part in digits.images.split(500)])
    return float((answers == digits.labels).double().mean())


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", type=Path, default=HERE / "mnist.npz", help="default: %(default)s")
    options.add_argument("--output", type=Path, default=HERE, help="folder of the results")
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    digits, test = load(chosen.data)
    write_digits(chosen.output, digits, test)
    for name, network in {"digits": digits_network, "digits_relu": lambda: digits_network(nn.ReLU)}.items():
        torch.manual_seed(chosen.seed)
        model = network()
        train(
            model,
            digits,
            epochs=chosen.epochs,
            seed=chosen.seed,
            report=lambda e, x: print(e + 1, f"{x:.4f}"),
        )
        print(f"{name}: {accuracy(model, test):.2%} of {len(test)} test digits")
        path = chosen.output / f"{name}.onnx"
        export_onnx(model, test.images[:2], path, input_name="image", output_name="logits")


def write_digits(folder: Path, digits: Digits, test: Digits) -> None:
    """The test digits with labels, and some training digits, without, to calibrate with."""
    np.savez_compressed(folder / "digits.npz", image=test.images.numpy(), labels=test.labels.numpy())
    np.savez_compressed(folder / "calibration.npz", image=digits.images[:CALIBRATION_DIGITS].numpy())


if __name__ == "__main__":
    main()
