"""Counts inside the network, so that trains never leave it: spikes, synaptic operations, levels, sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.draft import sizes_of
from onnx2snn.compile.fan_out import Values, by_fan_out
from onnx2snn.compile.known_sizes import BATCH
from onnx2snn.dialect.functions import COUNT, DOMAIN, SYNOPS
from onnx2snn.dialect.layer_table import read_counting_graph
from onnx2snn.errors import InvalidModelError

#: Adds up what arrives in the time steps of a phase, each step as much as any other: a node of graphs that are compiled.
TALLY = "Tally"

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
        self._fragment = read_counting_graph(model)

    def add_spikes(self) -> None:
        """``spikes/<layer>`` (N,) float64, and ``<train>/count`` (N, ...) for who counts further."""
        for number, layer in enumerate(self._table["layers"]):
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
        info = next((info for info in self._graph.value_info if info.name == train), None)
        return None if info is None else len(sizes_of(info) or ()) or None

    def add_synops(self, values: Values) -> None:
        """``synops/<layer>`` (N,) float64, where the file says how they are counted; behind :meth:`add_spikes`."""
        if self._fragment is None:
            return
        fragment = by_fan_out(self._fragment, values, self._steps)
        names = [SYNOPS.format(layer["name"]) for layer in self._table["layers"]]
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
        return self._add("Constant", [], name, value=numpy_helper.from_array(np.asarray(values, dtype)))

    @staticmethod
    def _declare(infos: Any, name: str, kind: int, shape: Any) -> None:
        infos.append(helper.make_tensor_value_info(name, kind, shape))
