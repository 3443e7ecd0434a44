"""Spikes against accuracy on real digits: fine-grained L1, plain L1 on levels, and neither.

    python benchmarks/sparsity.py --data mnist.npz

Every network starts from the unregularised one of its seed and T, and is trained for the same number of
epochs with the same images; only the penalty differs. Results go to benchmarks/results/sparsity.json after
each run, and a second call goes on where the first one stopped. `--plot` only draws docs/images/sparsity.svg
and prints the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "examples" / "digits"), str(Path(__file__).parent)]

from model import digits_network  # noqa: E402 - the example's own folder
from sparsity_plot import draw, table  # noqa: E402
from train import Digits, accuracy, load, train  # noqa: E402

from onnx2snn.training import QCFS, FineGrainedL1, SpikeMeter, export_onnx, fan_out  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "sparsity.json"
STATES = ROOT / "benchmarks" / "results" / "states"
PLOT = ROOT / "docs" / "images" / "sparsity.svg"

DENSE_EPOCHS, EPOCHS = 10, 12
RAMP = 0.7  # share of the steps over which the penalty grows
MULTIPLY_ACCUMULATE, ACCUMULATE = 4.6e-12, 0.9e-12  # joules, 45 nm (Horowitz, ISSCC 2014)


class PlainL1(FineGrainedL1):
    """weight · Σ k: the level itself, slope 1 wherever a neuron is not silent."""

    def costs(self, levels: int) -> tuple[Tensor, Tensor]:
        """Level and slope of each level."""
        codes = torch.arange(levels + 1).float()
        return codes, (codes > 0).float()


@dataclass(frozen=True)
class Run:
    """One training: what was asked for."""

    method: str  # none, fg, l1; with -synops: each spike weighted by its fan-out
    weight: float
    timesteps: int
    seed: int


#: The run whose network is examples/digits/digits_sparse.onnx.
SHIPPED = Run("fg", 1e-4, 4, 0)


def state_of(run: Run) -> Path:
    return STATES / f"{run.method}-{run.weight:g}-{run.timesteps}-{run.seed}.pt"


@dataclass(frozen=True)
class Outcome:
    """What came of it, on the test digits.

    Attributes:
        accuracy: 0..1.
        spikes: Per image.
        spikes_per_neuron: Over all T time steps.
        synops: Synaptic operations per image.
        energy: Joules per image of the spiking network.
        ann_energy: Of its source network.
        seconds: Training time.
    """

    accuracy: float
    spikes: float
    spikes_per_neuron: float
    synops: float
    energy: float
    ann_energy: float
    seconds: float


def plan(seeds: int) -> Iterator[Run]:
    """All runs, the most telling first."""
    for seed in range(seeds):
        yield Run("none", 0.0, 4, seed)
        for weight in (5e-5, 1e-4):
            yield Run("fg", weight, 4, seed)
            yield Run("l1", weight / 2, 4, seed)
        if seed == 0:
            for weight in (2e-7, 5e-7):
                yield Run("fg-synops", weight, 4, seed)
                yield Run("l1-synops", weight / 2, 4, seed)
    for timesteps in (3, 2):
        yield Run("none", 0.0, timesteps, 0)
        yield Run("fg", 5e-5, timesteps, 0)
        yield Run("l1", 5e-5, timesteps, 0)


def network(timesteps: int) -> nn.Sequential:
    return digits_network(lambda: QCFS(levels=2**timesteps - 1))


def dense(timesteps: int, seed: int, digits: Digits) -> Mapping[str, Tensor]:
    """The unregularised network that all runs of this T and seed start from."""
    path = STATES / f"dense-{timesteps}-{seed}.pt"
    if not path.exists():
        torch.manual_seed(seed)
        model = network(timesteps)
        train(model, digits, epochs=DENSE_EPOCHS, seed=seed)
        STATES.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), path)
    state: Mapping[str, Tensor] = torch.load(path, weights_only=True)
    return state


class Growing:
    """A penalty that grows linearly to its full weight."""

    def __init__(self, cost: FineGrainedL1, steps: int) -> None:
        self.cost, self._steps, self._done = cost, steps, 0

    def __call__(self) -> Tensor:
        """The penalty of this step."""
        self._done += 1
        return min(1.0, self._done / (RAMP * self._steps)) * self.cost()


def perform(run: Run, digits: Digits, test: Digits) -> Outcome:
    model = network(run.timesteps)
    model.load_state_dict(dense(run.timesteps, run.seed, digits))
    began = time.perf_counter()
    costs = fan_out(model, test.images) if run.method.endswith("synops") else None
    kind = PlainL1 if run.method.startswith("l1") else FineGrainedL1
    steps = EPOCHS * -(-len(digits) // 64)
    penalty = Growing(kind(model, run.weight, fan_out=costs), steps) if run.weight else None
    train(model, digits, epochs=EPOCHS, seed=run.seed + 100, penalty=penalty, learning_rate=4e-3)
    if penalty is not None:
        penalty.cost.remove()
    STATES.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), state_of(run))
    return measure(model, test, time.perf_counter() - began)


def measure(model: nn.Sequential, test: Digits, seconds: float) -> Outcome:
    with SpikeMeter(model) as meter:
        right = accuracy(model, test)
    synapses = fan_out(model, test.images)
    synops = synaptic_operations(model, test, synapses)
    analog, all_macs = multiply_accumulates(model, test.images[:1])
    return Outcome(
        accuracy=right,
        spikes=meter.total,
        spikes_per_neuron=meter.total / sum(meter.neurons.values()),
        synops=synops,
        energy=synops * ACCUMULATE + analog * MULTIPLY_ACCUMULATE,
        ann_energy=all_macs * MULTIPLY_ACCUMULATE,
        seconds=round(seconds, 1),
    )


def synaptic_operations(model: nn.Sequential, test: Digits, synapses: Mapping[str, Tensor]) -> float:
    """Σ spikes · fan-out, per image; every spike where it is."""
    with SpikeMeter(model, cost=synapses) as meter:
        accuracy(model, test)
    return meter.total


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


def main() -> None:
    options = argparse.ArgumentParser(description="Spikes against accuracy on real digits.")
    options.add_argument("--data", type=Path, default=ROOT / "examples" / "digits" / "mnist.npz")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--plot", action="store_true", help="only draw and print what is there")
    options.add_argument("--export", type=Path, metavar="ONNX", help="also write the shipped sparse network")
    chosen = options.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if not chosen.plot:
        digits, test = load(chosen.data)
        for run in plan(chosen.seeds):
            if any(result["run"] == asdict(run) for result in results):
                continue
            outcome = perform(run, digits, test)
            results.append({"run": asdict(run), "outcome": asdict(outcome)})
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(
                run,
                f"{outcome.accuracy:.2%} {outcome.spikes:,.0f} spikes {outcome.seconds:.0f} s",
                flush=True,
            )
    draw(results, PLOT)
    print(table(results))
    if chosen.export:
        export(SHIPPED, chosen.export)


def export(run: Run, path: Path) -> None:
    """The network of one run, as ``examples/digits/digits_sparse.onnx`` was made."""
    model = network(run.timesteps)
    model.load_state_dict(torch.load(state_of(run), weights_only=True))
    export_onnx(model, torch.zeros(2, 1, 28, 28), path, input_name="image", output_name="logits")


if __name__ == "__main__":
    main()
