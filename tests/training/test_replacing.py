"""The thresholds to begin with: quantiles of all that was seen, whatever its order."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from onnx2snn.training import QCFS, calibrate_thresholds  # noqa: E402
from onnx2snn.training.replacing import Sample  # noqa: E402

pytestmark = pytest.mark.train


def calibrated(batches: list[torch.Tensor], covered: float) -> float:
    return calibrate_thresholds(nn.Sequential(QCFS(levels=3)), batches, covered=covered)["0"]


@pytest.mark.parametrize("loud", [0, 11, 23])
def test_every_batch_counts_alike(loud: int) -> None:
    """One batch of 24 holds all extremes; 3 million values are more than are held."""
    generator = torch.Generator().manual_seed(loud)
    batches = [torch.rand(1000, 128, generator=generator) for _ in range(24)]
    batches[loud] += 100
    values = np.sort(torch.cat(batches).numpy().ravel())
    for covered in (0.5, 0.96, 0.999):
        found = calibrated(batches, covered)
        reached = np.searchsorted(values, found) / values.size
        assert abs(reached - covered) < 1e-5 + 0.05 * (1 - covered), covered
    assert calibrated(batches, 1) == values[-1]
    assert calibrated(batches, 0.999) == calibrated(batches, 0.999)


@pytest.mark.parametrize("period", [2, 3, 16, 55, 64, 89, 96, 768])
def test_no_channel_is_left_out(period: int) -> None:
    """Values that repeat, as rows and channels do: of each as many are held as of every other."""
    sample = Sample(limit=5000)
    for start in range(0, 10 * 38400, 38400):
        sample.add(torch.arange(start, start + 38400) % period * 1.0)
    held = np.bincount(sample._values.int().numpy(), minlength=period)
    assert sample.count == 384000
    assert 2500 <= held.sum() <= 5000
    assert held.min() > 0.4 * held.mean()


def test_few_values_are_all_held() -> None:
    batches = [torch.arange(1.0, 6.0), torch.tensor([-1.0, 0.0]), torch.arange(6.0, 12.0)]
    assert calibrated(batches, 0.5) == 6
    assert calibrate_thresholds(nn.Sequential(QCFS(levels=3)), [torch.zeros(3)]) == {}
