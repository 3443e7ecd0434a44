"""The table of neuron layers, and what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from onnx2snn.cli.tables import Name, make_table
from onnx2snn.units import count, number

if TYPE_CHECKING:
    from onnx2snn.dialect import NonSpikingOperator


def layer_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Name, source, neurons, time steps, levels, threshold, rounding and fan-out of each layer."""
    table = make_table("Layer", "From", "Neurons", "T", "K", "Threshold", "Rounding", "Fan-out", names=2)
    for layer in layers:
        table.add_row(
            Name(layer["name"]),
            Name(_source(layer.get("source_nodes") or ())),
            count(layer["neurons"]),
            str(layer["timesteps"]),
            str(layer["levels"]),
            number(layer["threshold"]),
            str(layer["rounding"]).replace("half_", "half-"),
            f"{layer['fan_out']:.1f}",
        )
    return table


def _source(nodes: Sequence[str]) -> str:
    if not nodes:
        return "-"
    return nodes[0] if len(nodes) == 1 else f"{nodes[0]} +{len(nodes) - 1}"


def non_spiking_notes(kept: Sequence[NonSpikingOperator], macs: Mapping[str, int | None]) -> list[Text]:
    """One line for each operator that was kept as it is, and what remains of the multiply-accumulates."""
    notes = [Text(f"not spiking: {k.name} ({k.operator}): {k.reason}", style="yellow") for k in kept]
    remaining, whole = macs.get("non_spiking"), macs.get("ann")
    if notes and remaining is not None and whole:
        share = f"{remaining / whole:.1%} of the multiply-accumulates are not spiking ({count(remaining)} of {count(whole)})"
        notes.append(Text(share, style="yellow"))
    return notes


def next_commands(*commands: str) -> Text:
    """What a newcomer can try now."""
    text = Text("\nNext:", style="bold")
    for command in commands:
        text.append(f"\n  {command}", style="not bold cyan")
    return text
