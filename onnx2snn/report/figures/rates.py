"""Bars by layer: how often its neurons spike, and how many of its levels differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from onnx2snn.naming import distinct
from onnx2snn.report.figures.drawing import COLOURS, chosen

#: Layers that are drawn, at most.
MOST_ROWS = 40


def rates_height(layers: int) -> float:
    """Inches."""
    return 0.5 + 0.24 * min(layers, MOST_ROWS)


def draw_rates(axes: Axes, rates: Sequence[tuple[str, float]]) -> None:
    """A bar a layer.

    Args:
        axes: Where.
        rates: Name of a layer, spikes a neuron and time step.
    """
    rows = [rates[i] for i in chosen(len(rates), MOST_ROWS)]
    axes.barh(range(len(rows)), [rate for _, rate in rows], color=COLOURS["spike"], height=0.62, linewidth=0)
    for row, (_, rate) in enumerate(rows):
        axes.text(rate, row, f" {rate:.3f}", va="center", fontsize=8.2)
    _label(axes, [name for name, _ in rows])
    axes.set_xlim(0, 1.25 * max((rate for _, rate in rows), default=0) or 1)


def draw_counts(
    axes: Axes, layers: Sequence[str], counts: Mapping[str, Sequence[int]], colours: Mapping[str, str]
) -> None:
    """A bar a layer and kind of count, on a logarithmic scale.

    Args:
        axes: Where.
        layers: Their names.
        counts: By kind, one a layer.
        colours: By kind, the page's name of its colour.
    """
    rows = chosen(len(layers), MOST_ROWS)
    height = 0.8 / len(counts)
    for place, (kind, numbers) in enumerate(counts.items()):
        at = [row - 0.4 + (place + 0.5) * height for row in range(len(rows))]
        held = [numbers[i] for i in rows]
        axes.barh(at, held, color=COLOURS[colours[kind]], height=height, linewidth=0, label=kind)
        for where, number in zip(at, held, strict=True):
            if number:
                axes.text(number, where, f" {number:,}", va="center", fontsize=7)
    _label(axes, [layers[i] for i in rows])
    highest = max((max(numbers, default=0) for numbers in counts.values()), default=0)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, 10 * max(highest, 1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    axes.minorticks_off()
    axes.legend(loc="lower right", fontsize=7.5)


def _label(axes: Axes, names: Sequence[str]) -> None:
    labels = distinct(names)
    axes.set_yticks(range(len(names)), [labels[name].fit(19) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
