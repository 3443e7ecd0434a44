"""The streaming execution: one time step a call, every state an input and an output; a pipeline that any runtime can drive.

A neuron has two potentials, one that integrates a sample and one that generates the sample before. In each step

    integrating   u ← 2·u + I(t)                                             from zero with the first of a phase
    generating    s(t) = [g ≥ compare(t)];   g ← g − s(t)·subtract(t)       silent where its stage holds no sample

and with the last step of a phase g ← min(u + bias, ceiling). Analog values are computed in every step, and count in
the last of a phase. States are all zero at first; a size that the network leaves open may be one at first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2snn.compile.counts import TALLY
from onnx2snn.compile.delays import DelayLines, renamed
from onnx2snn.compile.draft import Draft, Place, is_dialect, is_neuron, reads
from onnx2snn.compile.schedule import StageKind, make_schedule
from onnx2snn.compile.states import Clock, States, is_open
from onnx2snn.compile.thresholds import thresholds_of
from onnx2snn.dialect.functions import HOLD, SCALED_IF, TABLE_IF
from onnx2snn.dialect.neuron_bodies import Search, reset
from onnx2snn.errors import InputError
from onnx2snn.model.weights import SplitModel


def write_step(draft: Draft, table: Mapping[str, Any], *, form: str) -> tuple[SplitModel, dict[str, Any]]:
    """The graph of one time step, and what a driver has to know of it.

    Inputs beside the network's own, which are held for the T steps of their phase: ``enters`` (bool: a sample is at the
    inputs), and the states. Outputs: the network's, which belong to the sample that leaves where ``answered`` is true;
    ``train/<layer>``, the spikes of the step (N, ...) bool; and ``next/<state>`` of each state.

    Raises:
        InputError: an output is an input.
        ValueError: an operator reads a train beside an analog value, or a size that a state needs is not declared.
    """
    for name in draft.outputs.keys() & draft.inputs.keys():
        raise InputError(
            f"output '{name}' is an input of the network: in time steps it belongs to an earlier sample, and needs another name",
            remedy="write it by an Identity in the source, under a name of its own, and convert that again",
        )
    writer = _StepWriter(draft, table, form)
    return writer.run()


class _StepWriter:
    def __init__(self, draft: Draft, table: Mapping[str, Any], form: str) -> None:
        self.draft, self.form, self.steps = draft, form, int(table["timesteps"])
        self.schedule = make_schedule(draft.nodes, draft.inputs)
        self.states = States(draft, table)
        self.clock = Clock(draft, self.states, self.steps, self.schedule.depth)
        self.lines = DelayLines(draft, self.schedule, self.states, self.steps)
        self._now = {name: f"{name}/now" for name in draft.outputs if self.schedule.output_delay(name)}
        self._bits: dict[str, str] = {}

    def run(self) -> tuple[SplitModel, dict[str, Any]]:
        """Write the network."""
        for position, node in enumerate(self.draft.nodes):
            if is_neuron(node) or is_dialect(node, "Integrate", HOLD, TALLY):
                self._dialect(position, node)
            else:
                late = {name: self._late(position, name) for name in sorted(reads(node))}
                self.draft.keep(renamed(node, late), outputs=[self._now.get(n, n) for n in node.output])
        self.lines.push(self.clock.last, self._now, self._bits)
        for name, now in self._now.items():
            self._named(name, self.lines.tap(name, self.schedule.output_delay(name), now))
        enters = helper.make_tensor_value_info("enters", TensorProto.BOOL, [])
        inputs = [*self.draft.inputs.values(), enters, *self.states.before]
        outputs = [*self.draft.outputs.values(), *self.states.outputs]
        facts = {
            "depth": self.schedule.depth,
            "states": [info.name for info in self.states.before],
            "stages": {n.name: self.schedule.stages[n.output[0]] for n in self.draft.nodes if is_neuron(n)},
        }
        return self.draft.finished(inputs=inputs, outputs=outputs), facts

    def _dialect(self, position: int, node: onnx.NodeProto) -> None:
        """One time step of integration and, of a neuron, of generation."""
        at, name = self.draft.at(node.output[0]), self._now.get(node.output[0], node.output[0])
        x = self._late(position, node.input[0])
        if is_dialect(node, TALLY):
            self._named(name, self._counted(at, node, x))
        elif is_dialect(node, HOLD):
            self._named(name, self._taken(at, f"held/{node.name}", node.input[0], x))
        elif is_dialect(node, "Integrate"):
            self._named(name, self._potential(at, position, node, x))
        elif is_dialect(node, TABLE_IF):
            self._searched(at, node, self._potential(at, position, node, x))
        else:
            self._fired(at, position, node, self._potential(at, position, node, x))

    def _taken(self, at: Place, state: str, tensor: str, now: str) -> str:
        """What an analog value was at the end of the phase before."""
        sizes = self.states.of_analog(tensor)
        before = self.states.get(state, TensorProto.FLOAT, sizes)
        if is_open(sizes):
            before = at.add("Expand", [before, at.add("Shape", [now])])
        self.states.set(state, at.add("Where", [self.clock.last, now, before]))
        return before

    def _potential(self, at: Place, position: int, node: onnx.NodeProto, x: str) -> str:
        """What has been integrated by now, with the bias."""
        bias = self._late(position, node.input[1])
        if is_dialect(node, SCALED_IF):
            return at.add("Add", [x, at.add("Mul", [bias, self._late(position, node.input[5])])])
        if self.schedule.kinds[node.input[0]] is StageKind.TRAIN:
            name = f"integrating/{node.name}"
            u = self.states.get(name, TensorProto.FLOAT, self.states.of_train(node.input[0], node.output[0]))
            x = self._accumulated(at, u, x, bias)
            self.states.set(name, x)
            if self.form != "once":
                return x
        return self._biased(at, x, bias)

    def _accumulated(self, at: Place, u: str, x: str, bias: str) -> str:
        """The potential ``u`` after one more time step, which is the first of a phase where it is left behind."""
        steps = np.arange(self.steps)
        if self.form == "paper":
            kept, gains = (steps > 0).astype(np.float32), 2.0 ** (self.steps - 1 - steps)
            x = at.add("Mul", [x, at.add("Gather", [at.constant(gains), self.clock.step], axis=0)])
        else:
            kept = 2.0 * (steps > 0)
        u = at.add("Mul", [u, at.add("Gather", [at.constant(kept), self.clock.step], axis=0)])
        u = at.add("Add", [u, x])
        return u if self.form == "once" else at.add("Add", [u, bias])

    def _biased(self, at: Place, v: str, bias: str) -> str:
        values = self.draft.value(bias)
        return v if values is not None and not np.any(values) else at.add("Add", [v, bias])

    def _counted(self, at: Place, node: onnx.NodeProto, x: str) -> str:
        name, kind = f"counting/{node.name}", self.draft.type_of(node.output[0])
        before = self.states.get(name, kind, self.states.one_a_sample)
        kept = at.add("Where", [self.clock.first, at.constant(0, np.float64), before])
        total = at.add("Add", [kept, x])
        self.states.set(name, total)
        return total

    def _fired(self, at: Place, position: int, node: onnx.NodeProto, v: str) -> None:
        compare, subtract = (at.add("Gather", [name, self.clock.step], axis=0) for name in node.input[2:4])
        ceiling = node.input[4]
        if is_dialect(node, SCALED_IF):
            now = self._late(position, node.input[5])
            scale = self._taken(at, f"scale/{node.name}", node.input[5], now)
            compare, subtract = (at.add("Mul", [row, scale]) for row in (compare, subtract))
            ceiling = at.add("Mul", [ceiling, now])
        g = self._generating(at, node, v)
        spikes = self._told(at, node, g, compare)
        ready = v if self._fills(node) else at.add("Min", [v, ceiling])
        left = reset(at, g, spikes, subtract)
        self.states.set(f"generating/{node.name}", at.add("Where", [self.clock.last, ready, left]))

    def _fills(self, node: onnx.NodeProto) -> bool:
        """Whether the highest level takes all bits: then it is that of every potential above, without saturation."""
        held = thresholds_of(node, self.draft) if is_dialect(node, "IF") else None
        flat = None if held is None else held.flat
        return flat is not None and bool(np.all(flat.levels(flat.ceiling) == 2**self.steps - 1))

    def _searched(self, at: Place, node: onnx.NodeProto, v: str) -> None:
        weights = at.constant(2 ** np.arange(self.steps - 1, -1, -1), np.int64)
        weight = at.add("Gather", [weights, self.clock.step], axis=0)
        g, name = self._generating(at, node, v), f"place/{node.name}"
        place = self.states.get(name, TensorProto.INT64, self.states.of_train(node.input[0], node.output[0]))
        search = Search(at, node.input[2], node.input[3], found=place)
        search.take(self._told(at, node, g, search.threshold(weight)), weight)
        self.states.set(name, at.add("Where", [self.clock.last, at.constant(0, np.int64), search.found]))
        self.states.set(f"generating/{node.name}", at.add("Where", [self.clock.last, v, g]))

    def _told(self, at: Place, node: onnx.NodeProto, g: str, threshold: str) -> str:
        """The spikes of ``g``, which are outputs too; none where the neuron's stage holds no sample."""
        held = self.clock.holds(at, self.schedule.stages[node.output[0]])
        threshold = at.add("Where", [held, threshold, at.constant(np.inf)])
        told = at.add("GreaterOrEqual", [g, threshold], output=f"train/{node.name}")
        self._bits[node.output[0]] = told
        self.states.tell(told, TensorProto.BOOL, self.states.of_train(node.input[0], node.output[0]))
        return at.end("Cast", [told], to=TensorProto.FLOAT)

    def _generating(self, at: Place, node: onnx.NodeProto, v: str) -> str:
        """The potential of the sample before, of the size of ``v``."""
        sizes = self.states.of_train(node.input[0], node.output[0])
        g = self.states.get(f"generating/{node.name}", TensorProto.FLOAT, sizes)
        return at.add("Expand", [g, at.add("Shape", [v])]) if is_open(sizes) else g

    def _late(self, position: int, name: str) -> str:
        """A tensor as the node at ``position`` has to read it."""
        phases, now = self.schedule.delay(position, name), self._now.get(name, name)
        return self.lines.tap(name, phases, now) if phases > 0 else now

    def _named(self, name: str, made: str) -> None:
        self.draft.at(name).end("Identity", [made])
