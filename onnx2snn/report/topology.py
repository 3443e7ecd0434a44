"""The network as a map: its layers as stops, what lies between them as lines, branches side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import onnx

from onnx2snn.compile.draft import is_neuron
from onnx2snn.compile.schedule import Schedule, make_schedule, signals
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution


@dataclass(frozen=True)
class Stop:
    """One row of the map.

    Attributes:
        kind: ``input``, ``layer`` (of neurons), ``join`` (a sum or concatenation that is read more than once), ``operator``
            (it does not spike) or ``output``.
        name: The tensor's, or the node's.
        sources: Positions of the stops that it hears.
        operators: What lies between these and it, in words.
        phase: In which phase of T time steps it speaks: an input in phase 0.
    """

    kind: str
    name: str
    sources: tuple[int, ...]
    operators: tuple[str, ...]
    phase: int


@dataclass
class _Wire:
    """What a tensor between stops carries: the stops it comes from, and the operators on the way."""

    sources: tuple[int, ...] = ()
    operators: tuple[str, ...] = ()


def stops_of(model: onnx.ModelProto, non_spiking: Iterable[str] = ()) -> tuple[Stop, ...]:
    """The stops of a converted network, in the order in which it computes them.

    Args:
        model: A converted network.
        non_spiking: Names of operators that were kept as they are.
    """
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [info.name for info in model.graph.input if info.name not in held]
    schedule = make_schedule(model.graph.node, inputs)
    return tuple(_Walk(model, inputs, schedule, frozenset(non_spiking)).stops)


class _Walk:
    """Follows the graph once, from inputs to outputs."""

    def __init__(
        self, model: onnx.ModelProto, inputs: Sequence[str], schedule: Schedule, kept: frozenset[str]
    ) -> None:
        self.stops: list[Stop] = []
        self._wires: dict[str, _Wire] = {}
        self._schedule = schedule
        self._readers = _readers(model.graph.node, schedule)
        self._weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        for name in inputs:
            self._stop("input", name, _Wire(), [name])
        for node in model.graph.node:
            self._pass(node, node.name in kept)
        for name in (info.name for info in model.graph.output):
            self._stop("output", name, self._wires.get(name, _Wire()), [])

    def _pass(self, node: onnx.NodeProto, kept: bool) -> None:
        read = signals(node, self._schedule)
        if not read:
            return
        wire = _joined([self._wires[name] for name in read if name in self._wires])
        words = () if node.domain else self._described(node)
        wire = _Wire(wire.sources, tuple(dict.fromkeys((*wire.operators, *words))))
        outputs = [name for name in node.output if name]
        if is_neuron(node):
            self._stop("layer", node.name, wire, outputs)
        elif kept:
            self._stop("operator", node.name, wire, outputs)
        elif len(wire.sources) > 1 and self._forks(outputs):
            self._stop("join", node.op_type, wire, outputs)
        else:
            self._wires.update(dict.fromkeys(outputs, wire))

    def _stop(self, kind: str, name: str, wire: _Wire, outputs: Sequence[str]) -> None:
        stage = self._schedule.depth if kind == "output" else 0
        phase = max([self._schedule.stages.get(tensor, stage) for tensor in outputs] or [stage])
        self.stops.append(Stop(kind, name, wire.sources, wire.operators, phase))
        self._wires.update(dict.fromkeys(outputs, _Wire((len(self.stops) - 1,))))

    def _forks(self, outputs: Sequence[str]) -> bool:
        """Whether, before the next stop, more than one operator reads it."""
        while len(outputs) == 1:
            readers = self._readers.get(outputs[0], [])
            if len(readers) != 1:
                return len(readers) > 1
            node = readers[0]
            if is_neuron(node) or len(signals(node, self._schedule)) > 1:
                return False
            outputs = [name for name in node.output if name]
        return False

    def _described(self, proto: onnx.NodeProto) -> tuple[str, ...]:
        if of(proto).weights:
            shape = next((self._weights[name] for name in proto.input if name in self._weights), ())
            return (_weighted(proto, shape),)
        if _is_told(proto):
            return (" ".join(filter(None, (proto.op_type, _kernel(proto)))),)
        read = [name for name in proto.input if self._wires.get(name, _Wire()).sources]
        return (proto.op_type,) if len(read) > 1 else ()


def _readers(nodes: Iterable[onnx.NodeProto], schedule: Schedule) -> dict[str, list[onnx.NodeProto]]:
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in signals(node, schedule):
            found.setdefault(name, []).append(node)
    return found


def _joined(wires: Sequence[_Wire]) -> _Wire:
    sources = dict.fromkeys(source for wire in wires for source in wire.sources)
    operators = dict.fromkeys(word for wire in wires for word in wire.operators)
    return _Wire(tuple(sorted(sources)), tuple(operators))


def _weighted(proto: onnx.NodeProto, shape: Sequence[int]) -> str:
    """``Conv 3×3, 16→32``: operator, kernel, channels in and out."""
    groups = next((a.i for a in proto.attribute if a.name == "group"), 1)
    if len(shape) < 2:
        return proto.op_type if of(proto).channels_second else "Dense"
    if of(proto).channels_second:
        kernel, name = "×".join(map(str, shape[2:])), proto.op_type
        forward = (shape[1] * groups, shape[0])
        first, second = forward if is_convolution(proto) else (shape[0], shape[1] * groups)
        depth = (
            " depthwise" if groups > 1 and groups == first else f" in {groups} groups" if groups > 1 else ""
        )
        return f"{name} {kernel}{depth}, {first}→{second}"
    transposed = any(a.name == "transB" and a.i for a in proto.attribute)
    first, second = (shape[-1], shape[-2]) if transposed else (shape[-2], shape[-1])
    return f"Dense {first}→{second}"


def _is_told(proto: onnx.NodeProto) -> bool:
    """Whether a reader looks for an operator without weights: no move, and no line entry by entry."""
    record = of(proto)
    quiet = record.moves or record.line or record.sums or record.sizes or record.constant or record.plain
    return not (quiet or record.undecided or (record.grows and not record.fill))


def _kernel(proto: onnx.NodeProto) -> str:
    sizes = next((a.ints for a in proto.attribute if a.name == "kernel_shape"), ())
    return "×".join(map(str, sizes))


@dataclass
class Lanes:
    """Where the map's lines run.

    A stop's line goes down its lane to its last reader; every reader branches off it. A stop takes over the leftmost lane
    that ends at it, else the leftmost free one: chains stay straight, skipped blocks step aside, a U-Net nests.

    Attributes:
        of: Lane of each stop.
        last: Position of the last reader of each stop; its own where nobody reads it.
        count: Lanes in all.
    """

    of: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    count: int = 1


def lanes_of(stops: Sequence[Stop]) -> Lanes:
    """Give every stop a lane."""
    last = list(range(len(stops)))
    for position, stop in enumerate(stops):
        for source in stop.sources:
            last[source] = position
    found = Lanes(last=last)
    busy: dict[int, int] = {}  # lane: the row where it becomes free
    for position, stop in enumerate(stops):
        ending = [found.of[s] for s in stop.sources if last[s] == position]
        free = (lane for lane in range(len(stops) + 1) if busy.get(lane, -1) < position)
        lane = min(ending) if ending else next(free)
        found.of.append(lane)
        busy[lane] = last[position]
    found.count = max(found.of, default=0) + 1
    return found


def edges_of(stops: Sequence[Stop]) -> list[tuple[int, int]]:
    """(from, to), by positions."""
    return [(source, position) for position, stop in enumerate(stops) for source in stop.sources]
