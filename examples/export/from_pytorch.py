"""PyTorch: train a small network with QCFS activations, export it with both exporters, convert, verify.

    pip install onnx2snn torch onnxscript
    python examples/export/from_pytorch.py

Three things matter for the export: evaluation mode, so that batch norm is affine; a dynamic batch axis, so that batches of
any size can be run; and no straight-through trick in the exported graph, whose x + (q − x) is not q in floating point.
"""

from __future__ import annotations

from pathlib import Path

import torch
from digits import LEVELS, convert_and_verify, folder_from_command_line, load_digits
from torch import Tensor, nn


class QCFS(nn.Module):
    """λ · clip(⌊x·K/λ + 1/2⌋, 0, K) / K, with a λ that learns; straight through in training."""

    def __init__(self, ceiling: float = 3.0) -> None:
        super().__init__()
        self.ceiling = nn.Parameter(torch.tensor(ceiling))

    def forward(self, x: Tensor) -> Tensor:
        scaled = x / self.ceiling * LEVELS + 0.5
        level = scaled.floor()
        if self.training:
            level = scaled + (level - scaled).detach()
        return level.clamp(0, LEVELS) * (self.ceiling / LEVELS)


def make_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        QCFS(),
        nn.AvgPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        QCFS(),
        nn.MaxPool2d(7),
        nn.Flatten(),
        nn.Linear(24, 10),
    )


def train(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(8):
        for batch in torch.randperm(len(images)).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimiser.step()


def export(network: nn.Module, path: Path, *, dynamo: bool) -> None:
    sample = torch.zeros(2, 1, 14, 14)
    batch = (
        {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},)}
        if dynamo
        else {"dynamic_axes": {"image": {0: "batch"}}, "opset_version": 17}
    )
    torch.onnx.export(
        network, (sample,), str(path), dynamo=dynamo, input_names=["image"], output_names=["logits"], **batch
    )


def main() -> None:
    folder = folder_from_command_line(__doc__)
    torch.manual_seed(0)
    images, labels, test_images, test_labels = load_digits()
    network = make_network()
    train(network, torch.from_numpy(images), torch.from_numpy(labels))
    network.eval()
    for name, dynamo in (("torchscript", False), ("dynamo", True)):
        path = folder / f"pytorch_{name}.onnx"
        export(network, path, dynamo=dynamo)
        convert_and_verify(path, test_images, test_labels, input_name="image")


if __name__ == "__main__":
    main()
