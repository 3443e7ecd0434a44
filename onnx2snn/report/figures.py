"""The report's figures, as SVG that takes the page's colours."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from onnx2snn.report.facts import Facts

#: Neurons of one layer that are drawn.
SHOWN = 8
INK, ACCENT, SOFT = "#687080", "#d9822b", "#3b82c4"


def svg(figure: Figure) -> str:
    """The figure without XML head, its text as text."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "onnx2snn"}):
        figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    _plain(axes)
    return figure, axes


def _plain(axes: Any) -> None:
    axes.tick_params(colors=INK, labelsize=8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def short(name: str) -> str:
    """A layer's name, cut from the left."""
    return name if len(name) <= 28 else f"…{name[-27:]}"


def spikes_by_layer(facts: Facts) -> str:
    """Spikes per neuron, a bar a layer."""
    figure, axes = _figure(6.4, 0.6 + 0.3 * len(facts.layers))
    rows = np.arange(len(facts.layers))
    axes.barh(rows, [layer.spikes_per_neuron for layer in facts.layers], color=ACCENT)
    axes.set_yticks(rows, [short(layer.name) for layer in facts.layers])
    axes.invert_yaxis()
    axes.set_xlabel(f"spikes per neuron, in T = {facts.timesteps} steps")
    return svg(figure)


def energy(facts: Facts) -> str:
    """ANN against SNN."""
    figure, axes = _figure(6.4, 1.4)
    pairs = [("SNN", facts.energy_snn, ACCENT)]
    if not np.isnan(facts.energy_ann):
        pairs.append(("ANN", facts.energy_ann, SOFT))
    for row, (name, joules, colour) in enumerate(pairs):
        axes.barh(row, joules * 1e6, color=colour)
        axes.text(joules * 1e6, row, f" {joules * 1e6:.3g} µJ", va="center", color=INK, fontsize=8)
        del name
    axes.set_yticks(range(len(pairs)), [name for name, _, _ in pairs])
    axes.set_xlabel("energy of one sample, µJ (45 nm)")
    return svg(figure)


def levels(facts: Facts) -> str:
    """Distribution of levels, a small panel a layer."""
    columns = 3
    rows = -(-len(facts.layers) // columns)
    figure = Figure(figsize=(6.4, 1.5 * rows))
    for number, layer in enumerate(facts.layers):
        axes = figure.add_subplot(rows, columns, number + 1)
        _plain(axes)
        axes.bar(np.arange(layer.levels + 1), layer.histogram, width=1.0, color=SOFT)
        axes.set_title(short(layer.name)[-22:], fontsize=7, color=INK)
        axes.set_yscale("log")
    figure.tight_layout()
    return svg(figure)


def raster(facts: Facts) -> str:
    """Spikes of one sample, from each layer's busiest neuron to its quietest: layer l fires in steps l·T … (l + 1)·T."""
    T = facts.timesteps
    figure, axes = _figure(6.4, 0.8 + 0.09 * SHOWN * len(facts.layers))
    top = 0
    for position, layer in enumerate(facts.layers):
        train = facts.trace.spikes[layer.name][:, 0].reshape(T, -1).astype(np.int64)
        busy = np.argsort(-train.sum(axis=0), kind="stable")
        busy = busy[: max(SHOWN, int((train.sum(axis=0) > 0).sum()))]
        chosen = np.sort(busy[np.linspace(0, len(busy) - 1, min(SHOWN, len(busy))).astype(np.int64)])
        steps, rows = np.nonzero(train[:, chosen])
        axes.vlines(position * T + steps + 1, top + rows - 0.4, top + rows + 0.4, color=ACCENT, linewidth=2.5)
        axes.text(
            (len(facts.layers)) * T + 0.7,
            top + SHOWN / 2,
            short(layer.name)[-20:],
            fontsize=6,
            color=INK,
            va="center",
        )
        axes.axhline(top - 1, color=INK, linewidth=0.3)
        top += SHOWN + 2
    axes.set_xlim(0.5, len(facts.layers) * T + 0.5)
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.set_xlabel("time step")
    return svg(figure)


def potentials(facts: Facts) -> str:
    """Membrane potentials of the busiest neuron of each layer, for one sample: integration, then generation."""
    T = facts.timesteps
    figure, axes = _figure(6.4, 2.2)
    for layer in facts.layers[:5]:
        train = facts.trace.spikes[layer.name][:, 0].reshape(T, -1)
        course = facts.trace.potentials[layer.name][:, 0].reshape(2 * T, -1)
        busiest = int(np.argmax(train.sum(axis=0)))
        values = course[:, busiest]
        scale = float(np.abs(values).max()) or 1.0
        axes.step(np.arange(1, 2 * T + 1), values / scale, where="mid", label=short(layer.name)[-20:])
    axes.axvline(T + 0.5, color=INK, linewidth=0.5, linestyle=":")
    axes.set_xlabel("time step of the layer: integration | generation")
    axes.set_ylabel("v, relative")
    axes.legend(fontsize=6, frameon=False, labelcolor=INK)
    return svg(figure)


def picture(facts: Facts) -> str:
    """The sample that raster and potentials show: an image, or a trace of its values."""
    value = next(iter(facts.example.values()))[0]
    figure = Figure(figsize=(2.2, 2.2))
    axes = figure.add_subplot()
    image = _as_image(value)
    if image is None:
        _plain(axes)
        axes.plot(value.ravel(), color=SOFT, linewidth=0.8)
    else:
        axes.imshow(image, cmap="gray")
        axes.set_axis_off()
    return svg(figure)


def _as_image(value: Any) -> Any:
    if value.ndim != 3 or min(value.shape[1:]) < 4:
        return None
    span = float(np.ptp(value)) or 1.0
    scaled = (value - value.min()) / span
    if value.shape[0] == 3:
        return np.moveaxis(scaled, 0, -1)
    return scaled[0] if value.shape[0] == 1 else None
