"""Delay lines of a pipeline: tensors that are read some phases late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from onnx2snn.compile.draft import Draft, Place, reads
from onnx2snn.compile.schedule import Schedule, StageKind
from onnx2snn.compile.spike_trains import spike_trains
from onnx2snn.compile.states import States, is_open
from onnx2snn.model.subgraphs import names_made, subgraphs


@dataclass(frozen=True)
class DelayLine:
    """What a tensor held in the phases before: a ring of time steps, of a train; the oldest first, of an analog value.

    Attributes:
        tensor: Its name.
        phases: The longest delay at which it is read.
        train: Whether it holds a value a time step; else it holds one a phase.
        spikes: Whether it holds zeros and ones: a neuron's spikes.
    """

    tensor: str
    phases: int
    train: bool
    spikes: bool


class DelayLines:
    """Writes what is read late.

    Args:
        draft: Where.
        schedule: How late.
        states: Among which its lines are.
        steps: T.
    """

    def __init__(self, draft: Draft, schedule: Schedule, states: States, steps: int) -> None:
        self._draft, self._states, self._steps = draft, states, steps
        self._lines = _lines(draft, schedule)
        self._taps: dict[tuple[str, int], str] = {}
        self._held: dict[str, str] = {}

    def tap(self, tensor: str, phases: int, now: str) -> str:
        """What ``tensor`` was ``phases`` phases before; ``now``: what it is."""
        line, at = self._lines[tensor], self._draft.at(f"delay/{tensor}")
        if (tensor, phases) not in self._taps:
            held = self._line(line, now)
            found = at.add("Gather", [held, self._position(at, line, phases)], axis=0)
            cast = at.add("Cast", [found], to=TensorProto.FLOAT) if line.spikes else found
            self._taps[tensor, phases] = cast
        return self._taps[tensor, phases]

    def push(self, last: str, now: Mapping[str, str], bits: Mapping[str, str]) -> None:
        """Let the oldest values go, and what is there now in.

        Args:
            last: Whether the step is the last of its phase.
            now: Other names of tensors.
            bits: Spikes as bool, by train.
        """
        for tensor, line in self._lines.items():
            at, value = self._draft.at(f"delay/{tensor}"), now.get(tensor, tensor)
            held = self._line(line, value)
            if line.spikes:
                value = bits.get(tensor) or at.add("Cast", [value], to=TensorProto.BOOL)
            value = at.add("Unsqueeze", [value, at.constant([0], np.int64)])
            if line.train:
                place = at.add("Reshape", [self._position(at, line, 0), at.constant([1, 1], np.int64)])
                moved = at.add("ScatterND", [held, place, value])
            else:
                # Not by Where: runtimes choose between values of a few types alone.
                every = at.add("Concat", [held, value], axis=0)
                older = at.add("Cast", [last], to=TensorProto.INT64)
                places = at.add("Add", [at.constant(np.arange(line.phases), np.int64), older])
                moved = at.add("Gather", [every, places], axis=0)
            self._states.set(f"delay/{tensor}", moved)

    def _line(self, line: DelayLine, now: str) -> str:
        """What a tensor held in the phases before."""
        if line.tensor in self._held:
            return self._held[line.tensor]
        at, length = self._draft.at(f"delay/{line.tensor}"), line.phases * (self._steps if line.train else 1)
        sizes = self._states.of_train(line.tensor) if line.train else self._states.of_analog(line.tensor)
        kind = TensorProto.BOOL if line.spikes else self._draft.type_of(line.tensor)
        held = self._states.get(f"delay/{line.tensor}", kind, [length, *sizes])
        if is_open(sizes):
            whole = at.add("Concat", [at.constant([length], np.int64), at.add("Shape", [now])], axis=0)
            held = at.add("Expand", [held, whole])
        self._held[line.tensor] = held
        return held

    def _position(self, at: Place, line: DelayLine, phases: int) -> str:
        """Where in a line stands what was there ``phases`` phases before; 0: where to put what is there now."""
        if not line.train:
            return at.constant(line.phases - phases, np.int64)
        length = at.constant(line.phases * self._steps, np.int64)
        late = at.constant((line.phases - phases) * self._steps, np.int64)
        return at.add("Mod", [at.add("Add", ["time", late]), length])


def _lines(draft: Draft, schedule: Schedule) -> dict[str, DelayLine]:
    longest: dict[str, int] = {}
    for position, reader in enumerate(draft.nodes):
        for name in reads(reader):
            longest[name] = max(longest.get(name, 0), schedule.delay(position, name))
    for name in draft.outputs:
        longest[name] = max(longest.get(name, 0), schedule.output_delay(name))
    spikes = spike_trains(draft)
    return {
        name: DelayLine(name, longest[name], schedule.kinds[name] is StageKind.TRAIN, name in spikes)
        for name in sorted(longest)
        if longest[name] > 0
    }


def renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A node that reads other tensors, inside its subgraphs too."""
    if all(names.get(name, name) == name for name in reads(node)):
        return node
    other = onnx.NodeProto()
    other.CopyFrom(node)
    other.input[:] = [names.get(name, name) for name in node.input]
    for graph in subgraphs(other):
        made = names_made(graph)
        outer = {name: new for name, new in names.items() if name not in made}
        inside = [renamed(inner, outer) for inner in graph.node]
        del graph.node[:]
        graph.node.extend(inside)
    return other
