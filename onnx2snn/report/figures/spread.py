"""How levels and spikes are distributed over all samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from onnx2snn.naming import Label
from onnx2snn.report.figures.drawing import (
    COLOURS,
    Drawing,
    chosen,
    in_style,
    new_figure,
    new_panels,
    of_layers,
    texts,
    to_svg,
)
from onnx2snn.report.report_facts import LayerFacts, ReportFacts
from onnx2snn.units import percent

MOST_ROWS = 40
_MOST_BARS = 40


@in_style
def levels(facts: ReportFacts) -> Drawing:
    """Share of neurons at each level, a panel a layer."""
    picked = [facts.layers[i] for i in chosen(len(facts.layers))]
    columns = min(2, len(picked))
    rows = -(-len(picked) // columns)
    figure, panels = new_panels(0.3 + 1.12 * rows, rows, columns, sharey=True)
    for axes, layer in zip(panels, picked, strict=False):
        _histogram(axes, layer)
        axes.set_title(
            facts.labels[layer.name].fit(27), fontsize=8.2, color=COLOURS["soft"], loc="left", pad=3
        )
    for axes in panels[len(picked) :]:
        axes.set_visible(False)
    figure.supxlabel("level k", fontsize=9, color=COLOURS["soft"])
    figure.supylabel("share of neurons", fontsize=9, color=COLOURS["soft"])
    zero = sum(la.histogram[0] * la.neurons for la in facts.layers) / max(
        sum(la.neurons for la in facts.layers), 1
    )
    told = [(la, _mean_level(la)) for la in facts.layers]
    return Drawing(
        "levels",
        "Distribution of levels",
        to_svg(figure, "levels", f"Distribution of levels: {percent(zero, 1)} of all neurons are at level 0"),
        f"Over all samples, logarithmic. {percent(zero, 1)} of all neurons are at level 0 and never spike for a sample."
        + of_layers(len(facts.layers)),
        ("layer", "K", "mean level", "at 0", "at the highest level", "share at each level, from 0"),
        texts(
            [
                (
                    la.name,
                    la.levels,
                    f"{mean:.3f}",
                    percent(la.histogram[0]),
                    percent(la.histogram[-1]),
                    _shares(la),
                )
                for la, mean in told
            ]
        ),
    )


def _shares(layer: LayerFacts) -> str:
    bins = f" (bins of {layer.bin} levels)" if layer.bin > 1 else ""
    shown = layer.histogram[:32]
    more = f" … {len(layer.histogram) - 32} more" if len(layer.histogram) > 32 else ""
    return "  ".join(f"{share:.3g}" for share in shown) + more + bins


def _mean_level(layer: LayerFacts) -> float:
    """From the bits, which are exact where bins are wide."""
    weights = 2.0 ** np.arange(layer.timesteps - 1, -1, -1)
    return float(weights @ layer.bits)


def _histogram(axes: Axes, layer: LayerFacts) -> None:
    lowest = np.arange(len(layer.histogram)) * layer.bin
    if len(lowest) > _MOST_BARS:
        edges = np.append(lowest, lowest[-1] + layer.bin) - 0.5
        axes.stairs(layer.histogram, edges, fill=True, color=COLOURS["other"], linewidth=0)
    else:
        width = 0.86 * layer.bin
        middle = lowest + (layer.bin - 1) / 2
        axes.bar(middle, layer.histogram, width=width, color=COLOURS["other"], linewidth=0)
    axes.set_yscale("log")
    axes.set_ylim(1e-6 if layer.histogram[layer.histogram > 0].min(initial=1) < 1e-4 else 1e-4, 1.5)
    axes.set_xlim(-0.7 * layer.bin, layer.levels + 0.7 * layer.bin)
    axes.set_xticks([0, layer.levels] if layer.levels < 3 else [0, layer.levels // 2, layer.levels])
    axes.minorticks_off()


@in_style
def bits(facts: ReportFacts) -> Drawing:
    """Share of neurons that spike in each time step, as a table in colour."""
    T = facts.timesteps
    picked = [facts.layers[i] for i in chosen(len(facts.layers), MOST_ROWS)]
    figure, axes = new_figure(bits_height(len(picked)))
    draw_bits(axes, [(facts.labels[la.name], la.bits) for la in picked], T)
    overall = sum(layer.spikes_per_neuron * layer.neurons for layer in facts.layers)
    neurons = max(sum(layer.neurons for layer in facts.layers), 1)
    mean = overall / neurons
    return Drawing(
        "bits",
        "Spikes per bit",
        to_svg(figure, "bits", f"Spikes per bit and layer: {mean:.3f} spikes a neuron and sample on average"),
        f"Share of neurons that spike in each time step, over all samples; most significant bit first. "
        f"A neuron spikes {mean:.3f} times a sample on average, in T = {T} steps.{of_layers(len(facts.layers), MOST_ROWS)}",
        ("layer", "spikes per neuron", *(f"bit {T - 1 - step}" for step in range(T))),
        texts([(la.name, f"{la.spikes_per_neuron:.4f}", *_padded(la, T)) for la in facts.layers]),
    )


def bits_height(rows: int) -> float:
    """Inches."""
    return 0.5 + 0.24 * rows


def draw_bits(axes: Axes, layers: Sequence[tuple[Label, NDArray[np.float64]]], T: int) -> None:
    """A cell a layer and time step, the darker the more of its neurons spike.

    Args:
        axes: Where.
        layers: What figures call each, and the share of its neurons that spike, step by step.
        T: Time steps.
    """
    highest = max((float(shares.max(initial=0)) for _, shares in layers), default=0) or 1.0
    for row, (_, shares) in enumerate(layers):
        for place, share in enumerate(shares):
            column = T - len(shares) + place
            strength = float(share) / highest
            cell = Rectangle(
                (column - 0.48, row - 0.45),
                0.96,
                0.9,
                facecolor=COLOURS["spike"],
                alpha=0.04 + 0.96 * strength,
            )
            axes.add_patch(cell)
            if T <= 8:
                colour = COLOURS["on-spike" if strength > 0.85 else "on-mid" if strength > 0.55 else "ink"]
                axes.text(
                    column, row, _percent(float(share)), ha="center", va="center", fontsize=8.2, color=colour
                )
    axes.set_xlim(-0.5, T - 0.5)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    every = max(1, T // 8)
    axes.set_xticks(range(0, T, every), [f"{2 ** (T - 1 - step):,}" for step in range(0, T, every)])
    axes.set_yticks(range(len(layers)), [label.fit(19) for label, _ in layers])
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("weight of a spike, in θ, step by step")


def _padded(layer: LayerFacts, T: int) -> list[str]:
    return ["–"] * (T - layer.timesteps) + [f"{share:.4f}" for share in layer.bits]


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"
