"""Operators once more, on what trains are without spikes: the part of a bias that depends on the sample."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import TWIN, Array, Names, constant_input, is_constant, producer_of, value_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import ROWS, is_hold, is_weighted


class Twins:
    """Writes the twins of nodes between neurons.

    Args:
        graph: Where they go.
        names: Fresh names.
    """

    def __init__(self, graph: gs.Graph, names: Names) -> None:
        self._graph, self._names = graph, names
        self._answers: dict[int, gs.Tensor] = {}
        self._joined: dict[int, tuple[list[gs.Tensor], Array]] = {}

    def know(self, train: gs.Tensor, answer: Array) -> None:
        """``train`` answers a constant to no spikes, of one sample (1, ...), its rows (R, ...), or fewer axes."""
        values = answer.astype(np.float32).reshape((1,) * (len(train.shape) - answer.ndim) + answer.shape)
        if not np.any(values != values[:1]):  # so it meets those of any number of samples
            values = values[:1]
        self._answers[id(train)] = gs.Constant(self._names.fresh(f"{train.name}/silent"), values)

    def silence(self, neuron: gs.Node) -> None:
        """What ``neuron`` answers: zeros (1, ...) of the size of one sample, which depend on its size alone, never on a spike."""
        level, rows = neuron.outputs[0], neuron.attrs.get(ROWS, 1)
        sizes = self._variable(f"{level.name}/sizes", np.int64, [len(level.shape) - 1])
        shape = self._variable(f"{level.name}/one_sample", np.int64, [len(level.shape)])
        zeros = self._variable(f"{level.name}/zeros", np.float32, [1, *level.shape[1:]])
        one = make_constant(self._names, f"{level.name}/one", np.array([rows], np.int64))
        self._add("Shape", [level], sizes, start=1)
        self._add("Concat", [one, sizes], shape, axis=0)
        self._add("ConstantOfShape", [shape], zeros)
        self._answers[id(level)] = zeros

    def answer(self, train: gs.Tensor) -> gs.Tensor:
        """What ``train`` is without spikes."""
        return self._answers[id(train)]

    def write(self, node: gs.Node) -> None:
        """The twin of ``node``; potentials are held beside trains alone.

        1. It joins what is constant without spikes to analog values: those are there for each sample.
        2. Synapses behind read of what is joined only what is not zero.
        3. Rows of a sample that lie in the batch, and differ without spikes, meet those of each sample.
        """
        inputs = [self._read(tensor) for tensor in node.inputs]
        attrs = dict(node.attrs)
        if of(node).joins and not all(map(is_constant, inputs)):
            inputs = self._each(node, inputs)
        elif is_weighted(node) and id(inputs[0]) in self._joined and _whole_channels(node):
            inputs = self._without_zeros(node, inputs)
        else:
            inputs = self._each_row(node, inputs)
        outputs = [self._variable(f"{t.name}/silent", t.dtype, list(t.shape)) for t in node.outputs]
        twin = gs.Node(op=node.op, name=self._names.fresh(f"{node.name}/silent"), attrs=attrs)
        twin.attrs[TWIN] = 1
        twin.inputs.extend(inputs)
        twin.outputs.extend(outputs)
        self._graph.nodes.append(twin)
        self._answers.update((id(t), made) for t, made in zip(node.outputs, outputs, strict=True))
        if of(node).joins:
            self._note(node, inputs, outputs[0])

    def _read(self, tensor: gs.Tensor) -> gs.Tensor:
        maker = producer_of(tensor)
        if maker is not None and is_hold(maker):
            return maker.inputs[0]
        found = self._answers.get(id(tensor), tensor)
        return gs.Constant(self._names.fresh(found.name), value_of(found)) if is_constant(found) else found

    def _each(self, node: gs.Node, inputs: list[gs.Tensor]) -> list[gs.Tensor]:
        """Case 1."""
        analog = next(tensor for tensor in inputs if not is_constant(tensor))
        found: list[gs.Tensor] = []
        for tensor, train in zip(inputs, node.inputs, strict=True):
            if is_constant(tensor):
                samples = self._variable(f"{tensor.name}/samples", np.int64, [1])
                shape = self._variable(f"{tensor.name}/sizes", np.int64, [len(train.shape)])
                wide = self._variable(f"{tensor.name}/each", np.float32, [analog.shape[0], *train.shape[1:]])
                sizes = self._constant(f"{tensor.name}/sample", np.array(train.shape[1:], np.int64))
                self._add("Shape", [analog], samples, start=0, end=1)
                self._add("Concat", [samples, sizes], shape, axis=0)
                self._add("Expand", [tensor, shape], wide)
                found.append(wide)
            else:
                found.append(tensor)
        return found

    def _each_row(self, node: gs.Node, inputs: list[gs.Tensor]) -> list[gs.Tensor]:
        """Case 3: R rows, once for each sample of N·R."""
        analog = next((t for t in inputs if not is_constant(t)), None)
        found: list[gs.Tensor] = []
        for tensor, train in zip(inputs, node.inputs, strict=True):
            rows = value_of(tensor).shape[:1] if is_constant(tensor) and id(train) in self._answers else (1,)
            if analog is None or rows in ((), (1,)):
                found.append(tensor)
                continue
            held = self._constant(f"{tensor.name}/rows", np.array(rows, np.int64))
            ones = self._constant(f"{tensor.name}/ones", np.ones(len(train.shape) - 1, np.int64))
            length, samples = (
                self._variable(f"{tensor.name}/{n}", np.int64, [1]) for n in ("all", "samples")
            )
            repeats = self._variable(f"{tensor.name}/repeats", np.int64, [len(train.shape)])
            wide = self._variable(f"{tensor.name}/each", np.float32, [analog.shape[0], *train.shape[1:]])
            self._add("Shape", [analog], length, start=0, end=1)
            self._add("Div", [length, held], samples)
            self._add("Concat", [samples, ones], repeats, axis=0)
            self._add("Tile", [tensor, repeats], wide)
            found.append(wide)
        return found

    def _constant(self, stem: str, values: Array) -> gs.Constant:
        return make_constant(self._names, stem, values)

    def _note(self, node: gs.Node, inputs: list[gs.Tensor], joined: gs.Tensor) -> None:
        """Which channels of what is joined are not zero."""
        if int(node.attrs["axis"]) % len(joined.shape) != 1:
            return
        zeros = []
        for train in node.inputs:
            found = self._answers.get(id(train))
            zeros.append(found is not None and is_constant(found) and not np.any(value_of(found)))
        sizes = [tensor.shape[1] for tensor in inputs]
        if any(zeros) and not all(zeros) and all(isinstance(size, (int, np.integer)) for size in sizes):
            kept = np.repeat(~np.array(zeros), [int(size) for size in sizes])
            parts = [t for t, zero in zip(inputs, zeros, strict=True) if not zero]
            self._joined[id(joined)] = parts, np.flatnonzero(kept)

    def _without_zeros(self, node: gs.Node, inputs: list[gs.Tensor]) -> list[gs.Tensor]:
        """Case 2."""
        parts, kept = self._joined[id(inputs[0])]
        weights = value_of(inputs[1])[:, kept]
        read = parts[0]
        if len(parts) > 1:
            shape = [read.shape[0], len(kept), *read.shape[2:]]
            read = self._variable(f"{node.name}/silent/read", np.float32, shape)
            self._add("Concat", parts, read, axis=1)
        return [read, make_constant(self._names, f"{node.name}/silent/weights", weights), *inputs[2:]]

    def _variable(self, stem: str, dtype: object, shape: list[int | str]) -> gs.Variable:
        return gs.Variable(self._names.fresh(stem), dtype, shape)

    def _add(self, op: str, read: list[gs.Tensor], made: gs.Tensor, **attrs: object) -> None:
        node = gs.Node(
            op=op, name=self._names.fresh(made.name), attrs=dict(attrs), inputs=read, outputs=[made]
        )
        self._graph.nodes.append(node)


def _whole_channels(node: gs.Node) -> bool:
    """Whether each of its output channels reads all input channels, which are the second axis of its weights."""
    held, weights = of(node).weights, constant_input(node, 1)
    return held is not None and weights is not None and held.whole_outputs(node.attrs, weights.ndim) == 0
