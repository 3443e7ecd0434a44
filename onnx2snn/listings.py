"""Every table as people read it, once: the command line, notebooks and ``summary()`` show the same rows.

Nothing here imports more than texts: results on a device have tables too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from onnx2snn.naming import distinct
from onnx2snn.units import count, number, percent, rule, si

#: Letters of a name in plain text, where nobody says how much room there is.
_ROOM = 40
_CELL = "padding: .2em .8em; text-align: {}; font-variant-numeric: tabular-nums"


@dataclass(frozen=True)
class Named:
    """A node's name in a cell, and what stands behind it and is never cut.

    Attributes:
        text: The name.
        more: ``" +4"``: so many nodes more.
    """

    text: str
    more: str = ""

    def __str__(self) -> str:
        return self.text + self.more


Cell = str | Named

LAYER_COLUMNS = ("Layer", "From", "Neurons", "T", "K", "Threshold", "Rounding", "Fan-out")
ACTIVATION_COLUMNS = ("Activation", "T", "K", "θ", "Rounding")
CERTIFICATE_COLUMNS = ("Layer", "Neurons", "Compared", "Exact", "Ambiguous", "Propagated", "Unexplained")
SPIKE_COLUMNS = ("Layer", "Neurons", "T", "Spikes/neuron", "Rate", "SynOps")
CALIBRATION_COLUMNS = ("Layer", "Operator", "T", "K", "Thresholds", "Corrected", "Signal/noise")

#: What stands in a column, in a few words, for the help of commands.
MEANINGS = {
    "Activation": "where it is quantised: a node of the source",
    "Layer": "a layer of neurons, by its node in the spiking network",
    "From": "the first of the source's nodes that it stands for, and how many more",
    "Neurons": "of one sample",
    "T": "time steps in which it can spike: ceil(log2(K + 1)); through L layers an answer takes (L + 1)·T",
    "K": "its highest level: activations have K + 1",
    "Threshold": "the step between levels, θ, in the source's units; a range where channels have their own",
    "θ": "the step between levels, in the source's units; a range where channels have their own",
    "Rounding": "what becomes of values between levels: floor, ceil, or the nearest one, ties to even (half-even)",
    "Fan-out": "how many potentials a spike reaches, on average",
    "Compared": "levels, over all samples",
    "Exact": "the same level in both networks",
    "Ambiguous": "another one, where the potential lies within float32's rounding of the threshold",
    "Propagated": "another one, as levels before it differ",
    "Unexplained": "another one, and nothing explains it: a defect",
    "Spikes/neuron": "of a sample",
    "Rate": "spikes a neuron and time step",
    "SynOps": "synaptic operations of a sample: potentials that its spikes reach",
    "Operator": "what it was in the float network",
    "Thresholds": "one, or one a channel",
    "Corrected": "what was fitted to the float network: channels' means, or the weights in front too",
    "Signal/noise": "its activations against the float network's",
}


@dataclass(frozen=True)
class Listing:
    """A table.

    Attributes:
        columns: Their heads.
        rows: Their cells; the first ``names`` hold names of nodes.
        names: How many columns do.
        marked: Positions of rows that are to be seen first.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: int = 1
    marked: frozenset[int] = frozenset()

    def text(self, *lines: str) -> str:
        """In plain letters, below ``lines``; long names show what tells them from their fellows.

        >>> print(Listing(("Layer", "T"), ((Named("a/x/n"), "4"), (Named("b/x/n"), "12"))).text("Two layers"))
        Two layers
        Layer   T
        a/x/n   4
        b/x/n  12
        """
        if not self.rows:
            return "\n".join(lines)
        cells = [list(self.columns), *([str(cell) for cell in row] for row in self.rows)]
        for column in range(self.names):
            found = [row[column] for row in self.rows]
            labels = distinct(cell.text for cell in found if isinstance(cell, Named))
            for line, cell in zip(cells[1:], found, strict=True):
                if isinstance(cell, Named):
                    line[column] = labels[cell.text].fit(_ROOM - len(cell.more)) + cell.more
        widths = [max(len(line[column]) for line in cells) for column in range(len(self.columns))]
        shown = ("  ".join(self._padded(line, widths)).rstrip() for line in cells)
        return "\n".join((*lines, *shown))

    def _padded(self, line: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [
            cell.ljust(width) if column < self.names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]

    def html(self, *lines: str) -> str:
        """As an element of a page, below ``lines``."""
        told = "".join(f"<p>{escape(line)}</p>" for line in lines)
        head = "".join(self._html_cell("th", column, name) for column, name in enumerate(self.columns))
        rows = (
            "".join(self._html_cell("td", column, str(cell)) for column, cell in enumerate(row))
            for row in self.rows
        )
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"{told}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _html_cell(self, tag: str, column: int, text: str) -> str:
        side = _CELL.format("left" if column < self.names else "right")
        return f'<{tag} style="{side}">{escape(text)}</{tag}>'


def layer_listing(layers: Sequence[Mapping[str, Any]]) -> Listing:
    """Name, source, neurons, time steps, levels, threshold, rounding and fan-out of each layer of a layer table."""
    rows: Iterator[tuple[Cell, ...]] = (
        (
            _name(layer),
            _source(layer.get("source_nodes") or ["-"]),
            neurons_of(layer),
            *_texts(layer, "timesteps", "levels"),
            *_staircase(layer),
            f"{layer['fan_out']:.1f}",
        )
        for layer in layers
    )
    return Listing(LAYER_COLUMNS, tuple(rows), names=2)


def _name(entry: Mapping[str, Any]) -> Named:
    return Named(entry["name"])


def _texts(entry: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    return tuple(str(entry[key]) for key in keys)


def _staircase(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Threshold and rounding."""
    return number(entry["threshold"]), rule(entry["rounding"])


def _noise(entry: Mapping[str, Any]) -> str:
    decibels: float | None = entry["signal_to_noise"]
    return "-" if decibels is None else f"{decibels:.1f} dB"


def _source(nodes: Sequence[str]) -> Named:
    """The first of the source's nodes that a layer stands for, and how many more there are."""
    return Named(nodes[0], f" +{len(nodes) - 1}" if len(nodes) > 1 else "")


def neurons_of(layer: Mapping[str, Any]) -> str:
    """Of one sample; with open sizes, the shape: ``16 × ? × ?``."""
    shape: Sequence[int | None] = layer.get("shape", ())
    if None in shape:
        return " × ".join("?" if size is None else str(size) for size in shape)
    return count(layer["neurons"])


def activation_listing(activations: Iterable[Mapping[str, Any]]) -> Listing:
    """The quantised activations of a network, each with its staircase; nodes are not among the columns."""
    rows: Iterator[tuple[Cell, ...]] = (
        (
            _name(found),
            *_texts(found, "timesteps", "levels"),
            *_staircase(found),
        )
        for found in activations
    )
    return Listing(ACTIVATION_COLUMNS, tuple(rows))


_COUNTED = ("neurons", "levels_compared", "exact", "ambiguous", "propagated", "unexplained")


def certificate_listing(layers: Sequence[Mapping[str, Any]]) -> Listing:
    """How many levels of each layer are the same, and why the others are not."""
    rows: Iterator[tuple[Cell, ...]] = (
        (_name(layer), *(count(layer[column]) for column in _COUNTED)) for layer in layers
    )
    marked = frozenset(place for place, layer in enumerate(layers) if layer["unexplained"])
    return Listing(CERTIFICATE_COLUMNS, tuple(rows), marked=marked)


def nearness_listing(layers: Iterable[Mapping[str, Any]]) -> Listing:
    """How near the spikes of each layer come to the source's values, where there is nothing to certify."""
    rows = (
        (
            _name(layer),
            count(layer["neurons"]),
            percent(layer["exact"] / max(layer["levels_compared"], 1)),
            _noise(layer),
        )
        for layer in layers
    )
    return Listing(("Layer", "Neurons", "Nearest level", "Signal/noise"), tuple(rows))


def spike_listing(layers: Iterable[Mapping[str, Any]]) -> Listing:
    """Spikes of each layer, a neuron and time step, and the synaptic operations that they cause, a sample."""
    rows: Iterator[tuple[Cell, ...]] = (
        (
            _name(layer),
            count(layer["neurons"]),
            str(layer["timesteps"]),
            *(f"{layer[key]:.3f}" if layer["spikes"] else "-" for key in ("spikes_per_neuron", "spike_rate")),
            si(layer["synops"]["mean"]) if layer["synops"] else "-",
        )
        for layer in layers
    )
    return Listing(SPIKE_COLUMNS, tuple(rows))


def train_listing(layers: Iterable[tuple[str, Sequence[int], int]]) -> Listing:
    """Shape and spikes of the spike trains of each layer."""
    rows = (
        (
            Named(name),
            " × ".join(map(str, shape)),
            count(spikes),
        )
        for name, shape, spikes in layers
    )
    return Listing(("Layer", "T × samples × neurons", "Spikes"), tuple(rows))


def change_listing(changes: Iterable[Mapping[str, Any]]) -> Listing:
    """What rounding to grids did to the weights of each layer of synapses."""
    rows = ((_name(one), str(one["bits"]), percent(one["weights"])) for one in changes)
    return Listing(("Synapses", "Bits", "Weights changed"), tuple(rows))


def calibration_listing(layers: Iterable[Mapping[str, Any]]) -> Listing:
    """The staircases that calibration chose."""
    rows: Iterator[tuple[Cell, ...]] = (
        (
            _name(layer),
            layer["operator"],
            *_texts(layer, "timesteps", "levels"),
            count(layer["thresholds"]),
            layer["correction"],
            _noise(layer),
        )
        for layer in layers
    )
    return Listing(CALIBRATION_COLUMNS, tuple(rows))
