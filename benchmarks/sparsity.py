"""Spikes against accuracy on real digits: fine-grained L1, plain L1 on levels, and neither.

    python benchmarks/sparsity.py --data mnist.npz

Every network starts from the unregularised one of its seed and T, and is trained for the same number of
epochs with the same images; only the penalty differs. Results go to benchmarks/results/sparsity.json after
each run, and a second call goes on where the first one stopped. `--plot` only draws docs/images/sparsity.svg
and prints the tables.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parent)]

import sparsity_training as training  # noqa: E402 - beside this script
from sparsity_plot import comparison, draw, table  # noqa: E402
from sparsity_training import ROOT, Outcome, Run, network  # noqa: E402

from onnx2snn.training import export_onnx  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "sparsity.json"
PLOT = ROOT / "docs" / "images" / "sparsity.svg"

#: The run whose network is examples/digits/digits_sparse.onnx.
SHIPPED = Run("fg", 2e-4, 4, 0)

#: η at T = 4, chosen on digits cut from the training set so that the curves overlap (fg-synops: per synaptic operation). The
#: last fine-grained one was added after the others were tested, to see what some 1,300 spikes bring.
WEIGHTS = (
    ("none", 0.0), ("l1", 1e-4), ("fg", 2e-4), ("l1", 2e-4), ("l1", 5e-5), ("fg-synops", 8e-7), ("fg", 4e-5),
    ("l1-pressed", 1e-4), ("l1", 4e-4),
)  # fmt: skip
#: Penalties with synapses dropped as well: method, η, ν. A synaptic operation has one price, ν = η, or an eighth of it.
PRUNED = (
    ("fg-synops", 8e-7, 1e-7), ("l1", 1e-4, 1e-7), ("fg-synops", 8e-7, 8e-7), ("l1", 1e-4, 8e-7), ("fg", 2e-4, 8e-7),
    ("fg", 4e-5, 1e-7),
)  # fmt: skip
#: With fewer time steps, one seed.
FEWER_STEPS = (("none", 0.0), ("fg", 2e-4), ("l1", 1e-4))


def plan(seeds: int) -> Iterator[Run]:
    """All runs, the most telling first."""
    for method, weight in WEIGHTS:
        yield from (Run(method, weight, 4, seed) for seed in range(seeds))
    for method, weight, pruning in PRUNED:
        yield from (Run(method, weight, 4, seed, pruning) for seed in range(seeds))
    for timesteps in (3, 2):
        yield from (Run(method, weight, timesteps, 0) for method, weight in FEWER_STEPS)


def outcomes(runs: Sequence[Run], data: Path, jobs: int) -> Iterator[tuple[Run, Outcome]]:
    """Perform ``runs``, several at a time; each as soon as it is there."""
    if jobs == 1:
        yield from ((run, training.perform(run, data)) for run in runs)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        starts = dict.fromkeys((run.timesteps, run.seed) for run in runs)
        for start in [pool.submit(training.prepare, *start, data) for start in starts]:
            start.result()
        pending = {pool.submit(training.perform, run, data): run for run in runs}
        yield from ((pending[done], done.result()) for done in as_completed(pending))


def main() -> None:
    options = argparse.ArgumentParser(description="Spikes against accuracy on real digits.")
    options.add_argument("--data", type=Path, default=ROOT / "examples" / "digits" / "mnist.npz")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=2, help="runs at a time, each on one core")
    options.add_argument("--plot", action="store_true", help="only draw and print what is there")
    options.add_argument("--export", type=Path, metavar="ONNX", help="also write the shipped sparse network")
    chosen = options.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if not chosen.plot:
        there = [result["run"] for result in results]
        missing = [run for run in plan(chosen.seeds) if asdict(run) not in there]
        for run, outcome in outcomes(missing, chosen.data, chosen.jobs):
            results.append({"run": asdict(run), "outcome": asdict(outcome)})
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(run, f"{outcome.accuracy:.2%} {outcome.spikes:,.0f} spikes", flush=True)
    draw(results, PLOT)
    print(table(results), comparison(results), sep="\n\n")
    if chosen.export:
        export(SHIPPED, chosen.export)


def export(run: Run, path: Path) -> None:
    """The network of one run, as ``examples/digits/digits_sparse.onnx`` was made."""
    model = network(run.timesteps)
    model.load_state_dict(torch.load(run.state, weights_only=True))
    export_onnx(model, torch.zeros(2, 1, 28, 28), path, input_name="image", output_name="logits")


if __name__ == "__main__":
    main()
