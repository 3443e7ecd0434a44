"""Figures of one result are those of the report, drawn for whoever asks."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Example
from helpers_tables import with_tables

import onnx2snn
from onnx2snn.report.figures import drawing
from onnx2snn.report.sample import layer_sample
from onnx2snn.runtime import SpikingSession, Trace


@pytest.fixture(scope="module")
def session(example: Example) -> SpikingSession:
    return SpikingSession(example.snn)


@pytest.fixture(scope="module")
def images(example: Example) -> np.ndarray:
    with np.load(example.data) as data:
        return data["image"][:8]


def words(figure: object) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(match=lambda part: hasattr(part, "get_text")))  # type: ignore[attr-defined]


def test_neurons_with_a_table_have_no_threshold_to_measure_by(example: Example, images: np.ndarray) -> None:
    """They take nothing from their potential, and a level that nothing reaches has an infinite threshold."""
    tabled = with_tables(onnx2snn.convert(example.ann).model)
    trace = SpikingSession(tabled).trace(images[:1])
    name = next(iter(trace.spikes))
    trace.thresholds[name] = np.full_like(trace.thresholds[name], np.inf)
    for layer in trace.spikes:
        assert np.isfinite(layer_sample(layer, (), trace).potentials).all()
    assert "Membrane potentials" in words(trace.plot())


def test_a_trace_shows_raster_potentials_and_bits(session: SpikingSession, images: np.ndarray) -> None:
    trace = session.trace(images)
    name = session.layers[0]["name"]
    figure = trace.plot(2, neurons={name: [5]})
    text = words(figure)
    for word in ("12 to an answer", "Membrane potentials", "Neurons that spike, by bit", "neuron 5: k ="):
        assert word in text
    counts = int((trace.spikes[name][:, 2].any(axis=0)).sum())
    assert f"{counts:,} of 144 spike" in text
    dashes = sum(len(part.get_segments()) for part in figure.subfigs[0].axes[0].collections)
    assert dashes > 0
    assert {p.get_facecolor() for p in figure.subfigs[2].axes[0].patches} != set()


def test_a_result_shows_rates_and_both_energies(session: SpikingSession, images: np.ndarray) -> None:
    result = session.run(images)
    text = words(result.plot())
    for word in ("Spikes a neuron and time step", "32-bit float", "8-bit integer", "SNN", "ANN"):
        assert word in text
    for layer in result.layers():
        assert f" {layer['spike_rate']:.3f}" in text


def test_a_certificate_shows_what_differs(example: Example, images: np.ndarray) -> None:
    certificate = onnx2snn.verify(example.ann, example.snn, images)
    text = words(certificate.plot())
    for word in ("lossless", "ambiguous", "propagated", "unexplained"):
        assert word in text


def test_colours_of_the_page_come_back(session: SpikingSession, images: np.ndarray) -> None:
    before = dict(drawing.COLOURS)
    session.trace(images).plot()
    assert before == drawing.COLOURS


def test_what_cannot_be_drawn_says_so(
    session: SpikingSession, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = session.trace(images)
    for options, match in (
        ({"sample": 8}, "no sample 8"),
        ({"neurons": {"act9": [1]}}, "no layer"),
    ):
        with pytest.raises(onnx2snn.InputError, match=match):
            trace.plot(**options)
    with pytest.raises(onnx2snn.InputError, match="counts nothing"):
        session.run(images, count="nothing").plot()
    rate = Trace(
        trace.spikes, trace.potentials, trace.thresholds, trace.resets, dict(trace.table, coding="rate")
    )
    with pytest.raises(onnx2snn.InputError, match="rate-coded"):
        rate.plot()
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(onnx2snn.OutputError, match="matplotlib"):
        trace.plot()
