"""The counting graph: how many synaptic operations the spikes of each layer cause (METHOD 7).

Between neurons a converted network is linear. Run the same operators on spike *counts*, every weight that is not zero
replaced by one, and the sum of what arrives is the number of accumulates that event-driven hardware performs, exact at
borders, strides, groups and branches. This module writes those operators, once for each source layer, as a fragment of a
graph that a runtime appends to the network when it is asked to count.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.dialect import DOMAIN, Layer
from onnx2snn.macs import shapes_of
from onnx2snn.passes.operators import WEIGHTED

#: The name of a layer's spike counts (N, ...) float32, which the runtime makes, by the name of its train.
COUNT = "{}/count"
#: The name of the fragment's output for a layer: synaptic operations (N,) float64.
SYNOPS = "synops/{}"


def counting_graph(model: onnx.ModelProto, layers: Iterable[Layer]) -> onnx.GraphProto:
    """Nodes that count, and one output ``synops/<layer>`` (N,) for each layer whose spikes are read."""
    fragment = onnx.GraphProto()
    network = _Network(model)
    for number, layer in enumerate(layers):
        _Count(network, fragment, f"count{number}").run(layer)
    return fragment


class _Network:
    """What all layers ask of the model: who reads a tensor, shapes, constants."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.readers: dict[str, list[int]] = {}
        for position, node in enumerate(self.nodes):
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(position)
        self.shapes = shapes_of(model)
        self.constants = {tensor.name for tensor in model.graph.initializer}


class _Count:
    """Writes the operators that one layer's spikes run through."""

    def __init__(self, network: _Network, fragment: onnx.GraphProto, prefix: str) -> None:
        self._network = network
        self._fragment = fragment
        self._prefix = prefix
        self._counts: dict[str, str] = {}
        self._serial = 0

    def run(self, layer: Layer) -> None:
        self._counts[layer.output] = COUNT.format(layer.output)
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
            if node.op_type in _SIZES and not node.domain:
                continue
            read = [name for name in node.input if name in self._counts]
            if node.domain == DOMAIN or node.op_type not in _ONES:
                arrived += [self._total(self._counts[name]) for name in read]
            else:
                self._counts.update(zip(node.output, _ONES[node.op_type](self, node), strict=False))
                for name in node.output:
                    for reader in self._network.readers.get(name, ()):
                        heapq.heappush(ahead, reader)
        output = SYNOPS.format(layer.name)
        if arrived:
            self._fragment.node.append(helper.make_node("Sum", arrived, [output]))
        else:
            self._fragment.node.append(helper.make_node("Identity", [self._zero(layer)], [output]))
        self._fragment.output.append(helper.make_tensor_value_info(output, TensorProto.DOUBLE, ["N"]))

    def _zero(self, layer: Layer) -> str:
        return self.add("Mul", [self._total(COUNT.format(layer.output)), self.constant(np.zeros(1))])

    def _total(self, counts: str) -> str:
        """The sum of each sample, exact: float64 holds every integer below 2⁵³."""
        flat = self.add("Cast", [self.add("Flatten", [counts], axis=1)], to=TensorProto.DOUBLE)
        return self.add("ReduceSum", [flat, self.constant(np.array([1]))], keepdims=0)

    def add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        self._serial += 1
        name = f"{self._prefix}/{self._serial}"
        self._fragment.node.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        return self.add("Constant", [], value=numpy_helper.from_array(values))

    def nonzero(self, name: str) -> str:
        """1 where a weight is not zero; computed from the network's own weights, so nothing is stored twice."""
        return self.add("Cast", [self.add("Cast", [name], to=TensorProto.BOOL)], to=TensorProto.FLOAT)

    def counted(self, node: onnx.NodeProto) -> list[str]:
        return [self._counts[name] for name in node.input if name in self._counts]

    def copy(self, node: onnx.NodeProto) -> list[str]:
        """The operator itself, on counts."""
        inputs = [self._counts.get(name, name) for name in node.input]
        outputs = [f"{self._prefix}/{self._serial + i + 1}" for i in range(len(node.output))]
        self._serial += len(outputs)
        fresh = onnx.NodeProto()
        fresh.CopyFrom(node)
        fresh.name = ""
        del fresh.input[:], fresh.output[:]
        fresh.input.extend(inputs)
        fresh.output.extend(outputs)
        self._fragment.node.append(fresh)
        return outputs

    def attributes(self, node: onnx.NodeProto) -> dict[str, Any]:
        return {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def shape(self, name: str) -> list[int | None]:
        return self._network.shapes.get(name) or []

    def is_constant(self, name: str) -> bool:
        return name in self._network.constants


def _weighted(count: _Count, node: onnx.NodeProto) -> list[str]:
    inputs = [count._counts.get(name) or count.nonzero(name) for name in node.input[:2]]  # noqa: SLF001 - one module
    attributes = {k: v for k, v in count.attributes(node).items() if k not in ("alpha", "beta")}
    return [count.add(node.op_type, inputs, **attributes)]


def _masked(count: _Count, node: onnx.NodeProto) -> list[str]:
    constants = [name for name in node.input if count.is_constant(name)]
    if node.op_type == "Div" or not constants:
        return count.counted(node)[:1]
    return [count.add("Mul", [count.counted(node)[0], count.nonzero(constants[0])])]


def _summed(count: _Count, node: onnx.NodeProto) -> list[str]:
    return [count.add("Sum", count.counted(node))]


def _average_pool(count: _Count, node: onnx.NodeProto) -> list[str]:
    attributes = count.attributes(node)
    cells = float(np.prod(attributes["kernel_shape"]))
    attributes["count_include_pad"] = 1
    mean = count.add("AveragePool", count.counted(node), **attributes)
    whole = count.add("Mul", [mean, count.constant(np.array([cells], np.float32))])
    return [count.add("Round", [whole])]


def _global_average_pool(count: _Count, node: onnx.NodeProto) -> list[str]:
    axes = np.arange(2, len(count.shape(node.input[0])))
    return [count.add("ReduceSum", [*count.counted(node), count.constant(axes)], keepdims=1)]


def _reduce(count: _Count, node: onnx.NodeProto) -> list[str]:
    return [count.add("ReduceSum", [*count.counted(node), *node.input[1:]], **count.attributes(node))]


def _concat(count: _Count, node: onnx.NodeProto) -> list[str]:
    """Parts of other layers are silent here: zeros of their size, by padding."""
    rank = len(count.shape(node.output[0]))
    axis = int(count.attributes(node)["axis"]) % rank
    parts = []
    for position, name in enumerate(node.input):
        if name not in count._counts:  # noqa: SLF001 - one module
            continue
        pads = np.zeros((2, rank), np.int64)
        for other, size in enumerate(count.shape(n)[axis] for n in node.input):
            if other != position:
                pads[int(other > position), axis] += int(size or 0)
        parts.append(count.add("Pad", [count._counts[name], count.constant(pads.ravel())]))  # noqa: SLF001
    return [count.add("Sum", parts)]


def _same(count: _Count, node: onnx.NodeProto) -> list[str]:
    return count.counted(node)[:1]


#: They read a train's size: no spike arrives there.
_SIZES = ("Shape", "Size")

_ONES: dict[str, Callable[[_Count, onnx.NodeProto], list[str]]] = {
    **dict.fromkeys(WEIGHTED, _weighted),
    **dict.fromkeys(("Add", "Sub", "Sum", "Mean"), _summed),
    **dict.fromkeys(("Mul", "Div"), _masked),
    **dict.fromkeys(("Neg", "Identity"), _same),
    **dict.fromkeys(("ReduceMean", "ReduceSum"), _reduce),
    **dict.fromkeys(
        (
            *(
                "DepthToSpace",
                "Expand",
                "Flatten",
                "Gather",
                "Pad",
                "Reshape",
                "Resize",
                "Slice",
                "SpaceToDepth",
            ),
            *("Split", "Squeeze", "Transpose", "Unsqueeze", "Where"),
        ),
        _Count.copy,
    ),
    "AveragePool": _average_pool,
    "Concat": _concat,
    "GlobalAveragePool": _global_average_pool,
}
