"""What a network answered and spent, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.cli.terminal import Terminal
from onnx2snn.listings import Listing, spike_listing
from onnx2snn.units import count, duration, percent, si, steps_in_words, times_less

if TYPE_CHECKING:
    from onnx2snn.evaluation import Evaluation

_QUANTITIES = (
    ("spikes", "spikes", ""),
    ("synaptic operations", "synops", ""),
    ("SNN, 32-bit float", "energy/snn", "J"),
    ("ANN, 32-bit float", "energy/ann", "J"),
    ("SNN, 8-bit integer", "energy8/snn", "J"),
    ("ANN, 8-bit integer", "energy8/ann", "J"),
)
_UNCOUNTED = "no spikes: this file does not count them (onnx2snn compile SNN.onnx FAST.onnx --count synops)"
_TABLES = (("32-bit float", "float32"), ("8-bit integer", "int8"))


def show_costs(terminal: Terminal, evaluation: Evaluation, seconds: float) -> None:
    """Accuracy, the layers, and per sample the spread of spikes, synaptic operations and energy."""
    rate = evaluation.samples / seconds
    terminal.show(f"{count(evaluation.samples)} samples in {duration(seconds)}, {rate:,.0f} a second")
    if evaluation.accuracy is not None:
        terminal.show(f"accuracy: [bold]{percent(evaluation.accuracy)}[/bold]")
    facts = evaluation.to_dict()
    if facts["layers"]:
        terminal.show(steps_in_words(facts["timesteps"], facts["steps_to_answer"]))
        if any(layer["spikes"] for layer in facts["layers"]):
            terminal.show("", fitted(spike_listing(facts["layers"])))
        else:
            terminal.show(Text(_UNCOUNTED))
    terminal.show("", _spread(evaluation))
    for title, name in _TABLES:
        terminal.show(*_compared(title, facts["energy"][name], facts["memory_model"]))


def _spread(evaluation: Evaluation) -> Table:
    rows = []
    for title, quantity, unit in _QUANTITIES:
        spread = evaluation.summary(quantity)
        if spread is not None:
            rows.append((title, *(si(value, unit) for value in spread.values())))
    return fitted(Listing(("Per sample", "Mean", "Std", "Min", "Max"), tuple(rows)))


def _compared(title: str, energy: Mapping[str, Mapping[str, float]], model: str) -> list[str]:
    """One line: how much less than the ANN, in operations alone, and with what memory accesses cost."""
    snn, ann, memory = energy["snn"], energy["ann"], energy["memory"]
    if not (snn and ann and snn["mean"] and memory["snn"] and memory["ann"]):
        return []
    operations = times_less(snn["mean"], ann["mean"])
    whole, beside = snn["mean"] + memory["snn"], ann["mean"] + memory["ann"]
    line = f"energy, {title}: {operations} than the same network as an ANN; with memory accesses ({model}) "
    return [f"{line}{si(whole, 'J')} beside {si(beside, 'J')}, {times_less(whole, beside)}"]
