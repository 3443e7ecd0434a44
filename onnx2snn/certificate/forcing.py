"""The spiking network with the ANN's levels fed into every layer: teacher forcing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx2snn.certificate.pairing import Pair
from onnx2snn.certificate.steps_apart import steps_apart
from onnx2snn.dialect.functions import DOMAIN, NEURONS, function_body
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.graph.core import Array
from onnx2snn.model.nodes import needed
from onnx2snn.model.reference import Runner, make_runner
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SplitModel, without
from onnx2snn.operators.divided import TensorPart, divided

#: Numbers of the trains that are presented at a time.
BLOCK = 1 << 24
#: Axes that any tensor may have.
_RANK = 8


class ForcedNetwork:
    """Each layer of a converted network on its own, its inputs given; what lies before a layer is loaded when it is asked for.

    Args:
        model: The converted network.
        pairs: Its layers.
        fused: Levels flow in place of trains.
    """

    def __init__(self, model: SplitModel, pairs: Sequence[Pair], *, fused: bool) -> None:
        forced = _with_bodies(model.structure, "fused" if fused else "spiking")
        self._timesteps = None if fused else int(read_layer_table(forced)["timesteps"])
        self._trains = {pair.train: pair.name for pair in pairs}
        shapes = {train: _shape(model.structure, train) for train in self._trains}
        for node in forced.graph.node:
            if node.domain == DOMAIN and node.op_type in NEURONS:
                node.output[0] = f"own/{self._trains[node.output[0]]}"
        self._names = [output.name for output in forced.graph.output]
        self._forced, self._weights = forced, model.weights
        self._given = {t: helper.make_tensor_value_info(t, TensorProto.FLOAT, s) for t, s in shapes.items()}
        self._pieces: dict[str, tuple[SplitModel, tuple[str, ...]]] = {}
        self._runners: dict[str, Runner] = {}

    def layer(
        self, name: str, inputs: Mapping[str, Array], levels: Mapping[str, Array], shape: Sequence[int]
    ) -> Array:
        """What a layer of ``shape`` (N, ...) answers to ``levels`` (by layer) of the layers before it.

        Where the train of one sample is too large, some of it is computed at a time.
        """
        rows, own = len(next(iter(inputs.values()))), f"own/{name}"
        most = max(self._read_by_one(own, levels), math.prod(shape[1:])) * (self._timesteps or 1)
        step = max(1, BLOCK // max(most, 1))
        parts = []
        for first in range(0, rows, step):
            told = self._told(own, levels, first, step, rows)
            given = {n: v[first : first + step] for n, v in inputs.items()}
            parts.append(self._answer(own, given, told, large=most > BLOCK))
        return np.concatenate(parts)

    def _read_by_one(self, tensor: str, levels: Mapping[str, Array]) -> int:
        """How many numbers of trains decide a time step of one sample of a tensor."""
        return sum(levels[self._trains[train]][:1].size for train in self._model(tensor)[1])

    def _told(
        self, tensor: str, levels: Mapping[str, Array], first: int, count: int, rows: int
    ) -> dict[str, Array]:
        """The levels that the trains carry which ``tensor`` reads, in some of so many samples, by train."""
        read = self._model(tensor)[1]
        return {t: self._some(levels[self._trains[t]], first, count, rows) for t in read}

    def _answer(
        self, tensor: str, inputs: Mapping[str, Array], levels: Mapping[str, Array], *, large: bool
    ) -> Array:
        """A train's levels, or an output, of the levels of the trains that it reads; of a ``large`` one, some at a time."""
        model = self._model(tensor)[0]
        parts = self._parts(tensor, inputs, levels) if large else []
        if not parts:
            return self._of_model(model, tensor, inputs, levels)
        found = []
        for part in parts:
            given = part.of({**inputs, **levels})
            told = {n: given.pop(n) for n in levels if n in given}
            found.append(self._of_model(part.model, part.output, given, told))
        return np.concatenate(found, axis=parts[0].span.axis)

    def _parts(
        self, tensor: str, inputs: Mapping[str, Array], levels: Mapping[str, Array]
    ) -> list[TensorPart]:
        steps = self._timesteps or 1
        shapes = {n: v.shape for n, v in inputs.items()}
        shapes |= {n: (steps * len(k), *k.shape[1:]) for n, k in levels.items()}
        return [part for (part,) in divided([self._model(tensor)[0]], shapes, range(1, _RANK), BLOCK)]

    def _of_model(
        self, model: SplitModel, tensor: str, inputs: Mapping[str, Array], levels: Mapping[str, Array]
    ) -> Array:
        """As :meth:`_answer`, all of it; large trains are not held: synapses see one time step after the other."""
        steps, train = self._timesteps, tensor.startswith("own/")
        if train and steps is not None and sum(k.size for k in levels.values()) * steps > BLOCK:
            parted = steps_apart(model, tensor, levels, steps)
            if parted is not None:
                found = parted(inputs, lambda t: {n: _bit(k, steps - 1 - t) for n, k in levels.items()})
                return self._decoded(found[tensor])
        run = self._runner(tensor) if tensor in self._pieces else make_runner(model)
        answer = run({**inputs, **{t: self._on_wire(k) for t, k in levels.items()}})[tensor]
        return self._decoded(answer) if train else answer

    def layer_by_layer(
        self, inputs: Mapping[str, Array], shapes: Mapping[str, Sequence[int]]
    ) -> dict[str, Array]:
        """Levels of each layer, of these shapes, to those of the layers before it, and outputs: one train is held at a time."""
        found: dict[str, Array] = {}
        for name, shape in shapes.items():
            found[name] = self.layer(name, inputs, found, shape)
        return found | self.outputs(self._names, inputs, found)

    def outputs(
        self, names: Iterable[str], inputs: Mapping[str, Array], levels: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Outputs of the network by name."""
        rows, found = len(next(iter(inputs.values()))), {}
        for name in names:
            large = self._read_by_one(name, levels) * (self._timesteps or 1) > BLOCK
            found[name] = self._answer(name, inputs, self._told(name, levels, 0, rows, rows), large=large)
        return found

    def _runner(self, tensor: str) -> Runner:
        if tensor not in self._runners:
            self._runners[tensor] = make_runner(self._model(tensor)[0])
        return self._runners[tensor]

    def _model(self, tensor: str) -> tuple[SplitModel, tuple[str, ...]]:
        """What computes ``tensor`` of trains and inputs, and the trains that it reads."""
        if tensor not in self._pieces:
            graph = self._forced.graph
            nodes = needed(graph.node, [tensor])
            read_here = {tensor, *(name for node in nodes for name in names_read(node))}
            # a copy would hold what is taken from it; the layer table is that of all layers
            piece: onnx.ModelProto = without(self._forced, "graph", "metadata_props")
            read = tuple(train for train in self._trains if train in read_here)
            piece.graph.CopyFrom(onnx.GraphProto(name=graph.name, node=nodes))
            piece.graph.initializer.extend(t for t in graph.initializer if t.name in read_here)
            piece.graph.input.extend(_free(info) for info in graph.input if info.name in read_here)
            piece.graph.input.extend(self._given[train] for train in read)
            own = [_free(info) for info in graph.output if info.name == tensor]
            train = self._given.get(next((t for t, n in self._trains.items() if f"own/{n}" == tensor), ""))
            piece.graph.output.extend(own or [_renamed(train, tensor)])
            weights = {name: w for name, w in self._weights.items() if name in read_here}
            self._pieces[tensor] = SplitModel(piece, weights), read
        return self._pieces[tensor]

    @staticmethod
    def _some(levels: Array, first: int, count: int, rows: int) -> Array:
        """Those of some of so many samples, each of which may have several rows."""
        each = len(levels) // rows
        return levels[first * each : (first + count) * each]

    def _on_wire(self, levels: Array) -> Array:
        """As the network reads them."""
        if self._timesteps is None:
            return levels.astype(np.float32)
        train = np.empty((self._timesteps, *levels.shape), np.float32)
        for step in range(self._timesteps):
            train[step] = _bit(levels, self._timesteps - 1 - step)
        return train.reshape(-1, *levels.shape[1:])

    def _decoded(self, train: Array) -> Array:
        if self._timesteps is None:
            return train
        levels = counts_of(train, self._timesteps)
        few = levels.astype(np.min_scalar_type(2**self._timesteps - 1))
        return few if np.array_equal(few, levels) else levels


def _bit(levels: Array, place: int) -> NDArray[np.float32]:
    """The spikes that carry 2 to the power of ``place``."""
    return ((levels.astype(np.int32) >> place) & 1).astype(np.float32)


def counts_of(train: NDArray[Any], timesteps: int) -> NDArray[np.float32]:
    """The level (N, ...) that a train (T·N, ...) carries: Σ 2^(T−1−t)·s(t)."""
    steps = train.reshape(timesteps, -1, *train.shape[1:])
    level: NDArray[np.float32] = steps[0].astype(np.float32)
    for spikes in steps[1:]:
        level += level + spikes
    return level


def _free(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """For any number of samples."""
    free = onnx.ValueInfoProto()
    free.CopyFrom(info)
    if free.type.tensor_type.shape.dim:
        free.type.tensor_type.shape.dim[0].dim_param = "N"
    return free


def _renamed(info: onnx.ValueInfoProto | None, name: str) -> onnx.ValueInfoProto:
    fresh = onnx.ValueInfoProto()
    if info is not None:
        fresh.CopyFrom(info)
    fresh.name = name
    return fresh


def _with_bodies(model: onnx.ModelProto, execution: str) -> onnx.ModelProto:
    """A copy whose neurons have the bodies of ``execution``."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    table = read_layer_table(model)
    bias = str(table.get("bias", "once"))
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    names = [function.name for function in model.functions if function.domain == DOMAIN]
    others = [function for function in model.functions if function.domain != DOMAIN]
    del copy.functions[:]
    copy.functions.extend(others)
    copy.functions.extend(
        function_body(name, timesteps=table["timesteps"], execution=execution, bias=bias, opset=opset)
        for name in names
    )
    return copy


def _shape(model: onnx.ModelProto, name: str) -> list[str | int]:
    for info in model.graph.value_info:
        if info.name == name:
            dims = info.type.tensor_type.shape.dim
            return [f"train_{i}" if i == 0 or not d.dim_value else d.dim_value for i, d in enumerate(dims)]
    return []
