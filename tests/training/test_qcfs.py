import numpy as np
import pytest

torch = pytest.importorskip("torch")

from onnx2snn.training import QCFS  # noqa: E402

pytestmark = pytest.mark.train


def test_it_is_the_staircase_of_its_docstring() -> None:
    z = torch.linspace(-1, 5, 1001)
    activation = QCFS(levels=15, threshold=3.0)
    step = 3.0 / 15
    expected = (torch.floor(z / step + 0.5).clamp(0, 15) * step).numpy()
    np.testing.assert_array_equal(activation(z).detach().numpy(), expected)
    with torch.no_grad():
        np.testing.assert_array_equal(activation(z).numpy(), expected)
    np.testing.assert_array_equal(activation.level(z).numpy(), np.rint(expected / step))


def test_the_gradient_passes_inside_the_clip_range_only() -> None:
    z = torch.tensor([-0.5, 0.1, 1.0, 2.9, 3.5], requires_grad=True)
    QCFS(levels=15, threshold=3.0)(z).sum().backward()
    assert z.grad.tolist() == [0, 1, 1, 1, 0]


def test_the_threshold_gets_its_own_gradient() -> None:
    activation = QCFS(levels=3, threshold=3.0)
    activation(torch.tensor([-1.0, 0.7, 5.0])).sum().backward()
    inside = (1.0 - 0.7) / 3.0  # 0.7 lies on level 1
    assert activation.threshold.grad.item() == pytest.approx(0 + inside + 1)


def test_the_threshold_gradient_is_the_slope_of_the_smoothed_staircase() -> None:
    """With the steps smoothed to slope 1, a = λ·u + (what rounding added, held still)·λ."""
    z, ceiling = 1.234, 2.0
    activation = QCFS(levels=7, threshold=ceiling)
    out = activation(torch.tensor([z]))
    out.sum().backward()
    rounded = out.item() / ceiling - z / ceiling
    smooth = lambda value: value * (z / value + rounded)  # noqa: E731
    difference = (smooth(ceiling + 1e-4) - smooth(ceiling - 1e-4)) / 2e-4
    assert activation.threshold.grad.item() == pytest.approx(difference, abs=1e-6)


def test_each_channel_has_its_threshold() -> None:
    activation = QCFS(levels=3, threshold=1.0, channels=2)
    activation.set_threshold(torch.tensor([3.0, 6.0]))
    out = activation(torch.full((1, 2, 2, 2), 4.0))
    assert out[0, :, 0, 0].tolist() == [3.0, 4.0]
    out.sum().backward()
    assert activation.threshold.grad.shape == (2,)
    assert activation.threshold.grad[0] == 4


def test_gradients_of_each_channel_are_those_of_it_alone() -> None:
    thresholds, z = torch.tensor([0.7, 2.0, 5.0]), torch.linspace(-1, 6, 60).reshape(4, 3, 5).requires_grad_()
    together = QCFS(levels=7, channels=3)
    together.set_threshold(thresholds)
    weights = torch.arange(60.0).reshape(4, 3, 5)
    (together(z) * weights).sum().backward()
    for channel in range(3):
        alone, part = QCFS(levels=7), z.detach()[:, channel].requires_grad_()
        alone.set_threshold(thresholds[channel])
        (alone(part) * weights[:, channel]).sum().backward()
        assert alone.threshold.grad.item() == pytest.approx(together.threshold.grad[channel].item(), rel=1e-5)
        torch.testing.assert_close(part.grad, z.grad[:, channel], rtol=0, atol=0)


def test_a_step_of_the_optimiser_cannot_turn_the_threshold_negative() -> None:
    activation = QCFS(levels=3, threshold=1.0)
    with torch.no_grad():
        activation.threshold.fill_(-5.0)
    assert torch.isfinite(activation(torch.ones(3))).all()
    assert activation.threshold.item() > 0


@pytest.mark.parametrize("options", [{"levels": 0}, {"threshold": 0.0}, {"threshold": float("nan")}])
def test_nonsense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"positive|at least"):
        QCFS(**options)
