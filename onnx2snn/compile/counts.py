"""Counts inside the network, so that trains never leave it: spikes, synaptic operations, levels, sizes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.draft import sizes_of
from onnx2snn.compile.fan_out import Values, by_fan_out
from onnx2snn.compile.known_sizes import BATCH
from onnx2snn.compile.neuron_fan_out import fan_outs
from onnx2snn.compile.spike_sums import SpikeSums, apart_from_most
from onnx2snn.dialect.functions import COUNT, DOMAIN, SYNOPS
from onnx2snn.dialect.layer_table import read_counting_graph
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.nodes import STANDARD, needed

#: Adds up what arrives in the time steps of a phase, each step as much as any other: a node of graphs that are compiled.
TALLY = "Tally"

Sizes: TypeAlias = tuple[int, ...]

_EXACT = 2**24
_AS_WRITTEN = "run the file that onnx2snn wrote: another tool has renamed its tensors"


class Counting:
    """Nodes and outputs that are added to a network before it is written.

    Args:
        model: The network; nodes and outputs are appended to it.
        table: Its layer table.
        execution: In which it is going to be written.
    """

    def __init__(self, model: onnx.ModelProto, table: Mapping[str, Any], execution: str) -> None:
        self._graph, self._table, self._execution = model.graph, table, execution
        self._steps = int(table["timesteps"])
        self._batch = next((s[0] for i in model.graph.input if (s := sizes_of(i)) and s[0]), BATCH)
        self._opset = next(int(o.version) for o in model.opset_import if o.domain in STANDARD)
        self._fragment = read_counting_graph(model)
        self._declared = {info.name: sizes_of(info) for info in model.graph.value_info}

    def add(self, values: Values, *, synops: bool) -> None:
        """``spikes/<layer>``, and ``synops/<layer>`` where they are asked for and the file says how: (N,) float64.

        Where sizes are known, both are sums over the layer's neurons, each of its count times what it counts for.

        Args:
            values: Of the network's weights.
            synops: Synaptic operations are counted.
        """
        layers = list(self._table["layers"])
        sizes = {layer["name"]: self._sizes(layer) for layer in layers}
        reached: dict[str, NDArray[np.float64]] = {}
        asked = synops and self._fragment is not None
        if self._fragment is not None and asked:
            counts = {COUNT.format(y["output"]): s for y in layers if (s := sizes[y["name"]]) is not None}
            reached = fan_outs(self._fragment, values, counts, self._opset)
        open_ones = []
        for number, layer in enumerate(layers):
            known, fan_out = sizes[layer["name"]], reached.get(COUNT.format(layer["output"]))
            if known is None or (asked and fan_out is None):
                open_ones.append((number, layer))
            else:
                self._sums(number, layer, known, fan_out)
        self._add_spikes(open_ones)
        if synops:
            self._add_synops(values, {layer["name"] for _, layer in open_ones})

    def _sizes(self, layer: Mapping[str, Any]) -> Sizes | None:
        """Of one sample of its train, with as many rows along axis 0 as belong to it; None where one is open."""
        sizes = self._declared.get(layer["output"])
        if not sizes or not all(sizes[1:]) or not all(layer["shape"]):
            return None
        rows = math.prod(layer["shape"][: len(layer["shape"]) - (len(sizes) - 1)])
        return (rows, *(int(size or 0) for size in sizes[1:]))

    def _sums(
        self, number: int, layer: Mapping[str, Any], sizes: Sizes, fan_out: NDArray[np.float64] | None
    ) -> None:
        """Both, in one reading of a train."""
        at, timesteps = _Appended(self, f"sums{number}"), int(layer["timesteps"])
        spikes, synops = f"spikes/{layer['name']}", SYNOPS.format(layer["name"])
        columns = np.ones((1,) * (len(sizes) + 1))
        if fan_out is None or fan_out.size == 1:
            (found,) = self._summed_spikes(at, layer["output"], SpikeSums(sizes, columns, timesteps))
            self._counted(spikes, "Identity", [found])
            if fan_out is not None:
                self._counted(synops, "Mul", [found, at.constant(fan_out.reshape(()), np.float64)])
            return
        common, others = apart_from_most(fan_out)
        columns = np.stack(np.broadcast_arrays(np.ones(1), common))
        first, second = self._summed_spikes(at, layer["output"], SpikeSums(sizes, columns, timesteps))
        self._counted(spikes, "Identity", [first])
        if not others.size:
            self._counted(synops, "Identity", [second])
            return
        held = at.add("Gather", [layer["output"], at.constant(others, np.int64)], axis=1)
        few = (sizes[0], len(others), *sizes[2:])
        self._declare(self._graph.value_info, held, TensorProto.FLOAT, [None, *few[1:]])
        more = (np.take(fan_out, others, axis=1) - common)[None]
        (left,) = self._summed_spikes(at, held, SpikeSums(few, more, timesteps))
        self._counted(synops, "Add", [second, left])

    def _summed_spikes(self, at: _Appended, train: str, sums: SpikeSums) -> list[str]:
        """J times (N,)."""
        if self._execution in ("fused", "int8"):
            node = sums.node(train, at.fresh())
            self._graph.node.append(node)
            self._graph.initializer.append(sums.held(node))
            return list(node.output)
        found = sums.of_counts(at, train)
        if self._execution == "step":
            return found
        steps, first = at.constant([self._steps, -1], np.int64), at.constant([0], np.int64)
        apart = [at.add("Reshape", [one, steps]) for one in found]
        return [at.add("ReduceSum", [one, first], keepdims=0) for one in apart]

    def _add_spikes(self, layers: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """``spikes/<layer>``, and ``<train>/count`` (N, ...) for who counts further."""
        for number, layer in layers:
            prefix, count = f"spikes{number}", COUNT.format(layer["output"])
            if self._execution == "step":
                self._add("Identity", [layer["output"]], count)
            elif self._execution == "spiking":
                self._summed(layer["output"], count, prefix)
            else:
                self._popcount(layer["output"], count, prefix)
            self._total(layer, count, prefix)

    def _total(self, layer: Mapping[str, Any], count: str, prefix: str) -> None:
        """The sum of each sample; float32 holds every integer below 2²⁴, float64 below 2⁵³.

        Rows that belong to one sample, which the layer table has as axes in front of a row's own, are added up.
        """
        name, rank = f"spikes/{layer['name']}", self._rank(layer["output"])
        axis = self._constant(f"{prefix}/axis", list(range(1, rank or 2)))
        flat = count if rank else self._add("Flatten", [count], f"{prefix}/flat", axis=1)
        narrow = None not in layer["shape"] and layer["neurons"] * self._steps < _EXACT
        if not narrow:
            flat = self._add("Cast", [flat], f"{prefix}/wide", to=TensorProto.DOUBLE)
        in_front = layer["shape"][: len(layer["shape"]) - (rank - 1)] if rank else ()
        if in_front and None not in in_front:
            row = self._add("ReduceSum", [flat, axis], f"{prefix}/row", keepdims=0)
            rows = self._constant(f"{prefix}/rows", [-1, math.prod(in_front)])
            flat, axis = (
                self._add("Reshape", [row, rows], f"{prefix}/by_sample"),
                self._constant(f"{prefix}/all", [1]),
            )
        if narrow:
            total = self._add("ReduceSum", [flat, axis], f"{prefix}/total", keepdims=0)
            self._counted(name, "Cast", [total], to=TensorProto.DOUBLE)
        else:
            self._counted(name, "ReduceSum", [flat, axis], keepdims=0)

    def _rank(self, train: str) -> int | None:
        """Axes of a train, where they are declared."""
        return len(self._declared.get(train) or ()) or None

    def _add_synops(self, values: Values, layers: Collection[str]) -> None:
        """``synops/<layer>`` of layers whose counts are there, by the counting graph itself."""
        if self._fragment is None or not layers:
            return
        names, whole = [SYNOPS.format(name) for name in layers], self._fragment
        kept = [info for info in whole.output if info.name in names]
        nodes = needed(whole.node, [info.name for info in kept])
        part = onnx.GraphProto(name=whole.name, node=nodes, output=kept, value_info=whole.value_info)
        fragment = by_fan_out(part, values, self._steps)
        known = {info.name for info in fragment.output}
        for node in fragment.node:
            for place, name in enumerate(node.output):
                if name in known:
                    node.output[place] = f"{name}/counted"
            self._graph.node.append(node)
        self._graph.value_info.extend(fragment.value_info)
        for name in names:
            if name in known:
                self._counted(name, "Identity", [f"{name}/counted"])

    def _counted(self, name: str, operator: str, read: Sequence[str], **attributes: Any) -> None:
        """An output (N,) float64; of a graph of one time step it is added up over the steps."""
        if self._execution == "step":
            made = self._add(operator, read, f"{name}/step", **attributes)
            self._declare(self._graph.value_info, made, TensorProto.DOUBLE, [self._batch])
            self._graph.node.append(helper.make_node(TALLY, [made], [name], name, domain=DOMAIN))
        else:
            self._add(operator, read, name, **attributes)
        self._declare(self._graph.output, name, TensorProto.DOUBLE, [self._batch])

    def add_levels(self) -> None:
        """``levels/<layer>`` (N, ...): what a neuron's potential becomes that hears this one train, at weight 1."""
        fused = self._execution in ("fused", "int8")
        trains = {info.name: info for info in self._graph.value_info}
        steps = 1 if fused else self._steps
        for number, layer in enumerate(self._table["layers"]):
            name, read = f"levels/{layer['name']}", [layer["output"]]
            if steps == 1:
                # Levels are what there is, and never negative. An Identity, or a zero that is added, onnxruntime takes away, and
                # then looks in vain for a train that a Pad reads too.
                self._graph.node.append(helper.make_node("Abs", read, [name], name))
            else:
                read.append(self._constant(f"level{number}/zero", [0], np.float32))
                self._graph.node.append(
                    helper.make_node("Integrate", read, [name], name, domain=DOMAIN, input_steps=steps)
                )
            declared = onnx.ValueInfoProto()
            declared.CopyFrom(trains.get(layer["output"], helper.make_tensor_value_info("", 1, None)))
            declared.name = f"levels/{layer['name']}"
            if declared.type.tensor_type.shape.dim:
                declared.type.tensor_type.shape.dim[0].Clear()
            self._graph.output.append(declared)

    def add_sizes(self, tensors: Iterable[str]) -> None:
        """``sizes/<its number>``: the sizes of each of ``tensors`` for one sample.

        Raises:
            InvalidModelError: a tool has given one of them another name.
        """
        there = {name for node in self._graph.node for name in node.output}
        there |= {info.name for info in self._graph.input}
        for number, tensor in enumerate(tensors):
            if tensor not in there:
                message = "multiply-accumulates of this network are counted by the sizes of a tensor that it has no more"
                raise InvalidModelError(message, found=tensor, remedy=_AS_WRITTEN)
            self._add("Shape", [tensor], f"sizes/{number}", start=1)
            self._declare(self._graph.output, f"sizes/{number}", TensorProto.INT64, [None])

    def _summed(self, train: str, count: str, prefix: str) -> None:
        """The sum of each neuron's spikes over time."""
        steps, time = (
            self._constant(f"{prefix}/steps", [self._steps, -1]),
            self._constant(f"{prefix}/time", [0]),
        )
        sample = self._add("Shape", [train], f"{prefix}/sample", start=1)
        shape = self._add("Concat", [steps, sample], f"{prefix}/shape", axis=0)
        unfolded = self._add("Reshape", [train, shape], f"{prefix}/unfolded")
        self._add("ReduceSum", [unfolded, time], count, keepdims=0)

    def _popcount(self, level: str, count: str, prefix: str) -> None:
        """The ones in each level's binary code, the spikes of METHOD 2: k − Σ floor(k / 2^j), j ≥ 1 (Legendre)."""
        left = level
        for bit in range(1, self._steps):
            weight = self._constant(f"{prefix}/weight{bit}", [2.0**-bit], np.float32)
            shifted = self._add("Mul", [level, weight], f"{prefix}/shifted{bit}")
            whole = self._add("Floor", [shifted], f"{prefix}/whole{bit}")
            # one after the other: few are held at a time
            rest = count if bit == self._steps - 1 else f"{prefix}/left{bit}"
            left = self._add("Sub", [left, whole], rest)
        if self._steps == 1:
            self._add("Identity", [level], count)

    def _add(self, operator: str, read: Sequence[str], made: str, **attributes: Any) -> str:
        self._graph.node.append(helper.make_node(operator, list(read), [made], **attributes))
        return made

    def _constant(self, name: str, values: Sequence[float], dtype: Any = np.int64) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    @staticmethod
    def _declare(infos: Any, name: str, kind: int, shape: Any) -> None:
        infos.append(helper.make_tensor_value_info(name, kind, shape))


class _Appended:
    """Where nodes are written that are named after ``stem``."""

    def __init__(self, counting: Counting, stem: str) -> None:
        self._counting, self._stem, self._number = counting, stem, 0

    def fresh(self) -> str:
        """A name that nothing has."""
        self._number += 1
        return f"{self._stem}/{self._number}"

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node; the name of its one output."""
        return self._counting._add(operator, inputs, self.fresh(), **attributes)  # noqa: SLF001 - one module

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """A constant; its name."""
        return self._counting._constant(self.fresh(), values, dtype)  # noqa: SLF001
