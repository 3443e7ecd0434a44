import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from onnx2snn.training import (  # noqa: E402
    QCFS,
    FineGrainedL1,
    SpikeMeter,
    bit_slopes,
    cheapest_codes,
    fan_out,
    popcount,
    pressure,
)

pytestmark = pytest.mark.train


def ones(k: int) -> int:
    return sum(int(digit) for digit in f"{k:b}")


def test_popcount_counts_ones() -> None:
    levels = torch.arange(1 << 12)
    assert popcount(levels).tolist() == [ones(k) for k in range(1 << 12)]


@pytest.mark.parametrize("levels", [1, 2, 3, 7, 10, 15, 255])
def test_no_code_below_saves_more_spikes_per_level(levels: int) -> None:
    for k, q in enumerate(cheapest_codes(levels).tolist()):
        rates = [(ones(k) - ones(other)) / (k - other) for other in range(k)]
        assert k == q == 0 or (ones(k) - ones(q)) / (k - q) == max(rates)


@pytest.mark.parametrize("levels", [1, 5, 15, 31])
def test_each_bit_has_the_slope_of_the_smoothed_bit(levels: int) -> None:
    """Central differences on b_j, drawn as a line from the cheapest code below to the code."""
    slopes, step = bit_slopes(levels), 1e-3
    for r, q in enumerate(cheapest_codes(levels).tolist()):
        for j in range(levels.bit_length()):
            there, here = (q >> j) & 1, (r >> j) & 1
            position = (r + q) / 2
            smooth = lambda line: np.interp(line, [q, r], [there, here]) if r > q else 0.0  # noqa: B023, E731
            difference = (smooth(position + step) - smooth(position - step)) / (2 * step)
            assert slopes[r, j].item() == pytest.approx(difference, abs=1e-6)


def smoothed_spikes(z: np.ndarray, threshold: float, levels: int) -> float:
    """Σ over neurons of the smoothed bits along κ = z/θ: from each code to the next, the lowest bit is a line."""
    lowest = [0, *(code & -code for code in range(1, levels + 1))]
    codes = np.cumsum([0, *(1 / bit for bit in lowest[1:])])
    return float(np.interp(z * levels / threshold, np.arange(levels + 1), codes).sum())


@pytest.mark.parametrize("levels", [3, 15])
def test_the_gradients_are_those_of_the_smoothed_spikes(levels: int) -> None:
    """Sign and scale, by central differences: in each z, in λ, and in each channel's λ."""
    z = torch.linspace(-0.63, 2.91, 48).reshape(2, 3, 8).requires_grad_()
    activation, step = QCFS(levels=levels, threshold=3.0, channels=3), 1e-3
    with FineGrainedL1(activation, 0.5) as penalty:
        activation(z)
        penalty().backward()
    values = z.detach().numpy().astype(np.float64)
    for position in np.ndindex(values.shape):
        up, down = (smoothed_spikes(values[position] + sign * step, 3.0, levels) for sign in (1, -1))
        assert z.grad[position].item() == pytest.approx(
            0.5 / 2 * (up - down) / (2 * step), rel=1e-3, abs=1e-6
        )
    for channel in range(3):
        up, down = (smoothed_spikes(values[:, channel], 3.0 + sign * step, levels) for sign in (1, -1))
        expected = 0.5 / 2 * (up - down) / (2 * step)
        assert activation.threshold.grad[channel].item() == pytest.approx(expected, rel=1e-2)
    activation_of_all = QCFS(levels=levels, threshold=3.0)
    with FineGrainedL1(activation_of_all, 0.5) as penalty:
        activation_of_all(z)
        penalty().backward()
    assert activation_of_all.threshold.grad.item() == pytest.approx(activation.threshold.grad.sum().item())


def test_the_slope_pulls_down_and_hardest_on_cheap_spikes() -> None:
    slopes = bit_slopes(15).sum(1)
    assert slopes[0] == 0
    assert (slopes[1:] > 0).all()
    assert slopes[9] == 1
    assert slopes[8] == 1 / 8


def test_the_penalty_acts_where_the_gradient_of_the_loss_does() -> None:
    """Silent below θ/2, but on the way to the first spike; nothing at and below zero."""
    z = torch.tensor([-0.2, 0.0, 0.2, 0.4, 0.8, 9.0], requires_grad=True)
    activation = QCFS(levels=3, threshold=3.0)
    with FineGrainedL1(activation, 6.0) as penalty:
        activation(z)
        cost = penalty()
    cost.backward()
    assert cost.item() == 0 + 0 + 0 + 0 + 1 + 2
    assert z.grad.tolist() == [0, 0, 1, 1, 1, 1]


def small() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, padding=1), QCFS(levels=15), nn.AvgPool2d(2), nn.Conv2d(3, 4, 3, stride=2)]
    return nn.Sequential(*layers, QCFS(levels=7, channels=4), nn.Flatten(), nn.Linear(16, 5))


def test_the_penalty_is_the_mean_number_of_spikes() -> None:
    model, x = small(), torch.rand(6, 1, 10, 10) * 4
    with FineGrainedL1(model, 0.5) as penalty:
        model(x)
        counted = penalty().item()
        assert penalty().item() == 0
    model.eval()
    with SpikeMeter(model) as meter:
        model(x)
    assert counted == pytest.approx(0.5 * meter.total)
    assert meter.neurons == {"1": 300, "4": 16}


def test_the_gradient_lowers_the_number_of_spikes() -> None:
    model, x = small(), torch.rand(32, 1, 10, 10) * 4
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4)
    with FineGrainedL1(model, 1.0) as penalty:
        counts = []
        for _ in range(20):
            model(x)
            cost = penalty()
            optimiser.zero_grad()
            cost.backward()
            optimiser.step()
            counts.append(cost.item())
    assert counts[-1] < 0.8 * counts[0]


def test_fan_out_counts_every_synapse_of_every_neuron() -> None:
    model, x = small().eval(), torch.rand(1, 1, 10, 10)
    counted = fan_out(model, x)
    assert counted["4"].eq(5).all()
    expected = torch.zeros(10, 10)
    for row in range(2):  # outputs of the second convolution, on the pooled 5 x 5 picture
        for column in range(2):
            expected[4 * row : 4 * row + 6, 4 * column : 4 * column + 6] += 4
    assert counted["1"].shape == (3, 10, 10)
    np.testing.assert_array_equal(counted["1"][0].numpy(), expected.numpy())


def test_a_weight_of_zero_is_no_synapse() -> None:
    model = small().eval()
    with torch.no_grad():
        model[6].weight[:, 3] = 0
    assert fan_out(model, torch.rand(1, 1, 10, 10))["4"].flatten()[3] == 0


def test_synaptic_operations_weigh_each_spike() -> None:
    model, x = small().eval(), torch.rand(4, 1, 10, 10) * 4
    costs = fan_out(model, x)
    with SpikeMeter(model, cost=costs) as meter:
        model(x)
    with torch.no_grad():
        first = popcount(model[1].level(model[0](x)))
    assert meter.spikes["1"] == int((first * costs["1"]).sum())


def test_pressure_is_higher_where_a_spike_reaches_few_synapses() -> None:
    fed = {"a": torch.tensor([8.0, 2.0, 0.0]), "b": torch.tensor([2.0])}
    pressed = pressure(fed, exponent=0.5)
    expected = [(f / 3) ** -0.5 for f in (8, 2, 2)]  # nothing fed: as the least
    assert pressed["a"].tolist() == pytest.approx(expected)
    assert pressed["b"].tolist() == pytest.approx(expected[1:2])
    assert all(values.eq(1).all() for values in pressure(fed, exponent=0).values())


def test_pressure_scales_gradients_and_leaves_the_count() -> None:
    """Each neuron's gradient times its own factor; the threshold gathers the scaled ones."""
    z = torch.linspace(-1, 9, 24).reshape(2, 3, 4)
    factors = torch.linspace(0.5, 3, 12).reshape(3, 4)
    activation = nn.Sequential(QCFS(levels=15, threshold=6.0, channels=3))
    found = []
    for factor in (None, {"0": factors}):
        x = z.clone().requires_grad_()
        activation.zero_grad()
        with FineGrainedL1(activation, 0.5, pressure=factor) as penalty:
            activation(x)
            cost = penalty()
            cost.backward()
        found.append((cost.item(), x.grad, activation[0].threshold.grad.clone()))
    (even, slopes, _), (pressed, scaled, threshold) = found
    assert pressed == even
    torch.testing.assert_close(scaled, slopes * factors)
    torch.testing.assert_close(threshold, -(scaled * z).sum((0, 2)) / 6.0)
