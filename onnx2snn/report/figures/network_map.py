"""The network as a map: rows of text, and beside them the lines between its layers, coloured by spike rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from onnx2snn.naming import Label, cut
from onnx2snn.report.report_facts import LayerFacts, ReportFacts
from onnx2snn.report.topology import Lanes, Stop, edges_of, lanes_of
from onnx2snn.units import percent, si, things

#: Pixels: height of a row, by the kind of stop.
_HEIGHT = {"layer": 54, "join": 24}
_OTHER = 36
#: Pixels: widest distance of two lanes, and of all of them together.
_LANE, _LANES = 20, 120
_MARGIN = 13
#: Letters of a name, at most: on a desk and on a phone.
_NAME, _BRIEF = 40, 22


@dataclass(frozen=True)
class Row:
    """One row of the map.

    Attributes:
        kind: Of its stop.
        height: Pixels.
        name: As it is shown.
        brief: As it is shown where there is little room.
        title: Whole, for who points at it.
        detail: What is there, in words.
        rate: Spike rate of a layer, in words; "" elsewhere.
        share: Spike rate, relative to the network's highest, 0 … 1.
    """

    kind: str
    height: int
    name: str
    brief: str
    title: str
    detail: str
    rate: str
    share: float


@dataclass(frozen=True)
class Map:
    """The map, ready to stand in the page.

    Attributes:
        rows: From the input to the outputs.
        lines: SVG of lanes and stops, as high as all rows.
        width: Of it, pixels.
        highest: The highest spike rate, which has the full colour.
        label: What the map shows, in a sentence.
    """

    rows: tuple[Row, ...]
    lines: str
    width: int
    highest: float
    label: str


def draw_map(facts: ReportFacts) -> Map:
    """All stops of the network, from the input to the outputs."""
    layers = {layer.name: layer for layer in facts.layers}
    highest = max((layer.rate for layer in facts.layers), default=0.0)
    rows = tuple(_row(stop, layers.get(stop.name), facts.labels, highest) for stop in facts.stops)
    lanes = lanes_of(facts.stops)
    spacing = min(_LANE, _LANES / lanes.count)
    width = round(2 * _MARGIN + spacing * (lanes.count - 1))
    branches = sum(len(stop.sources) > 1 for stop in facts.stops)
    label = (
        f"{things(len(facts.layers), 'layer')} of neurons, {facts.latency.depth} one after another on the longest path, "
        + (
            f"{branches} {'place' if branches == 1 else 'places'} where branches meet"
            if branches
            else "no branches"
        )
    )
    return Map(rows, _lines(facts.stops, rows, lanes, spacing, width), width, highest, label)


def _row(stop: Stop, layer: LayerFacts | None, labels: Mapping[str, Label], highest: float) -> Row:
    height = _HEIGHT.get(stop.kind, _OTHER)
    way = ", ".join(word.replace(", ", " ") for word in stop.operators)
    if layer is None:
        if stop.kind == "join":
            return Row("join", height, way, way, way, "", "", 0.0)
        words = "does not spike" if stop.kind == "operator" else stop.kind
        detail = " · ".join(filter(None, (words, way)))
        names = (cut(stop.name, _NAME), cut(stop.name, _BRIEF), stop.name)
        return Row(stop.kind, height, *names, detail, "", 0.0)
    shape = "×".join(map(str, layer.shape))
    silent = f", {percent(layer.silent, 0)} silent" if layer.silent >= 0.005 else ""
    arrow = f"{way} → " if way else ""
    detail = f"{arrow}{things(layer.neurons, 'neuron')}" + (f" ({shape})" if len(layer.shape) > 1 else "")
    synops = "" if layer.synops is None else f" · {si(layer.synops)} SynOps"
    share = layer.rate / highest if highest else 0.0
    return Row(
        "layer",
        height,
        labels[layer.name].fit(_NAME),
        labels[layer.name].fit(_BRIEF),
        layer.name,
        detail + silent + synops,
        f"{layer.rate:.3f}",
        share,
    )


def _lines(stops: Sequence[Stop], rows: Sequence[Row], lanes: Lanes, spacing: float, width: int) -> str:
    tops = [sum(row.height for row in rows[:position]) for position in range(len(rows) + 1)]
    y = [top + row.height / 2 for top, row in zip(tops, rows, strict=False)]
    x = [_MARGIN + spacing * lane for lane in lanes.of]
    paths = []
    for position, last in enumerate(lanes.last):
        if last > position + 1:  # the line on which its later readers hang
            paths.append(f"M{x[position]:g} {y[position]:g}V{y[last - 1]:g}")
    for source, target in edges_of(stops):
        start, end = y[target - 1], y[target]
        middle = (start + end) / 2
        way = (
            f"V{end:g}"
            if x[source] == x[target]
            else f"C{x[source]:g} {middle:g} {x[target]:g} {middle:g} {x[target]:g} {end:g}"
        )
        paths.append(f"M{x[source]:g} {start:g}{way}")
    dots = [_dot(row, across, down) for row, across, down in zip(rows, x, y, strict=True)]
    return (
        f'<svg class="lanes" aria-hidden="true" width="{width}" height="{tops[-1]}" viewBox="0 0 {width} {tops[-1]}">'
        f'<path class="wire" d="{"".join(paths)}"/>{"".join(dots)}</svg>'
    )


def _dot(row: Row, x: float, y: float) -> str:
    if row.kind == "layer":
        strength = 0.06 + 0.94 * row.share
        title = f"<title>{escape(row.title)}: spike rate {row.rate}</title>"
        return (
            f'<circle class="ground" cx="{x:g}" cy="{y:g}" r="8.5"/>'
            f'<circle class="neuron" cx="{x:g}" cy="{y:g}" r="8.5" fill-opacity="{strength:.3f}">{title}</circle>'
        )
    if row.kind == "join":
        return f'<circle class="stop" cx="{x:g}" cy="{y:g}" r="3.5"/>'
    return f'<rect class="stop {row.kind}" x="{x - 6:g}" y="{y - 6:g}" width="12" height="12" rx="2.5"/>'
