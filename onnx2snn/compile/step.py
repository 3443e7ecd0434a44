"""The streaming execution: one time step a call, every state an input and an output; a pipeline that any runtime can drive.

A neuron has two potentials, one that integrates a sample and one that generates the sample before. In each step

    integrating   u ← 2·u + I(t)
    generating    s(t) = [g ≥ compare(t)];   g ← g − s(t)·subtract(t)       silent where its stage holds no sample

and with the last step of a phase g ← min(u + bias, ceiling) and u ← 0. Analog values are computed in every step, and count in
the last of a phase. States are all zero at first; a size that the network leaves open may be one at first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2snn.compile.counting import TALLY
from onnx2snn.compile.delays import Line, delay_lines, renamed
from onnx2snn.compile.draft import Draft, Place, is_dialect, is_neuron, reads, sizes_of
from onnx2snn.compile.schedule import Kind, make_schedule
from onnx2snn.dialect.functions import HOLD, SCALED_IF, TABLE_IF
from onnx2snn.dialect.neuron import Search, accumulated, reset, spike
from onnx2snn.model.weights import SplitModel, weights_as_inputs

#: Of a tensor; None for a size that is open.
Sizes: TypeAlias = Sequence[int | str | None]


def write_step(draft: Draft, table: Mapping[str, Any], *, form: str) -> tuple[SplitModel, dict[str, Any]]:
    """The graph of one time step, and what a driver has to know of it.

    Inputs beside the network's own, which are held for the T steps of their phase: ``enters`` (bool: a sample is at the
    inputs), and the states. Outputs: the network's, which belong to the sample that leaves where ``answered`` is true;
    ``train/<layer>``, the spikes of the step (N, ...) uint8; and ``next/<state>`` of each state.

    Raises:
        ValueError: an operator reads a train beside an analog value, or a size that a state needs is not declared.
    """
    writer = _StepWriter(draft, table, form)
    return writer.run()


class _StepWriter:
    def __init__(self, draft: Draft, table: Mapping[str, Any], form: str) -> None:
        self.draft, self.form, self.steps = draft, form, int(table["timesteps"])
        self.schedule = make_schedule(draft.nodes, draft.inputs)
        self._lines = delay_lines(draft, self.schedule, self.steps)
        self._states: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._now = {name: f"{name}/now" for name in draft.outputs if self.schedule.output_delay(name)}
        self._batch = _batch_of(draft, table)
        self._taps: dict[tuple[str, int], str] = {}
        self._held: dict[str, str] = {}
        self._clock()

    def run(self) -> tuple[SplitModel, dict[str, Any]]:
        """Write the network."""
        for position, node in enumerate(self.draft.nodes):
            if is_neuron(node) or is_dialect(node, "Integrate", HOLD, TALLY):
                self._dialect(position, node)
            else:
                late = {name: self._late(position, name) for name in sorted(reads(node))}
                self.draft.keep(renamed(node, late), outputs=[self._now.get(n, n) for n in node.output])
        for line in self._lines.values():
            self._push(line)
        for name in self._now:
            self._named(name, self._tap(name, self.schedule.output_delay(name)))
        enters = helper.make_tensor_value_info("enters", TensorProto.BOOL, [])
        inputs = [*self.draft.inputs.values(), enters, *self._states]
        outputs = [*self.draft.outputs.values(), *self._outputs]
        facts = {"depth": self.schedule.depth, "states": [info.name for info in self._states]}
        return self.draft.finished(inputs=inputs, outputs=outputs), facts

    def _clock(self) -> None:
        """Which step of its phase it is, and which stages hold a sample."""
        at, depth = self.draft.at("clock"), self.schedule.depth
        time = self._state("time", TensorProto.INT64, [])
        self._next("time", at.add("Add", [time, at.constant(1, np.int64)]))
        self._step = at.add("Mod", [time, at.constant(self.steps, np.int64)])
        self._last = at.add("Equal", [self._step, at.constant(self.steps - 1, np.int64)])
        first = at.constant([place == 0 for place in range(depth + 1)], np.bool_)
        entering = at.add("And", ["enters", first])
        self._filled = at.add("Or", [self._state("filled", TensorProto.BOOL, [depth + 1]), entering])
        before = at.add("Slice", [self._filled, at.constant([0], np.int64), at.constant([depth], np.int64)])
        moved = at.add("Concat", [at.constant([False], np.bool_), before], axis=0)
        stays = at.add("And", [at.add("Not", [self._last]), self._filled])
        self._next("filled", at.add("Or", [at.add("And", [self._last, moved]), stays]))
        answered = at.add("And", [self._last, self._holds(at, depth)])
        at.add("Identity", [answered], output="answered")
        self._outputs.append(helper.make_tensor_value_info("answered", TensorProto.BOOL, []))

    def _holds(self, at: Place, stage: int) -> str:
        return at.add("Gather", [self._filled, at.constant(stage, np.int64)], axis=0)

    def _dialect(self, position: int, node: onnx.NodeProto) -> None:
        """One time step of integration and, of a neuron, of generation."""
        at = self.draft.at(node.output[0])
        x = self._late(position, node.input[0])
        if is_dialect(node, TALLY):
            self._named(self._now.get(node.output[0], node.output[0]), self._counted(at, node, x))
            return
        if is_dialect(node, HOLD):
            self._named(node.output[0], self._taken(at, f"held/{node.name}", node.input[0], x))
            return
        v = self._potential(at, position, node, x)
        if not is_neuron(node):
            self._named(self._now.get(node.output[0], node.output[0]), v)
            return
        spikes = (
            self._searched(at, node, v) if is_dialect(node, TABLE_IF) else self._fired(at, position, node, v)
        )
        at.end("Identity", [spikes])
        told = at.add("Cast", [spikes], output=f"train/{node.name}", to=TensorProto.UINT8)
        self._outputs.append(_info(told, TensorProto.UINT8, self._sizes(node.input[0], node.output[0])))

    def _taken(self, at: Place, state: str, tensor: str, now: str) -> str:
        """What an analog value was at the end of the phase before."""
        sizes = self._declared(tensor)
        before = self._state(state, TensorProto.FLOAT, sizes)
        if _is_open(sizes):
            before = at.add("Expand", [before, at.add("Shape", [now])])
        self._next(state, at.add("Where", [self._last, now, before]))
        return before

    def _potential(self, at: Place, position: int, node: onnx.NodeProto, x: str) -> str:
        """What has been integrated by now, with the bias."""
        bias = self._late(position, node.input[1])
        if is_dialect(node, SCALED_IF):
            return at.add("Add", [x, at.add("Mul", [bias, self._late(position, node.input[5])])])
        if self.schedule.kinds[node.input[0]] is Kind.TRAIN:
            name = f"integrating/{node.name}"
            gains = at.constant(2.0 ** np.arange(self.steps - 1, -1, -1))
            gain = at.add("Gather", [gains, self._step], axis=0) if self.form == "paper" else ""
            u = self._state(name, TensorProto.FLOAT, self._sizes(node.input[0], node.output[0]))
            u = accumulated(at, u, x, bias, form=self.form, gain=gain)
            self._next(name, at.add("Where", [self._last, at.constant(0), u]))
            if self.form != "once":
                return u
            x = u
        return at.add("Add", [x, bias])

    def _counted(self, at: Place, node: onnx.NodeProto, x: str) -> str:
        name, kind = f"counting/{node.name}", self.draft.type_of(node.output[0])
        total = at.add("Add", [self._state(name, kind, [self._batch]), x])
        self._next(name, at.add("Where", [self._last, at.constant(0, np.float64), total]))
        return total

    def _fired(self, at: Place, position: int, node: onnx.NodeProto, v: str) -> str:
        compare, subtract = (at.add("Gather", [name, self._step], axis=0) for name in node.input[2:4])
        ceiling = node.input[4]
        if is_dialect(node, SCALED_IF):
            now = self._late(position, node.input[5])
            scale = self._taken(at, f"scale/{node.name}", node.input[5], now)
            compare, subtract = (at.add("Mul", [row, scale]) for row in (compare, subtract))
            ceiling = at.add("Mul", [ceiling, now])
        g = self._generating(at, node, v)
        spikes = spike(at, g, self._silenced(at, node, compare))
        ready = at.add("Min", [v, ceiling])
        left = reset(at, g, spikes, subtract)
        self._next(f"generating/{node.name}", at.add("Where", [self._last, ready, left]))
        return spikes

    def _searched(self, at: Place, node: onnx.NodeProto, v: str) -> str:
        weights = at.constant(2 ** np.arange(self.steps - 1, -1, -1), np.int64)
        weight = at.add("Gather", [weights, self._step], axis=0)
        g, name = self._generating(at, node, v), f"place/{node.name}"
        place = self._state(name, TensorProto.INT64, self._sizes(node.input[0], node.output[0]))
        search = Search(at, node.input[2], node.input[3], found=place)
        spikes = spike(at, g, self._silenced(at, node, search.threshold(weight)))
        search.take(spikes, weight)
        self._next(name, at.add("Where", [self._last, at.constant(0, np.int64), search.found]))
        self._next(f"generating/{node.name}", at.add("Where", [self._last, v, g]))
        return spikes

    def _generating(self, at: Place, node: onnx.NodeProto, v: str) -> str:
        """The potential of the sample before, of the size of ``v``."""
        sizes = self._sizes(node.input[0], node.output[0])
        g = self._state(f"generating/{node.name}", TensorProto.FLOAT, sizes)
        return at.add("Expand", [g, at.add("Shape", [v])]) if _is_open(sizes) else g

    def _silenced(self, at: Place, node: onnx.NodeProto, threshold: str) -> str:
        """A threshold that nothing reaches where the neuron's stage holds no sample."""
        held = self._holds(at, self.schedule.stages[node.output[0]])
        return at.add("Where", [held, threshold, at.constant(np.inf)])

    def _late(self, position: int, name: str) -> str:
        """A tensor as the node at ``position`` has to read it."""
        phases = self.schedule.delay(position, name)
        return self._tap(name, phases) if phases > 0 else self._now.get(name, name)

    def _tap(self, name: str, phases: int) -> str:
        """What a tensor was ``phases`` phases before."""
        if (name, phases) not in self._taps:
            line, at = self._lines[name], self.draft.at(f"delay/{name}")
            held = self._line(line)
            found = at.add(
                "Gather", [held, at.constant((line.phases - phases) * line.rate, np.int64)], axis=0
            )
            self._taps[name, phases] = at.add("Cast", [found], to=TensorProto.FLOAT) if line.spikes else found
        return self._taps[name, phases]

    def _line(self, line: Line) -> str:
        """What a tensor held in the phases before, oldest first."""
        train = self.schedule.kinds[line.tensor] is Kind.TRAIN
        sizes = self._sizes(line.tensor) if train else self._declared(line.tensor)
        kind = TensorProto.BOOL if line.spikes else self.draft.type_of(line.tensor)
        name, at = f"delay/{line.tensor}", self.draft.at(f"delay/{line.tensor}")
        if name in self._held:
            return self._held[name]
        held = self._state(name, kind, [line.phases * line.rate, *sizes])
        if _is_open(sizes):
            now = at.add("Shape", [self._now.get(line.tensor, line.tensor)])
            whole = at.add("Concat", [at.constant([line.phases * line.rate], np.int64), now], axis=0)
            held = at.add("Expand", [held, whole])
        self._held[name] = held
        return held

    def _push(self, line: Line) -> None:
        """Let the oldest value go, and what is there now in."""
        at, held = self.draft.at(f"delay/{line.tensor}"), self._line(line)
        now, front = self._now.get(line.tensor, line.tensor), at.constant([0], np.int64)
        if line.spikes:
            now = at.add("Cast", [now], to=TensorProto.BOOL)
        ends = [at.constant([1], np.int64), at.constant([line.phases * line.rate], np.int64), front]
        moved = at.add("Concat", [at.add("Slice", [held, *ends]), at.add("Unsqueeze", [now, front])], axis=0)
        if line.rate == 1:
            moved = at.add("Where", [self._last, moved, held])
        self._next(f"delay/{line.tensor}", moved)

    def _sizes(self, *names: str) -> Sizes:
        """Of one time step of a train: what the first of ``names`` declares that declares anything."""
        for name in names:
            info = self.draft.infos.get(name)
            found = None if info is None else sizes_of(info)
            if found:
                return [self._batch, *found[1:]]
        return [self._batch, *self._declared(names[0])[1:]]

    def _declared(self, name: str) -> Sizes:
        """Of an analog value, as declared; the network's inputs hold a sample a row."""
        info = self.draft.infos.get(name) or self._inferred.get(name)
        found = None if info is None else sizes_of(info)
        if found is None:
            raise ValueError(f"the size of '{name}' is not declared")
        if name in self.draft.inputs and found[:1] == (None,):
            return ["N", *found[1:]]
        return list(found)

    @cached_property
    def _inferred(self) -> dict[str, onnx.ValueInfoProto]:
        """What follows from the sizes that are declared."""
        model = weights_as_inputs(self.draft.network.structure)
        return {info.name: info for info in onnx.shape_inference.infer_shapes(model).graph.value_info}

    def _state(self, name: str, kind: int, sizes: Sizes) -> str:
        """A state before the step."""
        self._states.append(_info(name, kind, sizes))
        return name

    def _next(self, state: str, made: str) -> None:
        """The state behind the step."""
        info = onnx.ValueInfoProto()
        info.CopyFrom(next(held for held in self._states if held.name == state))
        info.name = f"next/{state}"
        self.draft.at(state).add("Identity", [made], output=info.name)
        self._outputs.append(info)

    def _named(self, name: str, made: str) -> None:
        self.draft.at(name).end("Identity", [made])


def _info(name: str, kind: int, sizes: Sizes) -> onnx.ValueInfoProto:
    named = [f"{name}/{place}" if size is None else size for place, size in enumerate(sizes)]
    return helper.make_tensor_value_info(name, kind, named)


def _is_open(sizes: Sizes) -> bool:
    return None in sizes


def _batch_of(draft: Draft, table: Mapping[str, Any]) -> int | str | None:
    """Rows of one time step of a train; None where a sample has several, which stand in its first axis."""
    for layer in table["layers"]:
        info = draft.infos.get(layer["output"])
        if info is None or len(layer["shape"]) >= len(sizes_of(info) or ()):
            return None
    fixed = {sizes[0] for info in draft.inputs.values() if (sizes := sizes_of(info))}
    return "N" if fixed - {None} == set() else next(iter(fixed - {None}))
