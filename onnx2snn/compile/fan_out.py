"""Counting synaptic operations without weights: of each synapse, only how many others leave with it is asked for.

A file counts by the network's own operators, every weight that is not zero replaced by one, and adds up all that arrives:

    counts ─▶ Conv(W ≠ 0) ─▶ sum of everything      becomes      counts ─▶ Conv(Σ_o W[o] ≠ 0) ─▶ sum of everything

The sum over output channels is taken before the products, not behind them: the same whole number, from one channel's weights
instead of those of all; and the sum over input channels too, where none of them is pruned more than another. Where the partial
sums of such a channel could leave the whole numbers that float32 holds, output channels are summed in several parts; products
of matrices are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.draft import Array, attributes
from onnx2snn.model.nodes import is_own, needed
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution, is_copy

#: The values of a constant of the network, by name; None of anything else.
Values: TypeAlias = Callable[[str], Array | None]

#: Whole numbers below are exact in float32.
_EXACT = 2**24
#: Weights that are looked at together.
_AT_A_TIME = 1 << 22


def by_fan_out(graph: onnx.GraphProto, values: Values, timesteps: int) -> onnx.GraphProto:
    """A counting fragment that computes the same from smaller constants.

    Args:
        graph: As the file holds it.
        values: Of the network's weights.
        timesteps: T: no neuron has more spikes.
    """
    fragment = _Fragment(graph)
    written = []
    for node in graph.node:
        made = None
        if of(node).weights and fragment.is_summed(node.output[0]):
            weights = next(filter(None, map(fragment.masked, node.input)), None)
            held = None if weights is None else values(weights)
            made = None if held is None else _summed(fragment, node, held, timesteps)
        written += made or [node]
    light = onnx.GraphProto(name=graph.name, output=graph.output, value_info=graph.value_info)
    light.node.extend(needed(written, fragment.outputs))
    return light


class _Fragment:
    """Who makes, and who reads, each tensor of a graph fragment."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.producers = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
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
        alone = is_copy(reader) or (of(reader).sums and len(reader.input) == 1)
        if alone:
            return self.is_summed(reader.output[0])
        axis = attributes(reader).get("axis", 1)
        return is_own(reader, "Flatten") and axis == 1 and self._is_total(reader.output[0])

    def _is_total(self, name: str) -> bool:
        readers = self.readers.get(name, [])
        if len(readers) != 1 or not (of(readers[0]).total or of(readers[0]).typed_by):
            return False
        return of(readers[0]).total or self._is_total(readers[0].output[0])

    def masked(self, name: str) -> str | None:
        """The weights of which ``name`` holds a one where they are not zero."""
        for _ in range(2):
            node = self.producers.get(name)
            if node is None or not of(node).typed_by:
                return None
            name = node.input[0]
        return name

    def highest(self, name: str, timesteps: int) -> float | None:
        """The highest count that ``name`` may hold; None where that is not known."""
        node = self.producers.get(name)
        if node is None:
            return timesteps
        if of(node).copies or is_own(node, "AveragePool", "Round"):
            return self.highest(node.input[0], timesteps)
        factor = self.producers.get(node.input[1]) if is_own(node, "Mul") else None
        known = None if factor is None else attributes(factor).get("value")
        before = None if known is None else self.highest(node.input[0], timesteps)
        return (
            None if before is None or known is None else before * float(np.max(numpy_helper.to_array(known)))
        )


def _summed(
    graph: _Fragment, node: onnx.NodeProto, weights: Array, timesteps: int
) -> list[onnx.NodeProto] | None:
    """What stands in place of a layer of ones; None where it would be no smaller."""
    if is_convolution(node):
        highest = graph.highest(node.input[0], timesteps)
        return None if highest is None else _convolution(node, weights, highest)
    return _product(node, weights, graph)


def _convolution(node: onnx.NodeProto, weights: Array, highest: float) -> list[onnx.NodeProto] | None:
    """A convolution with one output channel a group, or a few; with one input channel where a spike of any reaches as many."""
    groups = int(attributes(node).get("group", 1))
    channels, heard = len(weights) // groups, weights[0].size
    together = min(channels, int((_EXACT - 1) // max(1.0, highest * heard)))
    if together < 2:
        return None
    starts = [g * channels + first for g in range(groups) for first in range(0, channels, together)]
    ends = [min(first + together, (first // channels + 1) * channels) for first in starts]
    kernel = np.stack([_ones(weights[a:b]) for a, b in zip(starts, ends, strict=True)])
    if groups > 1 or np.any(kernel != kernel[:, :1]):
        return [_constant(node, kernel.astype(np.float32)), _reading(node, [node.input[0], _name(node)])]
    axis, summed = f"{_name(node)}/axis", f"{_name(node)}/summed"
    held = helper.make_node("Constant", [], [axis], value=numpy_helper.from_array(np.array([1])))
    total = helper.make_node("ReduceSum", [node.input[0], axis], [summed])
    return [
        _constant(node, kernel[:, :1].astype(np.float32)),
        held,
        total,
        _reading(node, [summed, _name(node)]),
    ]


def _product(node: onnx.NodeProto, weights: Array, graph: _Fragment) -> list[onnx.NodeProto] | None:
    """A product with one row, or one column, in float64."""
    left, held = graph.masked(node.input[0]) is not None, attributes(node)
    if weights.ndim != 2 or held.get("transA", 0) or (left and is_own(node, "Gemm")):
        return None
    sums = _ones(weights)[None] if left or held.get("transB", 0) else _ones(weights.T)[:, None]
    counts = f"{_name(node)}/counts"
    read = [_name(node), counts] if left else [counts, _name(node)]
    cast = helper.make_node("Cast", [node.input[int(left)]], [counts], to=TensorProto.DOUBLE)
    return [_constant(node, sums.astype(np.float64)), cast, _reading(node, read)]


def _ones(weights: Array) -> NDArray[np.int64]:
    """How many weights along the first axis are not zero."""
    total = np.zeros(weights.shape[1:], np.int64)
    step = max(1, _AT_A_TIME // max(1, total.size))
    for first in range(0, len(weights), step):
        total += np.count_nonzero(weights[first : first + step], axis=0)
    return total


def _name(node: onnx.NodeProto) -> str:
    return f"{node.output[0]}/fan_out"


def _constant(node: onnx.NodeProto, values: Array) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [_name(node)], value=numpy_helper.from_array(values))


def _reading(node: onnx.NodeProto, inputs: list[str]) -> onnx.NodeProto:
    other = onnx.NodeProto()
    other.CopyFrom(node)
    other.input[:] = inputs
    return other
