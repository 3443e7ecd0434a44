"""Counting synaptic operations without weights: of each synapse, only how many others leave with it is asked for.

A file counts by the network's own operators, every weight that is not zero replaced by one, and adds up all that arrives:

    counts ─▶ Conv(W ≠ 0) ─▶ sum of everything      becomes      counts ─▶ Conv(Σ_o W[o] ≠ 0) ─▶ sum of everything

The sum over output channels is taken before the products, not behind them: the same whole number, from one channel's weights
instead of those of all. Where the partial sums of such a channel could leave the whole numbers that float32 holds, output
channels are summed in several parts; products of matrices are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime import wire
from onnx2snn.runtime.network import Node, read_node
from onnx2snn.runtime.tensors import attributes

Array: TypeAlias = NDArray[Any]
#: The values of a constant of the network, by name; None of anything else.
Values: TypeAlias = Callable[[str], Array | None]

_NODE = 1
#: Whole numbers below are exact in float32.
_EXACT = 2**24
#: Weights that are looked at together.
_AT_A_TIME = 1 << 22
#: Operators that hand on counts as they are, if to other places.
_MOVING = (
    *(
        "AveragePool",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "Reshape",
        "Round",
        "Slice",
    ),
    *("SpaceToDepth", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)


def by_fan_out(fragment: bytes, values: Values, timesteps: int) -> bytes:
    """A counting fragment that computes the same from smaller constants.

    Args:
        fragment: A GraphProto, as the file holds it.
        values: Of the network's weights.
        timesteps: T: no neuron has more spikes.
    """
    graph = _Fragment(fragment)
    nodes = {}
    for node in graph.nodes:
        if node.operator in ("Conv", "Gemm", "MatMul") and graph.is_summed(node.outputs[0]):
            weights = next(filter(None, map(graph.masked, node.inputs)), None)
            held = None if weights is None else values(weights)
            if held is not None:
                nodes[id(node)] = _summed(graph, node, held, timesteps)
    written = [part for node in graph.nodes for part in nodes.get(id(node)) or [node.content]]
    return b"".join([*(wire.message(_NODE, node) for node in _needed(written, graph.outputs)), *graph.rest])


@dataclass
class _Fragment:
    """A graph fragment, taken apart; ``rest``: all of it but its nodes."""

    content: bytes
    nodes: list[Node] = field(default_factory=list)
    rest: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number, _, value, start, end in wire.fields(memoryview(self.content)):
            if number == _NODE:
                self.nodes.append(read_node(value))
            else:
                self.rest.append(self.content[start:end])
        self.producers = {name: node for node in self.nodes for name in node.outputs}
        self.readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                self.readers.setdefault(name, []).append(node)

    @property
    def outputs(self) -> set[str]:
        """What nobody reads here."""
        return set(self.producers) - set(self.readers)

    def is_summed(self, name: str) -> bool:
        """Whether nothing but the sum of all values of each sample is asked for."""
        readers = self.readers.get(name, [])
        if len(readers) != 1:
            return False
        reader = readers[0]
        alone = reader.operator == "Identity" or (reader.operator == "Sum" and len(reader.inputs) == 1)
        if alone:
            return self.is_summed(reader.outputs[0])
        axis = attributes(reader.content).get("axis", 1)
        return reader.operator == "Flatten" and axis == 1 and self._is_total(reader.outputs[0])

    def _is_total(self, name: str) -> bool:
        readers = self.readers.get(name, [])
        if len(readers) != 1 or readers[0].operator not in ("Cast", "ReduceSum"):
            return False
        return readers[0].operator == "ReduceSum" or self._is_total(readers[0].outputs[0])

    def masked(self, name: str) -> str | None:
        """The weights of which ``name`` holds a one where they are not zero."""
        for _ in range(2):
            node = self.producers.get(name)
            if node is None or node.operator != "Cast":
                return None
            name = node.inputs[0]
        return name

    def highest(self, name: str, timesteps: int) -> float | None:
        """The highest count that ``name`` may hold; None where that is not known."""
        node = self.producers.get(name)
        if node is None:
            return timesteps
        if node.operator in _MOVING:
            return self.highest(node.inputs[0], timesteps)
        factor = self.producers.get(node.inputs[1]) if node.operator == "Mul" else None
        known = None if factor is None else attributes(factor.content).get("value")
        before = None if known is None else self.highest(node.inputs[0], timesteps)
        return None if before is None or known is None else before * float(np.max(known))


def _summed(graph: _Fragment, node: Node, weights: Array, timesteps: int) -> list[bytes] | None:
    """What stands in place of a layer of ones; None where it would be no smaller."""
    if node.operator == "Conv":
        highest = graph.highest(node.inputs[0], timesteps)
        return None if highest is None else _convolution(node, weights, highest)
    return _product(node, weights, graph)


def _convolution(node: Node, weights: Array, highest: float) -> list[bytes] | None:
    """A convolution with one output channel a group, or a few."""
    groups = int(attributes(node.content).get("group", 1))
    channels, heard = len(weights) // groups, weights[0].size
    together = min(channels, int((_EXACT - 1) // max(1.0, highest * heard)))
    if together < 2:
        return None
    starts = [g * channels + first for g in range(groups) for first in range(0, channels, together)]
    ends = [min(first + together, (first // channels + 1) * channels) for first in starts]
    kernel = np.stack([_ones(weights[a:b]) for a, b in zip(starts, ends, strict=True)])
    read = [node.inputs[0], _name(node)]
    return [_constant(node, kernel.astype(np.float32)), node.with_inputs(read).content]


def _product(node: Node, weights: Array, graph: _Fragment) -> list[bytes] | None:
    """A product with one row, or one column, in float64."""
    left, held = graph.masked(node.inputs[0]) is not None, attributes(node.content)
    if weights.ndim != 2 or held.get("transA", 0) or (left and node.operator == "Gemm"):
        return None
    sums = _ones(weights)[None] if left or held.get("transB", 0) else _ones(weights.T)[:, None]
    counts = f"{_name(node)}/counts"
    read = [_name(node), counts] if left else [counts, _name(node)]
    cast = wire.node("Cast", [node.inputs[int(left)]], [counts], to=wire.DOUBLE)
    return [_constant(node, sums.astype(np.float64)), cast, node.with_inputs(read).content]


def _ones(weights: Array) -> NDArray[np.int64]:
    """How many weights along the first axis are not zero."""
    total = np.zeros(weights.shape[1:], np.int64)
    step = max(1, _AT_A_TIME // max(1, total.size))
    for first in range(0, len(weights), step):
        total += np.count_nonzero(weights[first : first + step], axis=0)
    return total


def _name(node: Node) -> str:
    return f"{node.outputs[0]}/fan_out"


def _constant(node: Node, values: Array) -> bytes:
    return wire.node("Constant", [], [_name(node)], value=values)


def _needed(nodes: Iterable[bytes], outputs: set[str]) -> list[bytes]:
    """Those of ``nodes``, in order, that the outputs depend on."""
    wanted, kept = set(outputs), []
    for content in reversed(list(nodes)):
        node = read_node(memoryview(content))
        if not wanted.isdisjoint(node.outputs):
            wanted |= node.reads
            kept.append(content)
    return kept[::-1]
