"""Notes on layers, and what to try next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from onnx2snn.units import count, things

if TYPE_CHECKING:
    from onnx2snn.dialect.layer_table import NonSpikingOperator


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


def exact_lines(facts: Mapping[str, Any]) -> list[Text]:
    """The grids of inputs, and which layers float32 computes exactly: a line for each that it does not."""
    lines = [
        Text(f"input {one['name']}: multiples of {one['step']:g} between {one['low']:g} and {one['high']:g}")
        for one in facts["inputs"]
    ]
    layers = [layer for layer in facts["layers"] if layer["neurons"]]
    done = sum(layer["exact"] for layer in layers)
    lines.append(Text(f"exact in float32: {done} of {things(len(layers), 'layer')}"))
    left = [layer for layer in facts["layers"] if not layer["exact"]]
    return lines + [Text(f"not exact: {layer['name']}: {layer['reason']}", style="yellow") for layer in left]


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
