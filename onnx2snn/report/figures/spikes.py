"""One sample on its way: who spikes when, and how a potential gets there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from onnx2snn.naming import Label
from onnx2snn.report.figures.drawing import (
    COLOURS,
    MOST_LAYERS,
    Drawing,
    chosen,
    in_style,
    new_figure,
    new_panels,
    of_layers,
    texts,
    to_svg,
)
from onnx2snn.report.report_facts import LayerSample, ReportFacts
from onnx2snn.units import count, things

#: Layers whose potentials are drawn.
PANELS = 6
_GAP = 3.6


class PlottedPlace(Protocol):
    """A layer of the pipeline: facts of it, or an entry of a layer table."""

    @property
    def name(self) -> str:
        """Of the IF node."""

    @property
    def neurons(self) -> int:
        """For one sample."""

    @property
    def phase(self) -> int:
        """It spikes in time steps phase·T + 1 … (phase + 1)·T."""


@in_style
def raster(facts: ReportFacts) -> Drawing:
    """Spikes over the time steps of the pipeline: a layer integrates while the one before it fires."""
    T, phases = facts.timesteps, facts.latency.depth + 1
    pairs = [(facts.layers[i], facts.sample.layers[i]) for i in picked(facts.sample.layers, MOST_LAYERS)]
    figure, axes = new_figure(raster_height([sample for _, sample in pairs]))
    draw_raster(axes, pairs, facts.labels, T, phases)
    total = sum(sample.spikes for sample in facts.sample.layers)
    spoken = f"{things(total, 'spike')} in {things(facts.latency.steps, 'time step')}"
    label = f"Spikes of sample {facts.sample.index}: {spoken}"
    return Drawing(
        "raster",
        "Its spikes",
        to_svg(figure, "raster", label),
        f"{spoken}. {_shown([sample for _, sample in pairs])}; a layer speaks {things(T, 'time step')} after the one "
        f"before it.{of_layers(len(facts.layers))}",
        ("layer", "spikes", "neurons that spike", "of", "neurons drawn"),
        texts(
            [
                (
                    layer.name,
                    count(s.spikes),
                    count(s.active),
                    count(layer.neurons),
                    ", ".join(map(str, s.neurons)),
                )
                for layer, s in zip(facts.layers, facts.sample.layers, strict=True)
            ]
        ),
    )


def raster_height(samples: Sequence[LayerSample]) -> float:
    """Inches."""
    rows = sum(len(sample.neurons) + _GAP for sample in samples)
    return 0.5 + rows * float(np.clip(5.4 / rows, 0.068, 0.1))


def draw_raster(
    axes: Axes,
    pairs: Sequence[tuple[PlottedPlace, LayerSample]],
    labels: Mapping[str, Label],
    T: int,
    phases: int,
) -> None:
    """A band a layer, a row a neuron, a dash a spike.

    Args:
        axes: Where.
        pairs: Layers, and what is drawn of each.
        labels: What figures call them.
        T: Time steps of a phase.
        phases: In all.
    """
    top = 0.0
    for layer, sample in pairs:
        _band(axes, layer, sample, top, T)
        words = f"{labels[layer.name].fit(34)} · {sample.active:,} of {layer.neurons:,} spike"
        axes.text(0.5, top - 1.1, words, fontsize=8.2, color=COLOURS["soft"], va="bottom", ha="left")
        for phase in range(1, phases):  # beside the rows, not through the words between them
            rows = (top - 0.7, top - 0.3 + len(sample.neurons))
            axes.plot([phase * T + 0.5] * 2, rows, color=COLOURS["line"], linewidth=0.5, zorder=0)
        top += len(sample.neurons) + _GAP
    axes.set_xlim(0.5, phases * T + 0.5)
    axes.set_ylim(top - _GAP + 0.5, -_GAP)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    every = max(1, phases // 12)
    axes.set_xticks(
        [p * T for p in range(0, phases + 1, every)][1:] if T > 1 else range(1, phases + 1, every)
    )
    axes.set_xlabel("time step")


def picked(samples: Sequence[LayerSample], most: int) -> list[int]:
    """Positions of the layers that are drawn: those with neurons that were asked for, and others evenly spaced."""
    asked = [position for position, sample in enumerate(samples) if sample.asked][:most]
    others = [position for position in chosen(len(samples), most) if position not in asked]
    return sorted([*asked, *others[: most - len(asked)]])


def _shown(samples: Sequence[LayerSample]) -> str:
    """Which neurons of each layer are drawn."""
    most = max((len(sample.neurons) for sample in samples if not sample.asked), default=0)
    chosen_here = f"up to {things(most, 'neuron')} that spike, from the busiest (top) to the quietest"
    if not any(sample.asked for sample in samples):
        return f"Of each layer {chosen_here}"
    return "Of each layer the neurons asked for" + (f", elsewhere {chosen_here}" if most else "")


def _band(axes: Axes, layer: PlottedPlace, sample: LayerSample, top: float, T: int) -> None:
    first, size = layer.phase * T, len(sample.neurons)
    place = (first + 0.5, top - 0.7)
    axes.add_patch(Rectangle(place, T, size + 0.4, facecolor=COLOURS["band"], edgecolor="none", zorder=0))
    steps, rows = np.nonzero(sample.trains)
    axes.vlines(
        first + 1 + steps,
        top + rows - 0.42,
        top + rows + 0.42,
        color=COLOURS["spike"],
        linewidth=2.6 if T < 10 else 1.6,
    )


@in_style
def potentials(facts: ReportFacts) -> Drawing:
    """Membrane potential of one neuron a layer: T steps of integration, T of generation."""
    T = facts.timesteps
    shown = [facts.sample.layers[i] for i in picked(facts.sample.layers, PANELS)]
    figure, panels = new_panels(potentials_height(len(shown)), len(shown), sharex=True)
    draw_potentials(panels, shown, facts.labels, T)
    come_and_go = "" if any(sample.asked for sample in facts.sample.layers) else ", whose spikes come and go"
    label = f"Membrane potential of one neuron in each of {len(shown)} layers"
    return Drawing(
        "potentials",
        "Membrane potentials",
        to_svg(figure, "potentials", label),
        f"One neuron a layer{come_and_go}; v in units of θ (of a neuron with a table, which has none, v itself). "
        "Integration doubles v and adds the current; "
        "generation fires (●) where v reaches the threshold 2^(T−t)·θ (dashes), and subtracts it."
        + of_layers(len(facts.layers), PANELS),
        ("layer", "neuron", "level k", "spikes", "v before generation, in θ", "v at each step, in θ"),
        texts(
            [
                (
                    s.name,
                    s.watched,
                    s.level,
                    "".join(map(str, s.train)),
                    f"{s.potentials[T]:.4g}",
                    "  ".join(f"{v:.3g}" for v in s.potentials),
                )
                for s in facts.sample.layers
            ]
        ),
    )


def potentials_height(panels: int) -> float:
    """Inches."""
    return 0.35 + 1.05 * panels


def draw_potentials(
    panels: Sequence[Axes], samples: Sequence[LayerSample], labels: Mapping[str, Label], T: int
) -> None:
    """The course of one membrane potential a panel.

    Args:
        panels: Axes, one a sample.
        samples: What is drawn of each layer.
        labels: What figures call it.
        T: Time steps.
    """
    for axes, sample in zip(panels, samples, strict=True):
        _course(axes, sample, T)
        words = f"{labels[sample.name].fit(34)}, neuron {sample.watched:,}: k = {sample.level}"
        axes.set_title(words, fontsize=8.2, color=COLOURS["soft"], loc="left", pad=3)
    panels[-1].set_xlabel("time step of the layer: integration, then generation")
    panels[-1].set_xticks(range(1, 2 * T + 1, max(1, T // 6)))


def _course(axes: Axes, sample: LayerSample, T: int) -> None:
    steps = np.arange(1, 2 * T + 1)
    axes.axvspan(T + 0.5, 2 * T + 0.5, color=COLOURS["band"], zorder=0, linewidth=0)
    edges = np.arange(0.5, 2 * T + 1)
    axes.stairs(sample.potentials, edges, color=COLOURS["other"], linewidth=1.4, baseline=None)
    reached = np.isfinite(sample.thresholds)  # in a table, a level that nothing reaches has an infinite one
    axes.hlines(
        sample.thresholds[reached],
        steps[T:][reached] - 0.42,
        steps[T:][reached] + 0.42,
        color=COLOURS["soft"],
        linewidth=1.0,
        linestyles=(0, (2, 1.2)),
    )
    fired = sample.train == 1
    axes.plot(steps[T:][fired], sample.potentials[T:][fired], "o", color=COLOURS["spike"], markersize=4.5)
    axes.set_xlim(0.5, 2 * T + 0.5)
    lowest_threshold = 1.3 * float(min(sample.thresholds[reached], default=0.0))
    highest = max(1.2 * float(sample.potentials.max()), lowest_threshold, 1e-6)
    axes.set_ylim(min(float(sample.potentials.min()), 0.0) - 0.08 * highest, highest)
    axes.set_ylabel("v / θ")
