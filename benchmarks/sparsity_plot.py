"""The plot and the tables of benchmarks/sparsity.py."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

NAMES = {
    "none": "no penalty",
    "l1": "plain L1 on levels",
    "l1-pressed": "plain L1, with pressure",
    "fg": "fine-grained L1",
    "fg-synops": "fine-grained L1, weighted by fan-out",
}
#: By method, and whether synapses are dropped: colour, marker, whether it is filled.
LOOKS = {
    ("none", False): ("black", "s", "full"),
    ("l1", False): ("tab:gray", "o", "full"),
    ("fg", False): ("tab:orange", "D", "full"),
    ("l1", True): ("tab:gray", "o", "none"),
    ("fg", True): ("tab:orange", "D", "none"),
    ("fg-synops", True): ("tab:blue", "^", "none"),
}
#: What accuracy is drawn over, and compared at.
COSTS = {"spikes": "spikes", "synops": "synaptic operations"}
Result = Mapping[str, Mapping[str, Any]]


class Point(NamedTuple):
    """The runs of one method, T and weight that differ only in their seed."""

    method: str
    timesteps: int
    weight: float
    pruning: float
    outcomes: tuple[Mapping[str, float], ...]

    @property
    def name(self) -> str:
        """For people."""
        return NAMES[self.method] + (", synapses dropped" if self.pruning else "")

    @property
    def weights(self) -> str:
        """η, and ν where synapses are dropped."""
        return f"{self.weight:g}" + (f", ν = {self.pruning:g}" if self.pruning else "")

    def mean(self, name: str) -> float:
        """Over the seeds."""
        return mean(outcome[name] for outcome in self.outcomes)

    def spread(self, name: str) -> float:
        """Standard deviation over the seeds."""
        values = [outcome[name] for outcome in self.outcomes]
        return stdev(values) if len(values) > 1 else 0.0


def points(results: Iterable[Result]) -> list[Point]:
    """Runs by T (descending), pruning, method and weight."""
    groups: dict[tuple[int, float, int, float], list[Mapping[str, float]]] = defaultdict(list)
    order = list(NAMES)
    for result in results:
        run = result["run"]
        key = (-run["timesteps"], run["pruning"], order.index(run["method"]), run["weight"])
        groups[key].append(result["outcome"])
    return [
        Point(order[m], -t, w, pruning, tuple(groups[t, pruning, m, w]))
        for t, pruning, m, w in sorted(groups)
    ]


def table(results: Iterable[Result]) -> str:
    """All points in Markdown: mean ± standard deviation over the seeds."""
    lines = [
        "| T | penalty | η | seeds | accuracy, % | loss | spikes per image | per neuron | synapses, % | SynOps, M | energy, µJ |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for point in points(results):
        cells = [
            str(point.timesteps),
            point.name,
            point.weights,
            str(len(point.outcomes)),
            _cell(point, "accuracy", 100, ".2f"),
            _cell(point, "loss", 1, ".4f"),
            _cell(point, "spikes", 1, ",.0f"),
            f"{point.mean('spikes_per_neuron'):.3f}",
            _cell(point, "synapses", 100, ".0f"),
            _cell(point, "synops", 1e-6, ".3f"),
            _cell(point, "energy", 1e6, ".2f"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(point: Point, name: str, unit: float, form: str) -> str:
    middle = format(point.mean(name) * unit, form)
    return f"{middle} ± {format(point.spread(name) * unit, form)}" if len(point.outcomes) > 1 else middle


def comparison(results: Iterable[Result]) -> str:
    """What each other penalty at T = 4 spends, against plain L1 read at the same accuracy and at the same loss.

    The curve of plain L1 is a line through its points and the unregularised network, straight over the logarithm
    of the cost; "–" where it does not reach that far.
    """
    shown = [point for point in points(results) if point.timesteps == 4]
    curve = [point for point in shown if point.method in ("none", "l1") and not point.pruning]
    lines = [
        "| penalty | η | cost | fewer at equal accuracy | fewer at equal loss |",
        "| --- | --- | --- | --- | --- |",
    ]
    for point in shown:
        if point not in curve:
            for cost in COSTS:
                cells = [
                    _fewer(point.mean(cost), read(curve, cost, measure, point.mean(measure)))
                    for measure in ("accuracy", "loss")
                ]
                row = [point.name, point.weights, cost, *cells]
                lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _fewer(cost: float, reference: float | None) -> str:
    return "–" if reference is None else f"{1 - cost / reference:.0%}"


def read(curve: Iterable[Point], cost: str, measure: str, value: float) -> float | None:
    """The least cost at which the line through ``curve`` is as good as ``value``; None where it never is."""
    better = 1.0 if measure == "accuracy" else -1.0
    known = sorted((math.log(point.mean(cost)), better * point.mean(measure)) for point in curve)
    wanted = better * value
    for (cheap, worse), (dear, good) in pairwise(known):
        if worse < wanted <= good:
            return math.exp(cheap + (dear - cheap) * (wanted - worse) / (good - worse))
        if worse >= wanted:
            return None
    return None


def _draw_costs(axes: Any, shown: Sequence[Point], cost: str) -> None:
    for (method, pruned), (colour, marker, filled) in LOOKS.items():
        of_method = [p for p in shown if p.method == method and bool(p.pruning) == pruned]
        if not of_method:
            continue
        curve = sorted(of_method, key=lambda p: p.mean(cost))
        axes.errorbar(
            [p.mean(cost) for p in curve],
            [100 * p.mean("accuracy") for p in curve],
            xerr=[p.spread(cost) for p in curve],
            yerr=[100 * p.spread("accuracy") for p in curve],
            color=colour,
            marker=marker,
            fillstyle=filled,
            capsize=2,
            label=curve[0].name,
        )


def draw(results: Iterable[Result], path: Path) -> None:
    """Accuracy over spikes and over synaptic operations for T = 4, one curve a method, the spread over seeds as bars."""
    import matplotlib  # noqa: PLC0415 - the table needs none

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "onnx2snn"
    from matplotlib import pyplot  # noqa: PLC0415

    figure, both = pyplot.subplots(1, 2, figsize=(10, 4.5), layout="constrained", sharey=True)
    shown = [point for point in points(results) if point.timesteps == 4]
    for axes, (cost, label) in zip(both, COSTS.items(), strict=True):
        _draw_costs(axes, shown, cost)
        axes.set(xscale="log", xlabel=f"{label} per image (T = 4)")
        axes.grid(alpha=0.3, which="both")
    both[0].set(ylabel="accuracy on 2,000 test digits, %")
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
