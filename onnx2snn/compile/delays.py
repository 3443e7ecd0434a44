"""Delay lines of a pipeline: which tensors are read late, and by how many phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx

from onnx2snn.compile.draft import Draft, is_neuron, is_own, reads
from onnx2snn.compile.schedule import Kind, Schedule

#: Operators that move spikes, and add none.
_MOVING = ("Concat", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")


@dataclass(frozen=True)
class Line:
    """What a tensor held in the phases before.

    Attributes:
        tensor: Its name.
        phases: The longest delay at which it is read.
        rate: Values a phase: T of a train, one of an analog value.
        spikes: Whether it holds zeros and ones: a neuron's spikes.
    """

    tensor: str
    phases: int
    rate: int
    spikes: bool


def delay_lines(draft: Draft, schedule: Schedule, timesteps: int) -> dict[str, Line]:
    """The lines of a network, by tensor."""
    longest: dict[str, int] = {}
    for position, reader in enumerate(draft.nodes):
        for name in reads(reader):
            longest[name] = max(longest.get(name, 0), schedule.delay(position, name))
    for name in draft.outputs:
        longest[name] = max(longest.get(name, 0), schedule.output_delay(name))
    spikes = _spikes(draft)
    rates = {Kind.TRAIN: timesteps, Kind.ANALOG: 1}
    return {
        name: Line(name, longest[name], rates[schedule.kinds[name]], name in spikes)
        for name in sorted(longest)
        if longest[name] > 0
    }


def _spikes(draft: Draft) -> set[str]:
    """Tensors of zeros and ones: what neurons make, and what only moves it."""
    found: set[str] = set()
    for node in draft.nodes:
        read = [name for name in node.input if name in draft.producers]
        if is_neuron(node) or (is_own(node, *_MOVING) and read and found.issuperset(read)):
            found.update(node.output)
    return found


def renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A node that reads other tensors, inside its subgraphs too."""
    if all(names.get(name, name) == name for name in reads(node)):
        return node
    other = onnx.NodeProto()
    other.CopyFrom(node)
    other.input[:] = [names.get(name, name) for name in node.input]
    for attribute in other.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            made = {name for inner in graph.node for name in inner.output}
            made |= {i.name for i in graph.input} | {i.name for i in graph.initializer}
            outer = {name: new for name, new in names.items() if name not in made}
            inside = [renamed(inner, outer) for inner in graph.node]
            del graph.node[:]
            graph.node.extend(inside)
    return other
