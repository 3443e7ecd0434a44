"""Some channels of a tensor: a network that computes no others, so that what lies before a large map need not be held whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.dialect.functions import DOMAIN, NEURONS
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of

#: The axis of channels.
AXIS = 1


def channel_block(model: SplitModel, shape: Sequence[int], first: int, last: int) -> SplitModel | None:
    """A model that computes channels ``first`` to ``last`` of the only output of ``model``, of ``shape`` (N, C, ...).

        levels ─▶ Conv W, b ─▶ Add c ─▶ IF ─▶ z      becomes      levels ─▶ Conv W', b' ─▶ Add c' ─▶ IF ─▶ z'

    1. A convolution of one group: the weights of these channels. All of its input is read.
    2. Neurons, and operators that work entry by entry: their constants, and these channels of their signals.
    3. Anything else that has all channels: what it makes is sliced.
    4. A size that is not known, or no convolution before anything else: None, nothing would be saved.
    """
    block = _Block(model, shape, first, last)
    made = block.of(model.structure.graph.output[0].name)
    return block.model(made) if made is not None and block.saves else None


def channel_blocks(model: SplitModel, shape: Sequence[int], most: int) -> list[SplitModel]:
    """Models of some channels each, together all of ``shape`` (N, C, ...): at most so many numbers of a sample, or one channel.

    None of them where ``shape`` is as small, or cannot be divided.
    """
    if len(shape) <= AXIS or math.prod(shape[1:]) <= most:
        return []
    step = max(1, most // math.prod(shape[AXIS + 1 :]))
    ranges = ((first, min(first + step, shape[AXIS])) for first in range(0, shape[AXIS], step))
    found = [channel_block(model, shape, first, last) for first, last in ranges]
    return [block for block in found if block is not None] if None not in found else []


class _Block:
    """Attributes: saves: some convolution computes fewer channels."""

    def __init__(self, model: SplitModel, shape: Sequence[int], first: int, last: int) -> None:
        self._whole, self._rank, self._channels = model, len(shape), shape[AXIS]
        self._range, self.saves = (first, last), False
        graph = model.structure.graph
        self._shapes = {v.name: _sizes(v) for v in (*graph.value_info, *graph.input, *graph.output)}
        self._constants: Mapping[str, Array] = model.constants
        self._writers = {name: node for node in graph.node for name in node.output}
        self._nodes: list[onnx.NodeProto] = []
        self._cut: dict[str, Array] = {}
        self._made: dict[str, str | None] = {}

    def of(self, name: str) -> str | None:
        """The tensor that holds these channels of ``name``; None in case 4."""
        if name not in self._made:
            self._made[name] = self._computed(name)
        return self._made[name]

    def _computed(self, name: str) -> str | None:
        if name in self._constants:
            values = self._constants[name]
            axis = values.ndim - self._rank + AXIS
            if axis < 0 or values.shape[axis] == 1:
                return name
            return self._constant(name, axis) if values.shape[axis] == self._channels else None
        node = self._writers.get(name)
        if node is None or len(node.output) != 1:
            return self._sliced(name)
        along = self._output_axis(node)
        if along is not None:
            self.saves = True
            read = [node.input[0], self._constant(node.input[1], along)]
            read += [self._constant(n, 0) for n in node.input[2:] if n]
        elif (node.domain == DOMAIN and node.op_type in NEURONS) or (
            not node.domain and of(node).elementwise
        ):
            found = [self.of(n) if n else "" for n in node.input]
            if any(one is None for one in found):
                return self._sliced(name)
            read = [one or "" for one in found]
        else:
            return self._sliced(name)
        return self._added(node, read, name)

    def _output_axis(self, node: onnx.NodeProto) -> int | None:
        """The axis of constant weights along which channels of a convolution lie; None of any other node."""
        held = of(node).weights
        known = all(not name or name in self._constants for name in node.input[1:])
        if held is None or not of(node).channels_second or not known:
            return None
        return held.whole_outputs({a.name: a.i for a in node.attribute}, self._rank)

    def _added(self, node: onnx.NodeProto, read: Sequence[str], name: str) -> str:
        fresh = onnx.NodeProto()
        fresh.CopyFrom(node)
        del fresh.input[:], fresh.output[:]
        fresh.input.extend(read)
        fresh.output.append(f"{name}/block")
        fresh.name = f"{node.name}/block"
        self._nodes.append(fresh)
        return str(fresh.output[0])

    def _constant(self, name: str, axis: int) -> str:
        at = (slice(None),) * axis + (slice(*self._range),)
        self._cut[f"{name}/block"] = np.ascontiguousarray(self._constants[name][at])
        return f"{name}/block"

    def _sliced(self, name: str) -> str | None:
        """Case 3; None where it is not known to have all channels."""
        sizes = self._shapes.get(name, [])
        if len(sizes) != self._rank or sizes[AXIS] != self._channels:
            return None
        ends = []
        for key, value in (("first", self._range[0]), ("last", self._range[1]), ("axis", AXIS)):
            ends.append(f"{name}/block/{key}")
            self._cut[ends[-1]] = np.array([value], np.int64)
        self._nodes.append(helper.make_node("Slice", [name, *ends], [f"{name}/block"]))
        return f"{name}/block"

    def model(self, made: str) -> SplitModel:
        """What computes ``made``, under the name of the output."""
        structure = onnx.ModelProto()
        structure.CopyFrom(self._whole.structure)
        graph = structure.graph
        output = graph.output[0].name
        renamed = helper.make_node("Identity", [made], [output])
        needed, nodes = {output}, []
        everything = [*(n for n in graph.node if output not in n.output), *self._nodes, renamed]
        for node in reversed(everything):
            if any(name in needed for name in node.output):
                nodes.append(node)
                needed.update(node.input)
        inputs = [v for v in graph.input if v.name in needed]
        held = [t for t in graph.initializer if t.name in needed]
        held += [numpy_helper.from_array(v, name) for name, v in self._cut.items() if name in needed]
        block = onnx.GraphProto(name=graph.name, node=reversed(nodes), input=inputs, initializer=held)
        block.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
        graph.CopyFrom(block)
        return SplitModel(structure, {name: w for name, w in self._whole.weights.items() if name in needed})


def _sizes(info: onnx.ValueInfoProto) -> list[int]:
    """Of a tensor, 0 for any."""
    return [dim.dim_value for dim in info.type.tensor_type.shape.dim]
