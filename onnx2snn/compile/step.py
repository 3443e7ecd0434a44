"""The streaming execution: one time step a call, every state an input and an output; a pipeline that any runtime can drive.

A neuron has two potentials, one that integrates a sample and one that generates the sample before. In each step

    integrating   u ← 2·u + I(t)                                             from zero with the first of a phase
    generating    s(t) = [g ≥ compare(t)];   g ← g − s(t)·subtract(t)       silent where its stage holds no sample

and with the last step of a phase g ← min(u + bias, ceiling). Analog values are computed in every step, and count in
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
from onnx2snn.compile.thresholds import thresholds_of
from onnx2snn.dialect.functions import HOLD, SCALED_IF, TABLE_IF
from onnx2snn.dialect.neuron import Search, reset
from onnx2snn.model.weights import SplitModel, weights_as_inputs

#: Of a tensor; None for a size that is open.
Sizes: TypeAlias = Sequence[int | str | None]


def write_step(draft: Draft, table: Mapping[str, Any], *, form: str) -> tuple[SplitModel, dict[str, Any]]:
    """The graph of one time step, and what a driver has to know of it.

    Inputs beside the network's own, which are held for the T steps of their phase: ``enters`` (bool: a sample is at the
    inputs), and the states. Outputs: the network's, which belong to the sample that leaves where ``answered`` is true;
    ``train/<layer>``, the spikes of the step (N, ...) bool; and ``next/<state>`` of each state.

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
        self._bits: dict[str, str] = {}
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
        self._first = at.add("Equal", [self._step, at.constant(0, np.int64)])
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
            u = self._state(name, TensorProto.FLOAT, self._sizes(node.input[0], node.output[0]))
            x = self._accumulated(at, u, x, bias)
            self._next(name, x)
            if self.form != "once":
                return x
        return self._biased(at, x, bias)

    def _accumulated(self, at: Place, u: str, x: str, bias: str) -> str:
        """The potential ``u`` after one more time step, which is the first of a phase where it is left behind."""
        steps = np.arange(self.steps)
        if self.form == "paper":
            kept, gains = (steps > 0).astype(np.float32), 2.0 ** (self.steps - 1 - steps)
            x = at.add("Mul", [x, at.add("Gather", [at.constant(gains), self._step], axis=0)])
        else:
            kept = 2.0 * (steps > 0)
        u = at.add("Mul", [u, at.add("Gather", [at.constant(kept), self._step], axis=0)])
        u = at.add("Add", [u, x])
        return u if self.form == "once" else at.add("Add", [u, bias])

    def _biased(self, at: Place, v: str, bias: str) -> str:
        values = self.draft.value(bias)
        return v if values is not None and not np.any(values) else at.add("Add", [v, bias])

    def _counted(self, at: Place, node: onnx.NodeProto, x: str) -> str:
        name, kind = f"counting/{node.name}", self.draft.type_of(node.output[0])
        before = self._state(name, kind, [self._batch])
        kept = at.add("Where", [self._first, at.constant(0, np.float64), before])
        total = at.add("Add", [kept, x])
        self._next(name, total)
        return total

    def _fired(self, at: Place, position: int, node: onnx.NodeProto, v: str) -> None:
        compare, subtract = (at.add("Gather", [name, self._step], axis=0) for name in node.input[2:4])
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
        self._next(f"generating/{node.name}", at.add("Where", [self._last, ready, left]))

    def _fills(self, node: onnx.NodeProto) -> bool:
        """Whether the highest level takes all bits: then it is that of every potential above, without saturation."""
        held = thresholds_of(node, self.draft) if is_dialect(node, "IF") else None
        return held is not None and bool(np.all(held.levels(held.ceiling.reshape(-1)) == 2**self.steps - 1))

    def _searched(self, at: Place, node: onnx.NodeProto, v: str) -> None:
        weights = at.constant(2 ** np.arange(self.steps - 1, -1, -1), np.int64)
        weight = at.add("Gather", [weights, self._step], axis=0)
        g, name = self._generating(at, node, v), f"place/{node.name}"
        place = self._state(name, TensorProto.INT64, self._sizes(node.input[0], node.output[0]))
        search = Search(at, node.input[2], node.input[3], found=place)
        search.take(self._told(at, node, g, search.threshold(weight)), weight)
        self._next(name, at.add("Where", [self._last, at.constant(0, np.int64), search.found]))
        self._next(f"generating/{node.name}", at.add("Where", [self._last, v, g]))

    def _told(self, at: Place, node: onnx.NodeProto, g: str, threshold: str) -> str:
        """The spikes of ``g``, which are outputs too; none where the neuron's stage holds no sample."""
        held = self._holds(at, self.schedule.stages[node.output[0]])
        threshold = at.add("Where", [held, threshold, at.constant(np.inf)])
        told = at.add("GreaterOrEqual", [g, threshold], output=f"train/{node.name}")
        self._bits[node.output[0]] = told
        self._outputs.append(_info(told, TensorProto.BOOL, self._sizes(node.input[0], node.output[0])))
        return at.end("Cast", [told], to=TensorProto.FLOAT)

    def _generating(self, at: Place, node: onnx.NodeProto, v: str) -> str:
        """The potential of the sample before, of the size of ``v``."""
        sizes = self._sizes(node.input[0], node.output[0])
        g = self._state(f"generating/{node.name}", TensorProto.FLOAT, sizes)
        return at.add("Expand", [g, at.add("Shape", [v])]) if _is_open(sizes) else g

    def _late(self, position: int, name: str) -> str:
        """A tensor as the node at ``position`` has to read it."""
        phases = self.schedule.delay(position, name)
        return self._tap(name, phases) if phases > 0 else self._now.get(name, name)

    def _tap(self, name: str, phases: int) -> str:
        """What a tensor was ``phases`` phases before."""
        if (name, phases) not in self._taps:
            line, at = self._lines[name], self.draft.at(f"delay/{name}")
            held = self._line(line)
            found = at.add("Gather", [held, self._position(at, line, phases)], axis=0)
            self._taps[name, phases] = at.add("Cast", [found], to=TensorProto.FLOAT) if line.spikes else found
        return self._taps[name, phases]

    def _line(self, line: Line) -> str:
        """What a tensor held in the phases before: a ring of steps, of a train; oldest first, of an analog value."""
        sizes = self._sizes(line.tensor) if self._is_train(line) else self._declared(line.tensor)
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
            now = self._bits.get(line.tensor) or at.add("Cast", [now], to=TensorProto.BOOL)
        now = at.add("Unsqueeze", [now, front])
        if self._is_train(line):
            place = at.add("Reshape", [self._position(at, line, 0), at.constant([1, 1], np.int64)])
            moved = at.add("ScatterND", [held, place, now])
        else:
            ends = [at.constant([1], np.int64), at.constant([line.phases], np.int64), front]
            moved = at.add("Concat", [at.add("Slice", [held, *ends]), now], axis=0)
            moved = at.add("Where", [self._last, moved, held])
        self._next(f"delay/{line.tensor}", moved)

    def _position(self, at: Place, line: Line, phases: int) -> str:
        """Where in a line stands what was there ``phases`` phases before; 0: where to put what is there now."""
        if not self._is_train(line):
            return at.constant(line.phases - phases, np.int64)
        length = at.constant(line.phases * self.steps, np.int64)
        late = at.constant((line.phases - phases) * self.steps, np.int64)
        return at.add("Mod", [at.add("Add", ["time", late]), length])

    def _is_train(self, line: Line) -> bool:
        return self.schedule.kinds[line.tensor] is Kind.TRAIN

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
