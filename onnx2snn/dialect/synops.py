"""The counting graph: how many synaptic operations the spikes of each layer cause (METHOD 7).

Between neurons a converted network is linear. Run the same operators on spike *counts*, every weight that is not zero
replaced by one, and the sum of what arrives is the number of accumulates that event-driven hardware performs, exact at
borders, strides, groups and branches. This module writes those operators, once for each source layer, as a fragment of a
graph that a runtime appends to the network when it is asked to count; what each operator becomes stands in
:mod:`onnx2snn.operators.counting`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.dialect.functions import COUNT, DOMAIN, HOLD, SYNOPS
from onnx2snn.dialect.layer_table import Layer
from onnx2snn.dialect.train_shapes import shapes_of
from onnx2snn.operators import of


def counting_graph(model: onnx.ModelProto, layers: Iterable[Layer]) -> onnx.GraphProto:
    """Nodes that count, and one output ``synops/<layer>`` (N,) for each layer whose spikes are read."""
    fragment = onnx.GraphProto()
    layers = tuple(layers)
    network = _Network(model, layers)
    network.folds = any(_rows(layer, network.shapes) > 1 for layer in layers)
    for number, layer in enumerate(layers):
        Count(network, fragment, f"count{number}").run(layer)
    return fragment


def _rows(layer: Layer, shapes: Mapping[str, list[int | None]]) -> int:
    """How many rows of a layer's train belong to each sample: a layer counts them as an axis of its own."""
    sizes = shapes.get(layer.output)
    return int(layer.shape[0] or 1) if sizes is not None and len(layer.shape) >= len(sizes) else 1


class _Network:
    """What all layers ask of the model: who reads a tensor, shapes, constants."""

    def __init__(self, model: onnx.ModelProto, layers: Sequence[Layer]) -> None:
        self.nodes = list(model.graph.node)
        self.trains = {layer.output for layer in layers}
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.readers: dict[str, list[int]] = {}
        for position, node in enumerate(self.nodes):
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(position)
        self.shapes = shapes_of(model)
        self.folds = False  # whether several rows of a sample stand on axis 0 somewhere
        self.constants = {tensor.name for tensor in model.graph.initializer}


class Count:
    """Writes the operators that one layer's spikes run through."""

    def __init__(self, network: _Network, fragment: onnx.GraphProto, prefix: str) -> None:
        self._network = network
        self._fragment = fragment
        self._prefix = prefix
        self._counts: dict[str, str] = {}
        self._sizes: Count | None = None
        self._serial = 0
        self._samples: str | None = None

    def run(self, layer: Layer) -> None:
        """Write all that ``layer``'s spikes run through, and the sum of what arrives."""
        self._counts[layer.output] = COUNT.format(layer.output)
        self._samples = self._sample_rows(layer) if self._network.folds else None
        arrived = []
        ahead = list(self._network.readers.get(layer.output, ()))
        heapq.heapify(ahead)
        done = -1
        while ahead:
            position = heapq.heappop(ahead)
            if position == done:
                continue
            done = position
            node = self._network.nodes[position]
            if of(node).sizes:  # no spike arrives there
                continue
            read = [name for name in node.input if name in self._counts]
            if of(node).counts is None:
                arrived += [self._total(self._counts[name]) for name in read]
            else:
                self._pass(node)
                for name in node.output:
                    for reader in self._network.readers.get(name, ()):
                        heapq.heappush(ahead, reader)
        output = SYNOPS.format(layer.name)
        if arrived:
            self._fragment.node.append(helper.make_node("Sum", arrived, [output]))
        else:
            self._fragment.node.append(helper.make_node("Identity", [self._zero(layer)], [output]))
        self._fragment.output.append(helper.make_tensor_value_info(output, TensorProto.DOUBLE, ["N"]))

    def _pass(self, node: onnx.NodeProto) -> None:
        counts = of(node).counts
        if counts is not None:
            self._counts.update(zip(node.output, counts(self, node), strict=False))

    def _sample_rows(self, layer: Layer) -> str:
        """(N, -1): the shape that puts all rows of a sample, several of which may stand on axis 0, into one."""
        rows = self.add("Shape", [COUNT.format(layer.output)], end=1)
        samples = self.add("Div", [rows, self.constant(np.array([_rows(layer, self._network.shapes)]))])
        return self.add("Concat", [samples, self.constant(np.array([-1]))], axis=0)

    def _zero(self, layer: Layer) -> str:
        return self.add("Mul", [self._total(COUNT.format(layer.output)), self.constant(np.zeros(1))])

    def _total(self, counts: str) -> str:
        """The sum of each sample, exact: float64 holds every integer below 2⁵³. Its type is declared: in a stream it may wait."""
        if self._samples is None:
            apart = self.add("Flatten", [counts], axis=1)
        else:
            apart = self.add("Reshape", [counts, self._samples])
        flat = self.add("Cast", [apart], to=TensorProto.DOUBLE)
        total = self.add("ReduceSum", [flat, self.constant(np.array([1]))], keepdims=0)
        self._fragment.value_info.append(helper.make_tensor_value_info(total, TensorProto.DOUBLE, ["N"]))
        return total

    def add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        """A node; the name of what it makes."""
        self._serial += 1
        name = f"{self._prefix}/{self._serial}"
        self._fragment.node.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        """A constant of the fragment; its name."""
        return self.add("Constant", [], value=numpy_helper.from_array(values))

    def nonzero(self, name: str) -> str:
        """1 where a weight is not zero; computed from the network's own weights, so nothing is stored twice."""
        return self.add("Cast", [self.add("Cast", [name], to=TensorProto.BOOL)], to=TensorProto.FLOAT)

    def counted(self, node: onnx.NodeProto) -> list[str]:
        """Counts of all that ``node`` reads of this layer."""
        return [self._counts[name] for name in node.input if name in self._counts]

    def counts(self, name: str) -> str | None:
        """Of the train ``name``; None where no spike of this layer comes through it."""
        return self._counts.get(name)

    def is_held(self, name: str) -> bool:
        """Whether ``name`` is a potential that is held beside a train."""
        maker = self._network.makers.get(name)
        return maker is not None and maker.domain == DOMAIN and maker.op_type == HOLD

    def sized_like(self, name: str) -> str:
        """Counts of some layers in the shape of the train ``name``, whoever spikes there: for sizes that are open."""
        if self._sizes is None:
            self._sizes = Count(self._network, self._fragment, f"{self._prefix}/sizes")
        return self._sizes._reached(name)  # noqa: SLF001 - one class

    def _reached(self, name: str) -> str:
        self._go_back_from(name)
        return self._counts[name]

    def _go_back_from(self, name: str) -> None:
        """Counts of ``name``, where any spike comes to it: a held potential has none, nor have sizes."""
        if name in self._network.trains:
            self._counts[name] = COUNT.format(name)
        node = self._network.makers.get(name)
        if name in self._counts or node is None or of(node).sizes or self.is_held(name):
            return
        values = of(node).values
        read = [n for i, n in enumerate(node.input) if values is None or i in values]
        for one in read:
            self._go_back_from(one)
        if any(one in self._counts for one in read):
            self._pass(node)

    def copy(self, node: onnx.NodeProto, without: Sequence[int] = ()) -> list[str]:
        """The operator itself, on counts; ``without`` some of its inputs."""
        inputs = [self._counts.get(name, name) for name in node.input]
        outputs = [f"{self._prefix}/{self._serial + i + 1}" for i in range(len(node.output))]
        self._serial += len(outputs)
        fresh = onnx.NodeProto()
        fresh.CopyFrom(node)
        fresh.name = ""
        del fresh.input[:], fresh.output[:]
        fresh.input.extend(inputs)
        fresh.output.extend(outputs)
        for position in without:
            fresh.input[position : position + 1] = [""] * len(fresh.input[position : position + 1])
        self._fragment.node.append(fresh)
        return outputs

    def attributes(self, node: onnx.NodeProto) -> dict[str, Any]:
        """Of ``node``, by name."""
        return {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def shape(self, name: str) -> list[int | None]:
        """Of a tensor of the network; None for a size that is open, empty where nothing is known."""
        return self._network.shapes.get(name) or []

    def is_constant(self, name: str) -> bool:
        """Whether the network holds ``name``."""
        return name in self._network.constants
