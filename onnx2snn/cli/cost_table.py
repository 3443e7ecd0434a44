"""What a network answered and spent, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from onnx2snn.cli.fitted_tables import make_table, names_of
from onnx2snn.cli.terminal import Terminal
from onnx2snn.units import count, duration, percent, si

if TYPE_CHECKING:
    from onnx2snn.evaluation import Evaluation

_QUANTITIES = (
    ("spikes", "spikes", ""),
    ("synaptic operations", "synops", ""),
    ("energy of the SNN", "energy/snn", "J"),
    ("energy of its ANN", "energy/ann", "J"),
)


def show_costs(terminal: Terminal, evaluation: Evaluation, seconds: float) -> None:
    """Accuracy, the layers, and per sample the spread of spikes, synaptic operations and energy."""
    rate = evaluation.samples / seconds
    terminal.show(f"{count(evaluation.samples)} samples in {duration(seconds)}, {rate:,.0f} a second")
    if evaluation.accuracy is not None:
        terminal.show(f"accuracy: [bold]{percent(evaluation.accuracy)}[/bold]")
    terminal.show("", _layers(evaluation), "", _spread(evaluation))
    snn, ann = (evaluation.summary(f"energy/{network}") for network in ("snn", "ann"))
    if snn and ann and snn["mean"]:
        factor = ann["mean"] / snn["mean"]
        words = f"{factor:.1f} times less" if factor > 1 else f"{1 / factor:.1f} times more"
        terminal.show(f"energy: {words} than the same network as an ANN")


def _layers(evaluation: Evaluation) -> Table:
    table = make_table("Layer", "Neurons", "T", "Spikes/neuron", "Rate", "SynOps")
    layers = evaluation.to_dict()["layers"]
    names = names_of(layer["name"] for layer in layers)
    for layer in layers:
        table.add_row(
            names[layer["name"]],
            count(layer["neurons"]),
            str(layer["timesteps"]),
            *(f"{layer[key]:.3f}" if layer["spikes"] else "-" for key in ("spikes_per_neuron", "spike_rate")),
            si(layer["synops"]["mean"]) if layer["synops"] else "-",
        )
    return table


def _spread(evaluation: Evaluation) -> Table:
    table = make_table("Per sample", "Mean", "Std", "Min", "Max")
    for title, quantity, unit in _QUANTITIES:
        spread = evaluation.summary(quantity)
        if spread is not None:
            table.add_row(title, *(si(value, unit) for value in spread.values()))
    return table
