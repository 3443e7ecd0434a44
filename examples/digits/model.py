"""The digits network: three convolutions with batch norm, average pooling, two linear layers."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from onnx2snn.training import QCFS

#: Highest level: four bits, so T = 4 time steps.
LEVELS = 15


def digits_network(activation: Callable[[], nn.Module] = lambda: QCFS(levels=LEVELS)) -> nn.Sequential:
    """An untrained network for images (N, 1, 28, 28), float32 in 0..1; it gives ten logits.

    Args:
        activation: Makes each hidden activation; ``nn.ReLU`` for the plain twin.
    """

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), activation(), nn.AvgPool2d(2)]

    return nn.Sequential(
        *block(1, 16),
        *block(16, 32),
        *block(32, 64),
        nn.Flatten(),
        nn.Linear(64 * 3 * 3, 64),
        activation(),
        nn.Linear(64, 10),
    )
