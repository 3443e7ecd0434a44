"""How many synapses a spike of each neuron reaches: the counting graph, read backwards once, when a network is compiled.

A file counts synaptic operations by the network's own operators, a one for every weight that is not zero (METHOD 7). All of that
is linear in the counts c of a layer, and a sum is taken in the end:

    c ─▶ Conv(W ≠ 0) ─▶ sum of everything        =        Σ_i f[i]·c[i],    f: the fan-out of each neuron

f is what the transposed operators make of a one. Where it is alike along an axis, as in the middle of a map, or in all channels
that no weight is missing from, it is held once: with one entry along that axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.draft import Array, attributes, sizes_of
from onnx2snn.compile.fan_out import Values, masked
from onnx2snn.compile.one_node import run_node
from onnx2snn.compile.size_constants import computed
from onnx2snn.compile.transposed import Reached, by_tap, compact, gathered, is_plain, through_weights
from onnx2snn.graph.walks import carried, forward
from onnx2snn.model.nodes import held_tensors
from onnx2snn.operators import of

#: Places are numbered in float32, which every operator that moves them knows.
_NUMBERED = 2**24
#: Constants of so few values are computed before sizes are looked at.
_FEW = 1 << 16
#: Those to resize by are no more.
_FACTORS = 16
#: Whole numbers are nearer than this to what averages, times their cells, make of them.
_WHOLE = 1e-6


def fan_outs(
    graph: onnx.GraphProto, values: Values, counts: Mapping[str, tuple[int, ...]], opset: int
) -> dict[str, Reached]:
    """By tensor of counts, the fan-out of each neuron; those that something else decides, or that are not known, are missing.

    Args:
        graph: The counting graph.
        values: Of the network's weights.
        counts: Sizes of the tensors of counts, of one sample, along axis 0 as many rows as that has.
        opset: Of ONNX's own operators.

    Returns:
        Arrays with as many axes as the tensors, one entry along those where all are alike.
    """
    return _Backwards(graph, values, counts, opset).run()


class _UnknownError(Exception):
    """An operator that has no transposed one here."""


class _Backwards:
    def __init__(
        self, graph: onnx.GraphProto, values: Values, counts: Mapping[str, tuple[int, ...]], opset: int
    ) -> None:
        self._graph, self._values, self._counts = graph, values, counts
        self._opsets = [helper.make_opsetid("", opset)]
        self._producers = {name: node for node in graph.node for name in node.output}
        self._held = {name: numpy_helper.to_array(t) for name, t in held_tensors(graph).items()}
        self._shapes = self._inferred()
        self._moving = forward(graph.node, lambda node, read: any(read) and not of(node).sizes, counts.keys())
        self._unknown: set[str] = set()

    def run(self) -> dict[str, Reached]:
        start = {info.name: np.ones(1) for info in self._graph.output}
        found = carried(reversed(self._graph.node), self._rule, start)
        known = {n: f for n, f in found.items() if n in self._counts and n not in self._unknown}
        rounded = {name: np.rint(f) for name, f in known.items()}
        whole = {
            name: bool(np.all(np.abs(f - rounded[name]) < _WHOLE * (1 + f))) for name, f in known.items()
        }
        return {
            name: compact(f.reshape((1,) * (len(self._counts[name]) - f.ndim) + f.shape))
            for name, f in rounded.items()
            if whole[name]
        }

    def _rule(self, node: onnx.NodeProto, found: Mapping[str, Reached]) -> Iterable[tuple[str, Reached]]:
        """What ``node`` adds to what is reached from each tensor that it reads."""
        behind = [name for name in node.output if name in found]
        if not behind:
            return
        added: dict[str, Reached] = {}
        for place, name in enumerate(node.input):
            if name not in self._moving:
                continue
            try:
                if self._unknown.intersection(node.output) or len(node.output) > 1:
                    raise _UnknownError
                part = self._transposed(node, place, found[behind[0]])
            except _UnknownError:
                self._unknown.add(name)
                part = np.zeros(1)
            added[name] = compact(added.get(name, found.get(name, np.zeros(1))) + part)
        yield from added.items()

    def _transposed(self, node: onnx.NodeProto, place: int, reached: Reached) -> Reached:
        """What is reached from an operand of a node, if ``reached`` is from its result."""
        name, record = node.input[place], of(node)
        shape = self._shape(name)
        reached = reached.reshape((1,) * (len(self._shape(node.output[0])) - reached.ndim) + reached.shape)
        if record.typed_by or (record.jumps and record.elementwise and len(node.input) == 1):
            return reached  # only averages are rounded, which are whole
        if record.sums:
            return gathered(reached, self._shape(node.output[0]), shape)
        if record.total:
            return self._spread(node, reached, len(shape))
        if record.weights and record.channels_second:
            return self._convolved(node, place, reached)
        if record.weights and len(node.input) == 2:
            return self._multiplied(node, place, reached)
        if record.neutral == 1 and record.divides is None:
            factor = self._constant(node.input[1 - place])
            return gathered(reached * factor, self._shape(node.output[0]), shape)
        if record.mean and record.windows:
            return self._averaged(node, reached)
        return self._moved(node, place, reached)

    # --- operators

    def _spread(self, node: onnx.NodeProto, reached: Reached, rank: int) -> Reached:
        """Back to the axes along which a sum is taken."""
        held = attributes(node)
        axes = held.get("axes")
        if len(node.input) > 1 and node.input[1]:
            axes = self._constant(node.input[1]).reshape(-1)
        along = sorted({int(a) % rank for a in (range(rank) if axes is None else axes)})
        return reached if held.get("keepdims", 1) else np.expand_dims(reached, along)

    def _convolved(self, node: onnx.NodeProto, place: int, reached: Reached) -> Reached:
        """Through a convolution, transposed or not."""
        held, record = attributes(node), of(node).weights
        if place or record is None or not is_plain(held):
            raise _UnknownError
        weights = self._ones(node.input[1])
        forwards = record.outputs(held, weights.ndim) == 0
        through = through_weights(weights, reached, group=int(held.get("group", 1)), forwards=forwards)
        return by_tap(held, weights.shape[2:], *self._places(node), through, forwards=forwards)

    def _averaged(self, node: onnx.NodeProto, reached: Reached) -> Reached:
        """Through an average that counts its padding."""
        held = attributes(node)
        if not is_plain(held):
            raise _UnknownError
        kernel = tuple(int(k) for k in held["kernel_shape"])
        share = reached / math.prod(kernel)
        return by_tap(held, kernel, *self._places(node), lambda _: share, forwards=True)

    def _places(self, node: onnx.NodeProto) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of what a node reads, and of what it writes."""
        return self._shape(node.input[0])[2:], self._shape(node.output[0])[2:]

    def _multiplied(self, node: onnx.NodeProto, place: int, reached: Reached) -> Reached:
        """Through a product of matrices, from either side."""
        ones, held = self._ones(node.input[1 - place]), attributes(node)
        if held.get("transA", 0) or ones.ndim < 2 or len(self._shape(node.input[place])) < 2:
            raise _UnknownError
        if held.get("transB", 0):
            ones = ones.T
        if place == 1:
            ones, reached = np.swapaxes(ones, -1, -2), np.swapaxes(reached, -1, -2)
        if reached.shape[-1] == 1:
            many = np.count_nonzero(ones, axis=-1).astype(np.float64)[..., None, :]
            through = compact(many) * reached
        else:
            through = reached @ np.swapaxes(ones != 0, -1, -2).astype(np.float64)
        if place == 1:
            through = np.swapaxes(through, -1, -2)
        shape = self._shape(node.input[place])
        sizes = (*self._shape(node.output[0])[:-2], *shape[-2:])
        return gathered(through, sizes, shape)

    def _moved(self, node: onnx.NodeProto, place: int, reached: Reached) -> Reached:
        """Through what only copies entries: each is followed by its number."""
        record, shape = of(node), self._shape(node.input[place])
        sizes, count = self._shape(node.output[0]), int(np.prod(shape))
        if record.moves and reached.size == 1 and count == int(np.prod(sizes)):
            return np.full((1,) * len(shape), reached.reshape(())[()])
        if record.copies is None or count >= _NUMBERED or not node.output[0]:
            raise _UnknownError
        numbered, numbers = onnx.NodeProto(), f"{node.input[place]}/numbers"
        numbered.CopyFrom(node)
        numbered.input[place] = numbers  # what is read at two places is followed from one
        feeds: dict[str, Array] = {numbers: np.arange(1, count + 1, dtype=np.float32).reshape(shape)}
        for name in filter(None, numbered.input):
            if name in self._moving:
                feeds[name] = np.zeros(self._shape(name), np.float32)
            elif name != numbers:
                feeds[name] = self._constant(name)
        found = run_node(numbered, feeds, opsets=self._opsets).astype(np.int64)
        weights = np.broadcast_to(reached, sizes).reshape(-1)
        back: Reached = np.bincount(found.reshape(-1), weights, minlength=count + 1).astype(np.float64)
        return back[1:].reshape(shape)

    # --- what does not depend on counts

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self._shapes:
            raise _UnknownError
        return self._shapes[name]

    def _ones(self, name: str) -> Array:
        """Weights, or what is not zero where they are not."""
        weights = masked(name, self._producers)
        found = self._values(weights) if weights else None
        return self._constant(name) if found is None else found

    def _constant(self, name: str) -> Array:
        """A tensor that depends on no count, of one sample."""
        if name in self._held:
            return self._held[name]
        node, given = self._producers.get(name), self._values(name)
        if given is not None:
            return given
        if node is None or name in self._moving or len(node.output) > 1:
            raise _UnknownError
        weights = masked(name, self._producers)
        if weights is not None:
            ones: Array = (self._constant(weights) != 0).astype(np.float32)
            return ones
        feeds = {n: self._constant(n) for n in node.input if n}
        self._held[name] = found = run_node(node, feeds, opsets=self._opsets)
        return found

    def _inferred(self) -> dict[str, tuple[int, ...]]:
        """Sizes of all tensors, for one sample; what sizes decide is computed, and held."""
        made = {name for node in self._graph.node for name in node.output}
        read = {name for node in self._graph.node for name in node.input if name} - made
        inputs = []
        for name in sorted(read):
            values = None if name in self._counts else self._values(name)
            if values is not None and values.size <= (_FEW if values.dtype.kind == "i" else _FACTORS):
                self._held[name] = values  # sizes and places
            sizes = self._counts.get(name) if values is None else values.shape
            kind = TensorProto.FLOAT if values is None else helper.np_dtype_to_tensor_dtype(values.dtype)
            inputs.append(helper.make_tensor_value_info(name, kind, sizes))
        ends = [helper.make_empty_tensor_value_info(info.name) for info in self._graph.output]
        held = [numpy_helper.from_array(values, name) for name, values in self._held.items() if name in read]
        graph = helper.make_graph(list(self._graph.node), "counting", inputs, ends, held)
        model = helper.make_model(graph, opset_imports=self._opsets)
        found = _sizes(model)
        infos = {name: helper.make_tensor_value_info(name, 1, sizes) for name, sizes in found.items()}
        self._held |= computed(self._graph, self._held, infos, self._opsets, kept=(), most=_FEW)
        for node in model.graph.node:
            if len(node.output) == 1 and node.output[0] in self._held:
                value = numpy_helper.from_array(self._held[node.output[0]])
                node.CopyFrom(helper.make_node("Constant", [], [node.output[0]], value=value))
        return found | _sizes(model)


def _sizes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Those that are known."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    every = {i.name: sizes_of(i) for i in (*graph.input, *graph.value_info, *graph.output)}
    return {
        name: tuple(int(size or 0) for size in sizes)
        for name, sizes in every.items()
        if sizes is not None and None not in sizes
    }
