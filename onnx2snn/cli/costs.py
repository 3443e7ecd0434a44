"""What a network answered and spent, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx2snn.cli.tables import Name, make_table
from onnx2snn.cli.terminal import Terminal
from onnx2snn.cli.units import count, duration, percent, si

if TYPE_CHECKING:
    from onnx2snn.evaluation import Evaluation


def show_costs(terminal: Terminal, evaluation: Evaluation, seconds: float) -> None:
    """Accuracy, and per sample the spread of spikes, synaptic operations and energy."""
    rate = evaluation.samples / seconds
    terminal.show(f"{count(evaluation.samples)} samples in {duration(seconds)}, {rate:,.0f} a second")
    if evaluation.accuracy is not None:
        terminal.show(f"accuracy: [bold]{percent(evaluation.accuracy)}[/bold]")
    table = make_table("Per sample", "Mean", "Std", "Min", "Max")
    quantities = [("spikes", "spikes", ""), ("synaptic operations", "synops", "")]
    quantities += [("energy, spiking", "energy/snn", "J"), ("energy, its ANN", "energy/ann", "J")]
    for title, quantity, unit in quantities:
        table.add_row(title, *(si(value, unit) for value in evaluation[quantity].summary().values()))
    for name in evaluation.layers:
        spread = evaluation[f"spikes/{name}"].summary()
        table.add_row(Name(f"spikes of {name}"), *(si(value) for value in spread.values()), style="dim")
    terminal.show(table)
