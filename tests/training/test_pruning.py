import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from onnx2snn.training import QCFS, SpikeMeter, SynapsePruning, fan_out, operations  # noqa: E402
from onnx2snn.training.pruning import class_answers, fisher_information, value_answers  # noqa: E402

pytestmark = pytest.mark.train


def small() -> nn.Sequential:
    """Pools, strides, borders, groups, a batch norm between neuron and synapse, and an analog first layer."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), QCFS(levels=7, threshold=1.0), nn.AvgPool2d(2), nn.BatchNorm2d(4),
        nn.Conv2d(4, 6, 3, stride=2, groups=2), QCFS(levels=3, channels=6, threshold=0.5), nn.Flatten(), nn.Linear(24, 5),
    ).eval()  # fmt: skip


def images(count: int = 16) -> Tensor:
    return torch.rand(count, 1, 10, 10, generator=torch.Generator().manual_seed(1)) * 2


def synops(model: nn.Module, x: Tensor) -> float:
    """By the fan-out of every neuron."""
    with torch.no_grad(), SpikeMeter(model, cost=fan_out(model, x)) as meter:
        model(x)
    return meter.total


def test_operations_of_synapses_add_up_to_those_of_neurons() -> None:
    model, x = small(), images()
    carried = operations(model, x)
    assert not carried["0"].any()  # its input is analog
    assert sum(float(values.sum()) for values in carried.values()) == pytest.approx(synops(model, x))


@pytest.mark.parametrize("where", ["4", "7"])
def test_a_synapse_that_is_gone_saves_what_it_carried(where: str) -> None:
    model, x = small(), images()
    carried, before = operations(model, x)[where], synops(model, x)
    weight = model.get_submodule(where).weight
    at = np.unravel_index(int(carried.argmax()), carried.shape)
    spikes_behind = {"4": True, "7": False}[where]  # the next neurons change, too
    with torch.no_grad():
        weight[at] = 0
    if not spikes_behind:
        assert before - synops(model, x) == pytest.approx(float(carried[at]))
    assert operations(model, x)[where][at] == 0


def test_fisher_information_of_a_linear_model_is_known() -> None:
    """Softmax of Wx: F = E[x² p (1 − p)]; of values with variance σ²: E[x²]/σ²."""
    torch.manual_seed(0)
    model, x = nn.Linear(3, 4), torch.randn(4096, 3)
    generator = torch.Generator().manual_seed(3)
    found = fisher_information(model, x, class_answers(), generator)[""]
    share = model(x).softmax(dim=1).detach()
    expected = (share * (1 - share)).T @ x**2 / len(x)
    torch.testing.assert_close(found, expected, rtol=0.15, atol=0.01)
    found = fisher_information(model, x, value_answers(0.25), generator)[""]
    torch.testing.assert_close(found, (x**2).mean(dim=0).expand(4, 3) / 0.25, rtol=0.15, atol=0.05)


def test_the_cheapest_synapses_go_and_stay_away() -> None:
    model, x = small(), images()
    before = synops(model, x)
    carried = operations(model, x)
    with SynapsePruning(model, 1e-3) as pruning:
        assert pruning.kept == 1
        pruning.drop(x)
        assert 0 < pruning.kept < 1
        assert synops(model, x) < before
        gone = {name: model.get_submodule(name).weight == 0 for name in carried}
        assert not gone["0"].any()  # analog synapses cost no synaptic operations
        assert gone["4"].any()
        optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            model(x).square().sum().backward()
            optimiser.step()
    assert all(torch.equal(model.get_submodule(n).weight == 0, mask) for n, mask in gone.items())


def test_what_is_free_of_charge_stays() -> None:
    model, x = small(), images()
    with SynapsePruning(model, 0.0) as pruning:
        pruning.drop(x)
        assert pruning.kept == 1


def test_a_state_can_be_gone_on_from() -> None:
    x, states = images(), []
    for interrupted in (False, True):
        model = small()
        pruning = SynapsePruning(model, 1e-3)
        pruning.drop(x, 0.3)
        if interrupted:
            state = pruning.state_dict()
            pruning.remove()
            pruning = SynapsePruning(model, 1e-3, seed=7)
            pruning.load_state_dict(state)
        pruning.drop(x)
        pruning.remove()
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
