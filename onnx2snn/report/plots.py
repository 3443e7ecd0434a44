"""The report's figures of one result, as figures of Matplotlib: for notebooks, and for papers (extra ``report``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InputError
from onnx2snn.naming import distinct
from onnx2snn.report.energy_facts import TABLES, EnergyFacts
from onnx2snn.report.sample import check_names, layer_sample, must_be_binary
from onnx2snn.report.write import require_libraries
from onnx2snn.units import steps_in_words, steps_to_answer, things

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from onnx2snn.certificate import Certificate
    from onnx2snn.runtime import Result, Trace

#: Why levels differ, and in which colour that is drawn.
_CAUSES = (("ambiguous", "other"), ("propagated", "third"), ("unexplained", "spike"))


@dataclass(frozen=True)
class _Place:
    """A layer of a layer table, as a raster shows it."""

    name: str
    neurons: int
    phase: int


def plot_trace(trace: Trace, sample: int, neurons: Mapping[str, Sequence[Any]]) -> Figure:
    """Raster, membrane potentials and spikes per bit, side by side: see :meth:`onnx2snn.runtime.Trace.plot`."""
    require_libraries()
    from onnx2snn.report.figures import drawing, spikes, spread  # noqa: PLC0415 - an extra

    table, names = trace.table, list(trace.spikes)
    must_be_binary(table, remedy="take its arrays: trace.spikes, trace.potentials")
    count = trace.spikes[names[0]].shape[1]
    if not 0 <= sample < count:
        raise InputError(
            f"there is no sample {sample}",
            found=things(count, "sample"),
            remedy=f"choose one from 0 to {count - 1}",
        )
    check_names(neurons, names)
    samples = [layer_sample(name, neurons.get(name, ()), trace, sample) for name in names]
    raster = [samples[i] for i in spikes.picked(samples, drawing.MOST_LAYERS)]
    watched = [samples[i] for i in spikes.picked(samples, spikes.PANELS)]
    rows = drawing.chosen(len(names), spread.MOST_ROWS)
    T, labels = int(table["timesteps"]), distinct(names)
    places = _places(trace)
    shares = [(labels[name], _bits(trace, name, sample)) for name in (names[i] for i in rows)]
    heights = (
        spikes.raster_height(raster),
        spikes.potentials_height(len(watched)),
        spread.bits_height(len(rows)),
    )

    def draw(left: SubFigure, middle: SubFigure, right: SubFigure) -> None:
        pairs = [(places[one.name], one) for one in raster]
        spikes.draw_raster(
            left.subplots(), pairs, labels, T, 1 + max(place.phase for place in places.values())
        )
        spikes.draw_potentials(drawing.panels_of(middle, len(watched), sharex=True), watched, labels, T)
        spread.draw_bits(right.subplots(), shares, T)

    steps = steps_to_answer(T, table.get("depth"))
    titles = (f"Spikes: {steps_in_words(T, steps)}", "Membrane potentials", "Neurons that spike, by bit")
    return _side_by_side(draw, titles, heights)


def plot_result(result: Result) -> Figure:
    """Spike rates by layer, and energy: see :meth:`onnx2snn.runtime.Result.plot`."""
    require_libraries()
    from onnx2snn.report.figures import costs, drawing, rates  # noqa: PLC0415 - an extra

    if not result.spikes:
        raise InputError("this result counts nothing", remedy='run with count="synops"')
    layers, energies = result.layers(), _energies(result)

    def draw(left: SubFigure, right: SubFigure) -> None:
        rates.draw_rates(left.subplots(), [(layer["name"], layer["spike_rate"]) for layer in layers])
        for axes, energy in zip(drawing.panels_of(right, len(energies)), energies, strict=True):
            costs.draw_bars(axes, energy)

    titles = ("Spikes a neuron and time step", "Energy of a sample")
    return _side_by_side(draw, titles[:2], (rates.rates_height(len(layers)), 0.4 + 1.05 * len(energies)))


def plot_certificate(certificate: Certificate) -> Figure:
    """Levels that differ, by cause: see :meth:`onnx2snn.certificate.Certificate.plot`."""
    require_libraries()
    from onnx2snn.report.figures import rates  # noqa: PLC0415 - an extra

    layers = certificate.layers
    counts = {cause: [getattr(layer, cause) for layer in layers] for cause, _ in _CAUSES}

    def draw(only: SubFigure) -> None:
        rates.draw_counts(only.subplots(), [layer.name for layer in layers], counts, dict(_CAUSES))

    compared = sum(layer.levels_compared for layer in layers)
    verdict = (
        "an approximation"
        if certificate.approximate
        else "lossless"
        if certificate.lossless
        else "not lossless"
    )
    differ = any(map(any, counts.values()))
    title = f"{verdict}: {'levels that differ' if differ else 'none differs'}, of {compared:,}"
    return _side_by_side(draw, (title,), (0.5 + rates.rates_height(len(layers)),))


def _side_by_side(draw: Callable[..., None], titles: Sequence[str], heights: Sequence[float]) -> Figure:
    """A figure of parts, each as wide as on the report's page."""
    from onnx2snn.report.figures import drawing  # noqa: PLC0415

    def whole() -> Figure:
        figure, parts = drawing.new_parts(len(titles), 0.3 + max(heights))
        for part, title in zip(parts, titles, strict=True):
            part.suptitle(title, fontsize=10, x=0.02, ha="left")
        draw(*parts)
        return figure

    with drawing.on_white():
        return drawing.in_style(whole)()


def _places(trace: Trace) -> dict[str, _Place]:
    """By name; of files that do not say when a layer spikes, one after the other."""
    return {
        layer["name"]: _Place(
            layer["name"],
            int(np.prod(trace.spikes[layer["name"]].shape[2:])),
            int(layer.get("phase") or number + 1),
        )
        for number, layer in enumerate(trace.table["layers"])
    }


def _bits(trace: Trace, name: str, sample: int) -> NDArray[np.float64]:
    train = trace.spikes[name][:, sample]
    shares: NDArray[np.float64] = train.reshape(len(train), -1).mean(axis=1, dtype=np.float64)
    return shares


def _energies(result: Result) -> list[EnergyFacts]:
    """Means over the samples, by both tables; none where nothing that costs was counted."""
    if not result.synops:
        return []
    synops = float(sum(counted.mean() for counted in result.synops.values()))
    priced = ((table, result.priced(table)) for table in TABLES)
    return [EnergyFacts.of(table, synops, _mean(spent.snn), _mean(spent.ann)) for table, spent in priced]


def _mean(joules: NDArray[np.float64]) -> float | None:
    return None if np.isnan(joules).any() else float(joules.mean())
