"""The runs of benchmarks/sparsity.py: what is trained, how, and what is measured afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "examples" / "digits")]

from model import digits_network  # noqa: E402 - the example's own folder
from train import Digits, load, train  # noqa: E402

from onnx2snn.training import QCFS, FineGrainedL1, SpikeMeter, SynapsePruning, fan_out, pressure  # noqa: E402

STATES = ROOT / "benchmarks" / "results" / "states"

DENSE_EPOCHS, EPOCHS = 8, 12
DENSE_RATE, RATE = 3e-3, 4e-3  # highest learning rates
RAMP = 0.7  # share of the steps over which the penalty grows
PRUNING_DIGITS = 512  # what synapses carry, and what they are worth, is measured on so many
HELD_OUT = 8  # one in so many of the training digits, the last ones, is tested on instead
MULTIPLY_ACCUMULATE, ACCUMULATE = 4.6e-12, 0.9e-12  # joules, 45 nm (Horowitz, ISSCC 2014)


class PlainL1(FineGrainedL1):
    """weight · Σ k: the level itself, with the straight-through slope of the staircase, 1 above zero."""

    def costs(self, levels: int) -> tuple[Tensor, Tensor]:
        """Level and slope of each level."""
        codes = torch.arange(levels + 1).float()
        return codes, (codes > 0).float()


@dataclass(frozen=True)
class Run:
    """One training: what was asked for."""

    method: str  # none, l1, fg; fg-synops: spikes weighted by fan-out; l1-pressed: with pressure
    weight: float
    timesteps: int
    seed: int
    pruning: float = 0.0  # loss per synaptic operation below which a synapse is dropped

    @property
    def state(self) -> Path:
        """Where its trained network lies."""
        pruned = f"-pruned-{self.pruning:g}" if self.pruning else ""
        return STATES / f"{self.method}-{self.weight:g}-{self.timesteps}-{self.seed}{pruned}.pt"


@dataclass(frozen=True)
class Outcome:
    """What came of it, on the test digits.

    Attributes:
        accuracy: 0..1.
        loss: Cross-entropy, nats: a finer measure of the same.
        spikes: Per image.
        spikes_per_neuron: Over all T time steps.
        synops: Synaptic operations per image.
        synapses: The share of weights that is left, 0..1.
        energy: Joules per image of the spiking network.
        ann_energy: Of its source network.
        seconds: Processor time of the training.
    """

    accuracy: float
    loss: float
    spikes: float
    spikes_per_neuron: float
    synops: float
    synapses: float
    energy: float
    ann_energy: float
    seconds: float


@lru_cache(maxsize=1)
def digits_of(path: Path) -> tuple[Digits, Digits]:
    """To train on and to test on: the test digits and the last of the training digits."""
    digits, test = load(path)
    kept = len(digits) - len(digits) // HELD_OUT
    return (
        Digits(digits.images[:kept], digits.labels[:kept]),
        Digits(
            torch.cat([test.images, digits.images[kept:]]), torch.cat([test.labels, digits.labels[kept:]])
        ),
    )


def network(timesteps: int) -> nn.Sequential:
    return digits_network(lambda: QCFS(levels=2**timesteps - 1))


def dense(timesteps: int, seed: int, digits: Digits) -> Mapping[str, Tensor]:
    """The unregularised network that all runs of this T and seed start from; kept once it is trained."""
    path = STATES / f"dense-{timesteps}-{seed}.pt"
    if not path.exists():
        torch.manual_seed(seed)
        model = network(timesteps)
        train(model, digits, epochs=DENSE_EPOCHS, seed=seed, learning_rate=DENSE_RATE)
        keep(model, path)
    state: Mapping[str, Tensor] = torch.load(path, weights_only=True)
    return state


def keep(model: nn.Module, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(model.state_dict(), partial)
    partial.replace(path)


class Growing:
    """A penalty that grows linearly to its full weight."""

    def __init__(self, cost: FineGrainedL1, steps: int) -> None:
        self.cost, self._steps, self._done = cost, steps, 0

    def __call__(self) -> Tensor:
        """The penalty of this step."""
        self._done += 1
        return min(1.0, self._done / (RAMP * self._steps)) * self.cost()


def perform(run: Run, data: Path) -> Outcome:
    """Train and measure, on one thread: processes share the cores, and a seed gives the same result again."""
    torch.set_num_threads(1)
    digits, test = digits_of(data)
    model = network(run.timesteps)
    model.load_state_dict(dense(run.timesteps, run.seed, digits))
    began = time.process_time()
    steps = EPOCHS * -(-len(digits) // 64)
    penalty = Growing(penalty_of(run, model, digits.images), steps) if run.weight else None
    with SynapsePruning(model, run.pruning, seed=run.seed) as pruning:

        def drop(epoch: int, _loss: float) -> None:
            """Behind each epoch of the ramp; what a spike costs is less then."""
            if run.pruning and epoch < RAMP * EPOCHS:
                pruning.drop(digits.images[:PRUNING_DIGITS], min(1.0, (epoch + 1) / (RAMP * EPOCHS)))
                if penalty is not None and penalty.cost.fan_out is not None:
                    penalty.cost.fan_out = fan_out(model, digits.images)

        seed = run.seed + 100
        train(model, digits, epochs=EPOCHS, seed=seed, penalty=penalty, learning_rate=RATE, report=drop)
    if penalty is not None:
        penalty.cost.remove()
    keep(model, run.state)
    return measure(model, test, time.process_time() - began)


def penalty_of(run: Run, model: nn.Module, images: Tensor) -> FineGrainedL1:
    """Plain L1, with pressure if asked for, or fine-grained L1 that presses by fan-out."""
    if run.method == "l1":
        return PlainL1(model, run.weight)
    synapses = fan_out(model, images)
    kind = PlainL1 if run.method == "l1-pressed" else FineGrainedL1
    costs = synapses if run.method == "fg-synops" else None
    return kind(model, run.weight, fan_out=costs, pressure=pressure(synapses))


def prepare(timesteps: int, seed: int, data: Path) -> None:
    """Have the network that others start from."""
    torch.set_num_threads(1)
    dense(timesteps, seed, digits_of(data)[0])


def measure(model: nn.Sequential, test: Digits, seconds: float) -> Outcome:
    model.eval()
    with torch.no_grad(), SpikeMeter(model) as meter:
        answers = torch.cat([model(part) for part in test.images.split(500)])
    synapses = fan_out(model, test.images)
    with torch.no_grad(), SpikeMeter(model, cost=synapses) as operations:  # each spike where it is
        for part in test.images.split(500):
            model(part)
    analog, all_macs = multiply_accumulates(model, test.images[:1])
    return Outcome(
        accuracy=float((answers.argmax(1) == test.labels).double().mean()),
        loss=float(functional.cross_entropy(answers, test.labels)),
        spikes=meter.total,
        spikes_per_neuron=meter.total / sum(meter.neurons.values()),
        synops=operations.total,
        synapses=_synapses_left(model),
        energy=operations.total * ACCUMULATE + analog * MULTIPLY_ACCUMULATE,
        ann_energy=all_macs * MULTIPLY_ACCUMULATE,
        seconds=round(seconds, 1),
    )


def _synapses_left(model: nn.Sequential) -> float:
    weights = [m.weight for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(float((w != 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def multiply_accumulates(model: nn.Sequential, image: Tensor) -> tuple[int, int]:
    """Of the first layer, whose input is analog, and of all layers, for one image."""
    counts: list[int] = []

    def watch(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        per_output = module.weight[0].numel()  # type: ignore[union-attr, operator]
        counts.append(output[0].numel() * per_output)

    hooks = [m.register_forward_hook(watch) for m in model if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        model(image)
    for hook in hooks:
        hook.remove()
    return counts[0], sum(counts)
