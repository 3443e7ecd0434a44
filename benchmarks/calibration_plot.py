"""The plot and the tables of benchmarks/calibration.py."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Results = Mapping[str, Any]

LOOKS = {
    "onnx2snn": ("tab:orange", "o", "-"),
    "squared error alone, per channel": ("tab:olive", "^", "-"),
    "squared error alone, per layer": ("tab:olive", "v", "--"),
    "onnx2snn, rate-coded": ("tab:brown", "s", "-"),
    "SpikingJelly max": ("tab:blue", "x", "-"),
    "SpikingJelly 99.9 %": ("tab:cyan", "+", "-"),
    "SpikingJelly local threshold balancing": ("tab:purple", "d", "-"),
    "Sinabs": ("tab:gray", "*", "-"),
}


def curves(results: Results) -> dict[str, dict[int, float]]:
    """Accuracy by time steps of each way."""
    found: dict[str, dict[int, float]] = {}
    for key, value in results.items():
        kind, _, rest = key.partition("/")
        if kind == "digits":
            name, _, timesteps = rest.rpartition("/")
            found.setdefault(name, {})[int(timesteps)] = value["accuracy"]
        elif kind == "peers":
            found[rest] = {int(t): outcome["accuracy"] for t, outcome in value.items()}
    return {name: dict(sorted(points.items())) for name, points in found.items()}


def table(results: Results) -> str:
    """Accuracy in percent, Markdown: a row for each way, a column for each T."""
    found = curves(results)
    steps = sorted({t for points in found.values() for t in points})
    lines = [
        f"float network: {100 * results['ann']:.1f} %",
        "",
        "| T | " + " | ".join(map(str, steps)) + " |",
        "| --- " * (len(steps) + 1) + "|",
    ]
    for name, points in found.items():
        cells = [f"{100 * points[t]:.1f}" if t in points else "" for t in steps]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def deep_table(results: Results) -> str:
    """Deep networks, Markdown."""
    heads = [
        "network", "T", "layers", "proved exact", "neurons", "levels compared", "differ", "unexplained", "differ in fused, int8",
        "answers by optimising", "error of answers, %", "calibrate, s", "convert, s", "verify, s", "peak, GB", "with verify, GB",
    ]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for key, value in results.items():
        kind, *rest = key.split("/")
        if kind != "deep":
            continue
        seconds = value["seconds"]
        cells = [
            rest[0],
            rest[1],
            str(value["layers"]),
            str(value["proved"]),
            f"{value['neurons']:,}",
            f"{value['levels_compared']:,}",
            f"{value['differing_levels']:,}",
            f"{value['unexplained']:,}",
            ", ".join(f"{value['executions'][name]:,}" for name in ("fused", "int8")),
            f"{value['optimised']:.1g}" if value["optimised"] else "0",
            f"{100 * value['error']:.1f}",
            *(f"{seconds[name]:.0f}" for name in ("calibrate", "convert", "verify")),
            *(f"{value['peak_gigabytes'][name]:.1f}" for name in ("converted", "verified")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def several_table(results: Results) -> str:
    """Networks of each recipe, Markdown: mean ± standard deviation of accuracy, and of its difference to the float network's."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for key, value in results.items():
        kind, *rest = key.split("/")
        if kind != "several":
            continue
        recipe, seed, way = rest
        steps = (
            {f"{way} network": value} if way == "float" else {f"{way}, T = {t}": v for t, v in value.items()}
        )
        for name, outcome in steps.items():
            found.setdefault(recipe, {}).setdefault(name, {})[seed] = 100 * outcome["accuracy"]
    recipes = {f"{name}, {len(ways['float network'])} networks": ways for name, ways in found.items()}
    heads = [f"{name} | less the float network" for name in recipes]
    lines = ["| accuracy, % | " + " | ".join(heads) + " |", "| --- " * (2 * len(heads) + 1) + "|"]
    for name in dict.fromkeys(name for ways in found.values() for name in ways):
        cells = [_paired(ways["float network"], ways.get(name, {})) for ways in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _paired(exact: Mapping[str, float], found: Mapping[str, float]) -> str:
    """Two cells: accuracies, and what they differ by from those of the same networks with floats."""
    if not found:
        return " | "
    both = [list(found.values()), [value - exact[seed] for seed, value in found.items()]]
    mean, difference = (statistics.mean(values) for values in both)
    deviations = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in both]
    less = f"{difference:+.2f} ± {deviations[1]:.2f}" if found is not exact else ""
    return f"{mean:.2f} ± {deviations[0]:.2f} | {less}"


def mixed_table(results: Results) -> str:
    """Mixed time steps, Markdown, beside equal ones."""
    lines = ["| bound, points | T of each layer | accuracy, % | spikes a digit |", "| --- " * 4 + "|"]
    for key, value in results.items():
        kind, _, bound = key.partition("/")
        name, _, timesteps = bound.rpartition("/")
        if kind == "mixed":
            first = [bound, ", ".join(map(str, value["timesteps"]))]
        elif kind == "digits" and name == "onnx2snn":
            first = ["", f"{timesteps} everywhere"]
        else:
            continue
        cells = [*first, f"{100 * value['accuracy']:.1f}", f"{value['spikes']:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: Results, path: Path) -> None:
    """Accuracy over time steps, on a logarithmic axis."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    plt.rcParams["svg.hashsalt"] = "onnx2snn"
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    for name, points in curves(results).items():
        if name in LOOKS:
            colour, marker, line = LOOKS[name]
            values = [100 * v for v in points.values()]
            axes.plot(list(points), values, color=colour, marker=marker, linestyle=line, label=name)
    axes.axhline(100 * results["ann"], color="black", linewidth=0.8, linestyle=":", label="float network")
    axes.set_xscale("log", base=2)
    axes.set_xticks(
        [2, 3, 4, 6, 8, 16, 32, 64, 128], labels=["2", "3", "4", "6", "8", "16", "32", "64", "128"]
    )
    axes.set_xlabel("time steps T")
    axes.set_ylabel("accuracy on 1,000 test digits, %")
    axes.set_ylim(0, 101)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
