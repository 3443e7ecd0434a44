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
    """Central differences on b_j, drawn as a line from the cheapest code below to the level."""
    slopes, step = bit_slopes(levels), 1e-3
    for k, q in enumerate(cheapest_codes(levels).tolist()):
        for j in range(levels.bit_length()):
            there, here = (q >> j) & 1, (k >> j) & 1
            position = (k + q) / 2
            smooth = lambda u: np.interp(u, [q, k], [there, here]) if k > q else 0.0  # noqa: B023, E731
            difference = (smooth(position + step) - smooth(position - step)) / (2 * step)
            assert slopes[k, j].item() == pytest.approx(difference, abs=1e-6)


def test_the_slope_pulls_down_and_hardest_on_cheap_spikes() -> None:
    slopes = bit_slopes(15).sum(1)
    assert slopes[0] == 0
    assert (slopes[1:] > 0).all()
    assert slopes[9] == 1
    assert slopes[8] == 1 / 8


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
