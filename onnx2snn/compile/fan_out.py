"""Counting synaptic operations without weights: of each synapse, only how many others leave with it is asked for.

A file counts by the network's own operators, every weight that is not zero replaced by one, and adds up all that arrives:

    counts ─▶ Conv(W ≠ 0) ─▶ sum of everything      becomes      counts ─▶ Conv(Σ_o W[o] ≠ 0) ─▶ sum of everything

The sum over output channels is taken before the products, not behind them: the same whole number, from one channel's weights
instead of those of all; and the sum over input channels too, where none of them is pruned more than another. Where the partial
sums of such a channel could leave the whole numbers that float32 holds, output channels are summed in several parts; products
of matrices are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.draft import Array, attributes
from onnx2snn.graph.walks import carried, values_forward
from onnx2snn.model.nodes import held_tensors, is_own, needed
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
    producers = {name: node for node in graph.node for name in node.output}
    asked, highest = _asked(graph), _highest(graph, timesteps)
    written = []
    for node in graph.node:
        made = None
        if of(node).weights and asked.get(node.output[0]) is Wanted.SUM:
            weighted = [masked(name, producers) for name in node.input]
            held = next((values(name) for name in weighted if name), None)
            if held is not None and is_convolution(node):
                most = highest.get(node.input[0])
                made = None if most is None else _convolution(node, held, most)
            elif held is not None:
                made = _product(node, held, left=weighted[0] is not None)
        written += made or [node]
    read = {name for node in graph.node for name in node.input}
    light = onnx.GraphProto(name=graph.name, output=graph.output, value_info=graph.value_info)
    light.node.extend(needed(written, producers.keys() - read))
    return light


class Wanted(Enum):
    """What readers ask of a tensor: its values, or nothing but their sum in each sample, which is all of a row in the end."""

    VALUES = "values"
    SUM = "sum"
    ROW = "row"


def _asked(graph: onnx.GraphProto) -> dict[str, Wanted]:
    """By tensor that nodes read."""

    def rule(node: onnx.NodeProto, found: dict[str, Wanted]) -> Iterable[tuple[str, Wanted]]:
        behind, wanted = found.get(node.output[0]), Wanted.VALUES
        if of(node).total or (of(node).typed_by and behind is Wanted.ROW):
            wanted = Wanted.ROW
        elif is_own(node, "Flatten") and attributes(node).get("axis", 1) == 1 and behind is Wanted.ROW:
            wanted = Wanted.SUM
        elif is_copy(node) or (of(node).sums and len(node.input) == 1):
            wanted = Wanted.SUM if behind is Wanted.SUM else wanted
        return [(n, wanted if found.get(n, wanted) is wanted else Wanted.VALUES) for n in node.input]

    return carried(reversed(graph.node), rule)


def _highest(graph: onnx.GraphProto, timesteps: int) -> dict[str, float]:
    """The highest count that each tensor may hold, where that is known."""
    held = {name: float(numpy_helper.to_array(t).max(initial=0)) for name, t in held_tensors(graph).items()}

    def rule(node: onnx.NodeProto, read: list[float | None]) -> float | None:
        if of(node).copies or (of(node).mean and not of(node).total):
            return read[0]
        if of(node).jumps and of(node).elementwise and len(read) == 1:
            return None if read[0] is None else float(np.ceil(read[0]))
        multiplies = of(node).neutral == 1 and of(node).divides is None and node.input[1] in held
        return read[0] * held[node.input[1]] if multiplies and read[0] is not None else None

    made = {name for node in graph.node for name in node.output}
    given = {name: float(timesteps) for node in graph.node for name in node.input if name not in made}
    return values_forward(graph.node, rule, given)


def masked(name: str, producers: Mapping[str, onnx.NodeProto]) -> str | None:
    """The weights of which ``name`` holds a one where they are not zero."""
    for _ in range(2):
        node = producers.get(name)
        if node is None or not of(node).typed_by:
            return None
        name = node.input[0]
    return name


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


def _product(node: onnx.NodeProto, weights: Array, *, left: bool) -> list[onnx.NodeProto] | None:
    """A product with one row, or one column, in float64."""
    held, layer = attributes(node), of(node).weights
    of_rows = layer is None or layer.channels >= 0
    if weights.ndim != 2 or held.get("transA", 0) or (left and of_rows):
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
