"""Programs of torch.export (``.pt2``) are read through torch."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import onnx2snn  # noqa: E402

pytestmark = pytest.mark.train


class Staircase(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(torch.floor(x * 4 + 0.5), 0, 15) / 4


def test_a_program_is_converted_and_certified(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), Staircase(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    shapes = ({0: torch.export.Dim("samples")},)
    program = torch.export.export(net, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=shapes)
    source = tmp_path / "net.pt2"
    torch.export.save(program, source)
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [15]
    x = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    certificate = onnx2snn.verify(source, conversion, x)
    assert certificate.lossless
    assert certificate.samples == 5


def test_a_damaged_program_is_named(tmp_path: Path) -> None:
    source = tmp_path / "net.pt2"
    source.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(onnx2snn.InvalidModelError):
        onnx2snn.convert(source)
