"""The table of neuron layers, and what to try next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from onnx2snn.cli.fitted_tables import Name, make_table, names_of
from onnx2snn.units import count, number, rule

if TYPE_CHECKING:
    from onnx2snn.dialect.layer_table import NonSpikingOperator


def layer_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Name, source, neurons, time steps, levels, threshold, rounding and fan-out of each layer."""
    table = make_table("Layer", "From", "Neurons", "T", "K", "Threshold", "Rounding", "Fan-out", names=2)
    names = names_of(layer["name"] for layer in layers)
    sources = _sources(layers)
    for layer in layers:
        table.add_row(
            names[layer["name"]],
            sources[layer["name"]],
            neurons_of(layer),
            str(layer["timesteps"]),
            str(layer["levels"]),
            number(layer["threshold"]),
            rule(layer["rounding"]),
            f"{layer['fan_out']:.1f}",
        )
    return table


def neurons_of(layer: Mapping[str, Any]) -> str:
    """Of one sample; with open sizes, the shape: ``16 × ? × ?``."""
    shape = layer.get("shape", ())
    if None in shape:
        return " × ".join("?" if size is None else str(size) for size in shape)
    return count(layer["neurons"])


def _sources(layers: Sequence[Mapping[str, Any]]) -> dict[str, Name]:
    """By layer, the first of the source's nodes that it stands for, and how many more there are."""
    nodes = {layer["name"]: layer.get("source_nodes") or ["-"] for layer in layers}
    names = names_of(found[0] for found in nodes.values())
    return {
        name: replace(names[found[0]], more=f" +{len(found) - 1}" if len(found) > 1 else "")
        for name, found in nodes.items()
    }


def non_spiking_notes(kept: Sequence[NonSpikingOperator], macs: Mapping[str, int | None]) -> list[Text]:
    """One line for each operator that was kept as it is, and what remains of the multiply-accumulates."""
    notes = [Text(f"not spiking: {k.name} ({k.operator}): {k.reason}", style="yellow") for k in kept]
    remaining, whole = macs.get("non_spiking"), macs.get("ann")
    if notes and remaining is not None and whole:
        share = f"{remaining / whole:.1%} of the multiply-accumulates are not spiking ({count(remaining)} of {count(whole)})"
        notes.append(Text(share, style="yellow"))
    return notes


def dendrite_note(layers: Sequence[Mapping[str, Any]]) -> list[Text]:
    """One line on what neurons compute of potentials, if they do."""
    total: Counter[str] = Counter()
    for layer in layers:
        total.update(layer.get("analog", {}))
    if not total:
        return []
    parts = ", ".join(f"{operator} {count(entries)}" for operator, entries in total.most_common())
    return [Text(f"computed of potentials, in {count(total.total())} operations a sample: {parts}")]


def command_line(*words: str) -> str:
    """An onnx2snn command as a shell takes it: paths with blanks or quotes are quoted.

    >>> command_line("run", "my nets/snn.onnx", "--data", "DATA.npz")
    "onnx2snn run 'my nets/snn.onnx' --data DATA.npz"
    """
    return shlex.join(("onnx2snn", *words))


def next_commands(*commands: str) -> Text:
    """What a newcomer can try now; each as :func:`command_line` writes it."""
    text = Text("\nNext:", style="bold")
    for command in commands:
        text.append(f"\n  {command}", style="not bold cyan")
    return text
