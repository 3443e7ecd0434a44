"""What it costs, and what accuracy it buys."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from onnx2snn.report.energy_facts import EnergyFacts
from onnx2snn.report.figures.drawing import COLOURS, Drawing, in_style, new_figure, new_panels, texts, to_svg
from onnx2snn.report.report_facts import ReportFacts, SweepPoint
from onnx2snn.units import percent, si, times_less

_MARKERS = (("spike", "o"), ("other", "s"), ("third", "^"))


@in_style
def energy_bars(facts: ReportFacts) -> Drawing:
    """ANN against SNN, by each table of costs."""
    figure, panels = new_panels(0.4 + 1.05 * len(facts.energy), len(facts.energy))
    for axes, energy in zip(panels, facts.energy, strict=True):
        draw_bars(axes, energy)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, handlelength=1)
    formula = "SNN: a SynOp costs one accumulate, analog inputs cost multiply-accumulates. ANN: all multiply-accumulates."
    told = " ".join(f"{energy.name}: {_compared(energy)}." for energy in facts.energy)
    return Drawing(
        "energy",
        "Energy of one sample",
        to_svg(figure, "energy", f"Energy of one sample. {told}"),
        f"{told} {formula} 45 nm (Horowitz, ISSCC 2014). {_accesses(facts)}",
        (
            "costs",
            "accumulate",
            "multiply-accumulate",
            "SNN, synapses",
            "SNN, analog",
            "SNN",
            "ANN",
            *_WITH_MEMORY,
        ),
        texts(
            [
                (
                    e.name,
                    si(e.accumulate, "J"),
                    si(e.multiply_accumulate, "J"),
                    si(e.synapses, "J"),
                    *(_joules(value) for value in (e.analog, e.snn, e.ann, *(e.with_memory or (None, None)))),
                )
                for e in facts.energy
            ]
        ),
    )


_WITH_MEMORY = ("SNN with memory", "ANN with memory")


def _joules(value: float | None) -> str:
    return "–" if value is None else si(value, "J")


def _accesses(facts: ReportFacts) -> str:
    """What memory accesses make of it."""
    told = [
        f"SNN {si(e.with_memory[0], 'J')}, ANN {si(e.with_memory[1], 'J')}, {times_less(*e.with_memory)} ({e.name})"
        for e in facts.energy
        if e.with_memory
    ]
    if not told:
        return "Memory accesses are not counted."
    return f"With memory accesses, which the bars leave out ({facts.memory_model}): {'; '.join(told)}."


def _compared(energy: EnergyFacts) -> str:
    if energy.ann is None or not energy.snn:
        return f"SNN {si(energy.snn, 'J')}, ANN unknown (a size of the network is dynamic)"
    return f"SNN {si(energy.snn, 'J')}, ANN {si(energy.ann, 'J')}, {times_less(energy.snn, energy.ann)}"


def draw_bars(axes: Axes, energy: EnergyFacts) -> None:
    """Two bars: the SNN's, stacked from synapses and analog inputs, and the ANN's."""
    bars = [[(energy.synapses, "spike", "SynOps"), (energy.analog or 0.0, "third", "analog inputs")]]
    if energy.ann is not None:
        bars.append([(energy.ann, "other", "multiply-accumulates")])
    unit = max(sum(part[0] for part in bar) for bar in bars) or 1.0
    for row, bar in enumerate(bars):
        left = 0.0
        for joules, colour, label in bar:
            axes.barh(row, joules, left=left, color=COLOURS[colour], height=0.62, linewidth=0, label=label)
            left += joules
        axes.text(left + 0.015 * unit, row, si(left, "J"), va="center", fontsize=9)
    axes.set_yticks(range(len(bars)), ["SNN", "ANN"][: len(bars)])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xlim(0, 1.17 * unit)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda joules, _: si(joules, "J")))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="y", length=0)
    axes.set_title(energy.name, fontsize=8.2, color=COLOURS["soft"], loc="left", pad=3)


@in_style
def sweep_lines(facts: ReportFacts) -> Drawing:
    """Accuracy over T, a line a code."""
    figure, axes = new_figure(2.6)
    codes = list(dict.fromkeys(point.code for point in facts.sweep))
    for code, (colour, marker) in zip(codes, itertools.cycle(_MARKERS), strict=False):
        line = [point for point in facts.sweep if point.code == code]
        steps, accuracy = [p.timesteps for p in line], [100 * p.accuracy for p in line]
        axes.plot(
            steps,
            accuracy,
            marker=marker,
            color=COLOURS[colour],
            linewidth=1.5,
            markersize=4.5,
            label=f"{code} code",
        )
    if facts.certificate.accuracy:
        ann = 100 * facts.certificate.accuracy["ann"]
        axes.axhline(
            ann, color=COLOURS["soft"], linewidth=0.9, linestyle=(0, (3, 2)), label="this report's ANN"
        )
    steps = sorted({point.timesteps for point in facts.sweep})
    if steps[-1] > 8 * steps[0]:
        axes.set_xscale("log", base=2)
    axes.set_xticks(steps if len(steps) <= 10 else steps[:: -(-len(steps) // 10)])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:g}"))
    axes.minorticks_off()
    axes.set_xlabel("time steps T")
    axes.set_ylabel("accuracy, %")
    axes.grid(axis="y", color=COLOURS["line"], linewidth=0.5)
    axes.legend(loc="lower right", labelcolor=COLOURS["ink"])
    told = ". ".join(f"{code} code: {_best(facts.sweep, code)}" for code in codes)
    return Drawing(
        "sweep",
        "Accuracy over T",
        to_svg(figure, "sweep", f"Accuracy over T. {told}"),
        f"{told}.",
        ("code", "T", "accuracy"),
        texts([(point.code, point.timesteps, percent(point.accuracy)) for point in facts.sweep]),
    )


def _best(points: Sequence[SweepPoint], code: str) -> str:
    """The fewest time steps within a tenth of a percent of its best accuracy."""
    line = [point for point in points if point.code == code]
    best = max(point.accuracy for point in line)
    enough = next(point for point in line if point.accuracy >= best - 0.001)
    return f"{percent(enough.accuracy)} at T = {enough.timesteps}, {percent(best)} at best"
