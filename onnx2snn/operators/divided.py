"""A model that computes one part of its output along an axis, of parts of its inputs: what is large need not be held whole.

    levels ─▶ Conv W, b ─▶ Add c ─▶ z      becomes, for rows 8 to 16,      levels[7:17] ─▶ Conv W, b ─▶ Add c ─▶ z[8:16]

What a part is made of the records say (:mod:`onnx2snn.operators.parts`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SMALL, Array, SplitModel, hollow
from onnx2snn.operators.linear import DOMAIN, HOLD, INTEGRATE
from onnx2snn.operators.parts import Asked, Cut, Rule, Shape, Span, neuron, rule_of
from onnx2snn.operators.tensor_sizes import folded, sizes_of

#: A tensor of which all is wanted.
WHOLE = None


@dataclass(frozen=True)
class TensorPart:
    """What computes a part of the output of a model.

    Attributes:
        span: The part.
        model: It.
        inputs: By input, the part that it reads; WHOLE for all of it.
        largest: Numbers of the largest tensor that it reads or makes.
    """

    span: Span
    model: SplitModel
    inputs: Mapping[str, Span | None]
    largest: int

    @property
    def output(self) -> str:
        """The name of what its model writes."""
        return str(self.model.structure.graph.output[0].name)

    def of(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What it reads of ``inputs``."""
        return {n: inputs[n] if span is WHOLE else inputs[n][span.at] for n, span in self.inputs.items()}


def divided(
    models: Sequence[SplitModel], inputs: Mapping[str, Shape], axes: Iterable[int], most: int
) -> list[tuple[TensorPart, ...]]:
    """Models that compute parts, which put beside each other are the output of each of ``models``; the same spans for all.

    Args:
        models: They answer alike.
        inputs: Their shapes.
        axes: Along which the output may be divided.
        most: Numbers of the largest tensor at a time, at most.

    Returns:
        The parts in their order, of each model; none where all is as small, or nothing is saved along any axis.
    """
    wholes = [_Division(model, sizes_of(model, inputs)) for model in models]
    shapes = {one.shape for one in wholes}
    if len(shapes) != 1 or max(one.largest for one in wholes) <= most:
        return []
    shape = shapes.pop() or ()
    found = [_steps(wholes, shape, axis, most) for axis in axes if axis < len(shape)]
    held, axis, step = min(found, default=(0, 0, 0))
    if not step or 2 * held > max(one.largest for one in wholes):
        return []
    spans = [Span(axis, i, min(i + step, shape[axis])) for i in range(0, shape[axis], step)]
    return [tuple(one.part(span) for one in wholes) for span in spans]


def _steps(wholes: Sequence[_Division], shape: Shape, axis: int, most: int) -> tuple[int, int, int]:
    """Numbers of the largest tensor, the axis, and how many of its entries are made at a time."""
    step = shape[axis]
    while True:
        middle = (shape[axis] - step) // 2
        largest = max(one.part(Span(axis, middle, middle + step)).largest for one in wholes)
        if largest <= most or step == 1:
            return largest, axis, step
        step = max(1, min(step - 1, step * most // largest))


@dataclass
class _Division:
    """A model, whole.

    Attributes:
        model: It, of one output.
        sizes: Of its tensors, where they are known.
    """

    model: SplitModel
    sizes: Mapping[str, Shape]
    constants: Mapping[str, Array] = field(init=False)

    def __post_init__(self) -> None:
        self.constants = folded(self.model, self.sizes)
        graph = self.model.structure.graph
        self.output = graph.output[0].name
        self.inputs = [info.name for info in graph.input if info.name not in self.constants]

    @property
    def shape(self) -> Shape | None:
        """Of its output; None where it is not known."""
        return self.sizes.get(self.output)

    @property
    def largest(self) -> int:
        """Numbers of its largest tensor."""
        return max((math.prod(s) for n, s in self.sizes.items() if n not in self.constants), default=0)

    def part(self, span: Span) -> TensorPart:
        """What computes ``span`` of its output."""
        return _PartInTheMaking(self, span).made()


class _PartInTheMaking:
    """One part: what is wanted of each tensor is told backwards, from its readers; then nodes are written."""

    def __init__(self, whole: _Division, span: Span) -> None:
        self._whole, self._span = whole, span
        self._wanted: dict[str, Span | None] = {whole.output: span}
        #: What each tensor holds that is not whole.
        self._held: dict[str, Span] = {}
        self._cuts: dict[int, Cut] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._fresh: dict[str, Array] = {}

    def made(self) -> TensorPart:
        """It, as a model."""
        whole, graph = self._whole, self._whole.model.structure.graph
        for position in reversed(range(len(graph.node))):
            if graph.node[position].output[0] not in whole.constants:
                self._ask(position, graph.node[position])
        inputs = {name: self._wanted[name] for name in whole.inputs if name in self._wanted}
        self._held |= {name: span for name, span in inputs.items() if span is not None}
        for position, node in enumerate(graph.node):
            if node.output[0] not in whole.constants and any(name in self._wanted for name in node.output):
                self._write(position, node)
        read = self._read(whole.output, self._span)
        self._nodes.append(helper.make_node("Identity", [read], [f"{whole.output}/part"]))
        return TensorPart(self._span, self._model(inputs), inputs, self._largest())

    def _ask(self, position: int, node: onnx.NodeProto) -> None:
        """What ``node`` reads, for what is wanted of what it writes."""
        names = [name for name in node.output if name in self._wanted]
        if not names:
            return
        cut = self._cut(node, [self._wanted[name] for name in names], names[0])
        if cut is None:
            for name in names_read(node):
                self._want(name, WHOLE)
            return
        self._cuts[position] = cut
        for name, span in zip(node.input, cut.reads, strict=True):
            if name:
                self._want(name, span)

    def _cut(self, node: onnx.NodeProto, wanted: Sequence[Span | None], name: str) -> Cut | None:
        span = _union(wanted)
        rule = self._rule(node)
        shape = self._whole.sizes.get(name)
        if span is WHOLE or rule is None or shape is None:
            return None
        shapes = [self._whole.sizes.get(n) if n else () for n in node.input]
        cut = rule(Asked(node, span, shape, shapes, [self._whole.constants.get(n) for n in node.input]))
        if cut is not None:
            held = cut.made or span
            self._held |= dict.fromkeys(filter(None, node.output), held)
        return cut

    @staticmethod
    def _rule(node: onnx.NodeProto) -> Rule | None:
        if node.domain != DOMAIN:
            return rule_of(node)
        return neuron if node.op_type.endswith("IF") or node.op_type in (INTEGRATE, HOLD) else None

    def _want(self, name: str, span: Span | None) -> None:
        wanted = _union([self._wanted[name], span]) if name in self._wanted else span
        sizes = self._whole.sizes.get(name)
        if wanted is not WHOLE and (sizes is None or wanted.of(sizes) == sizes):
            wanted = WHOLE
        self._wanted[name] = wanted

    def _write(self, position: int, node: onnx.NodeProto) -> None:
        fresh = onnx.NodeProto()
        fresh.CopyFrom(node)
        cut = self._cuts.get(position)
        if cut is None:
            for i, name in enumerate(node.input):
                fresh.input[i] = self._read(name, WHOLE)
            self._nodes.append(fresh)
            return
        for i, (name, span) in enumerate(zip(node.input, cut.reads, strict=True)):
            fresh.input[i] = self._read(name, span) if name else ""
        for i, values in cut.constants.items():
            fresh.input[i] = self._constant(f"{node.output[0]}/{i}", values)
        kept = [a for a in fresh.attribute if a.name not in cut.attributes]
        del fresh.attribute[:]
        fresh.attribute.extend(kept)
        fresh.attribute.extend(helper.make_attribute(n, v) for n, v in cut.attributes.items())
        self._nodes.append(fresh)

    def _read(self, name: str, span: Span | None) -> str:
        """The tensor that holds this part of another."""
        held = self._held.get(name)
        if span is WHOLE or span == held:
            return name
        own = f"{name}/{span.axis}:{span.first}:{span.last}"
        if name in self._whole.constants:
            return self._constant(own, np.ascontiguousarray(self._whole.constants[name][span.at]))
        if all(own not in node.output for node in self._nodes):
            begin = 0 if held is None else held.first
            ends = {"from": span.first - begin, "to": span.last - begin, "axis": span.axis}
            read = [self._constant(f"{own}/{k}", np.array([v], np.int64)) for k, v in ends.items()]
            self._nodes.append(helper.make_node("Slice", [name, *read], [own]))
        return own

    def _constant(self, name: str, values: Array) -> str:
        self._fresh[name] = values
        return name

    def _largest(self) -> int:
        sizes, constants = self._whole.sizes, self._whole.constants
        tensors = [name for name in self._wanted if name in sizes and name not in constants]
        spans = [(sizes[name], self._held.get(name)) for name in tensors]
        return max((math.prod(s if span is None else span.of(s)) for s, span in spans), default=0)

    def _model(self, inputs: Mapping[str, Span | None]) -> SplitModel:
        whole = self._whole.model
        read = {name for node in self._nodes for name in names_read(node)}
        part = onnx.ModelProto()
        part.CopyFrom(whole.structure)
        graph, own = part.graph, whole.structure.graph
        large = {name: values for name, values in self._fresh.items() if values.size > SMALL}
        held = [t for t in own.initializer if t.name in read]
        made = {name for node in own.node for name in node.output}
        self._fresh |= {n: self._whole.constants[n] for n in read & made if n in self._whole.constants}
        held += [numpy_helper.from_array(v, n) for n, v in self._fresh.items() if n not in large]
        held += [hollow(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in large.items()]
        graph.CopyFrom(onnx.GraphProto(name=own.name, node=self._nodes, initializer=held))
        graph.input.extend(_free(v, inputs[v.name]) for v in own.input if v.name in inputs)
        output = helper.make_tensor_value_info(f"{self._whole.output}/part", onnx.TensorProto.FLOAT, None)
        graph.output.append(output)
        return SplitModel(part, {name: w for name, w in whole.weights.items() if name in read} | large)


def _union(spans: Iterable[Span | None]) -> Span | None:
    """What holds all of these; WHOLE where they lie along several axes."""
    known = list(spans)
    told = [span for span in known if span is not None]
    if len(told) < len(known) or len({span.axis for span in told}) != 1:
        return WHOLE
    return Span(told[0].axis, min(s.first for s in told), max(s.last for s in told))


def _free(info: onnx.ValueInfoProto, span: Span | None) -> onnx.ValueInfoProto:
    """An input of which a part is given."""
    free = onnx.ValueInfoProto()
    free.CopyFrom(info)
    dims = free.type.tensor_type.shape.dim
    if span is not WHOLE and span.axis < len(dims):
        dims[span.axis].Clear()
    return free
