"""A torch module is converted as its exported file is."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import onnx2snn  # noqa: E402
from onnx2snn.runtime import SpikingSession  # noqa: E402
from onnx2snn.training import QCFS  # noqa: E402

pytestmark = pytest.mark.train


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), QCFS(levels=7, threshold=1.5), nn.Dropout(0.5), nn.Linear(8, 3))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Linear(4, 5), nn.Linear(3, 5), QCFS(levels=15, threshold=2.0)
        self.last = nn.Linear(5, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.last(self.act(self.first(left) + self.second(right)))


def test_a_module_is_exported_converted_and_verified() -> None:
    module, x = network().train(), torch.randn(20, 6)
    conversion = onnx2snn.convert(module, x)
    assert module.training
    assert onnx2snn.verify(conversion.source, conversion, x).lossless
    answers = SpikingSession(conversion).run(x).outputs
    with torch.no_grad():
        expected = module.eval()(x)
    np.testing.assert_allclose(next(iter(answers.values())), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("named", [False, True])
def test_inputs_have_the_names_of_parameters(named: bool) -> None:
    left, right = torch.randn(9, 4), torch.randn(9, 3)
    conversion = onnx2snn.convert(Two(), {"left": left, "right": right} if named else (left, right))
    data = {"left": left.numpy(), "right": right.numpy()}
    assert onnx2snn.verify(conversion.source, conversion, data).lossless


def test_a_float_module_is_calibrated() -> None:
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(64, 6)
    with pytest.raises(onnx2snn.ConversionError, match="calibrate"):
        onnx2snn.convert(module, x)
    conversion = onnx2snn.convert(module, x, calibrate=x, timesteps=4)
    assert onnx2snn.verify(conversion.source, conversion, x).lossless


def test_what_cannot_be_exported_says_so() -> None:
    with pytest.raises(onnx2snn.InputError, match="example inputs"):
        onnx2snn.convert(network())
    with pytest.raises(onnx2snn.InputError, match="no samples"):
        onnx2snn.convert(network(), torch.zeros(0, 6))
    with pytest.raises(onnx2snn.ConversionError, match="cannot export"):
        onnx2snn.convert(network(), torch.zeros(2, 5))
    with pytest.raises(onnx2snn.InputError, match="torch module") as caught:
        onnx2snn.verify(network(), network())
    assert ".source" in str(caught.value.remedy)
