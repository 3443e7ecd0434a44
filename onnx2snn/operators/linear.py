"""Which nodes are linear in their signals, and keep samples apart: synaptic operators (METHOD 6); and those of our own domain.

A pass asks two things of a node: is it linear (may trains pass through it, step by step), and does it mix values by
weights (is it a layer of synapses).
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, is_constant, producer_of, signals
from onnx2snn.graph.walks import forward, reached
from onnx2snn.operators.conditions import ROWS, axes_of, float_signals, rank_of
from onnx2snn.operators.table import every, of

__all__ = [
    "DOMAIN",
    "EXTREME",
    "IF",
    "INTEGRATE",
    "MOVEMENT",
    "ORDER_PRESERVING",
    "ROWS",
    "STAIRCASE",
    "axes_of",
    "by_axis_1",
    "by_channel",
    "compared_axes",
    "float_signals",
    "from_sizes",
    "is_alike",
    "is_convolution",
    "is_copy",
    "is_integrate",
    "is_linear",
    "is_mean",
    "is_neuron",
    "is_weighted",
    "keeps_integers",
    "reads_sizes",
]

STAIRCASE, INTEGRATE, IF, HOLD = "Staircase", "Integrate", "IF", "Hold"
TABLE_STAIRCASE, TABLE_IF = "TableStaircase", "TableIF"
SCALED_STAIRCASE, SCALED_IF = "ScaledStaircase", "ScaledIF"
_NEURONS = (STAIRCASE, TABLE_STAIRCASE, SCALED_STAIRCASE, IF, TABLE_IF, SCALED_IF)
DOMAIN = "onnx2snn"

#: Names of operators, for those who look at the operator alone.
ORDER_PRESERVING = tuple(operator.name for operator in every() if operator.compares)
EXTREME = tuple(operator.name for operator in every() if operator.extreme)
MOVEMENT = tuple(operator.name for operator in every() if operator.moves)


def is_neuron(node: gs.Node) -> bool:
    """Whether ``node`` is a staircase or an IF neuron, of any kind."""
    return bool(node.domain == DOMAIN and node.op in _NEURONS)


def is_integrate(node: gs.Node) -> bool:
    """Whether ``node`` integrates a train without firing."""
    return bool(node.domain == DOMAIN and node.op == INTEGRATE)


def is_linear(node: gs.Node) -> bool:
    """Whether ``node`` maps trains to trains: linear in its signals, each sample for itself.

    What it moves them by (sizes, places, amounts) is constant, or sizes of tensors decide it: never values of the data.
    """
    test = of(node).linear
    if test is None or not test(node):
        return False
    read = signals(node)
    if len(read) == 1:
        return True
    values = {id(t) for t in float_signals(node)}
    return all(decided_by_sizes(t) for t in read if id(t) not in values)


def decided_by_sizes(tensor: gs.Tensor) -> bool:
    """Whether nothing but sizes of tensors and constants decide ``tensor``: it is alike for all samples of a batch."""

    def makers(tensor: gs.Tensor) -> Sequence[gs.Tensor]:
        maker = producer_of(tensor)
        return () if maker is None or of(maker).sizes else maker.inputs

    def is_open(tensor: gs.Tensor) -> bool:
        maker = producer_of(tensor)
        if maker is None:
            return not is_constant(tensor) and not tensor.is_empty()  # an input of the network
        return not of(maker).sizes and bool(maker.domain or of(maker).undecided)

    return not any(map(is_open, reached([tensor], makers)))


def is_hold(node: gs.Node) -> bool:
    """Whether ``node`` holds a potential while trains come in: the analog operand of a product (METHOD 12)."""
    return bool(node.domain == DOMAIN and node.op == HOLD)


def is_reshape(node: gs.Node | onnx.NodeProto) -> bool:
    """Whether ``node`` gives its entries, in their order, the sizes that it is told."""
    return of(node).moves and of(node).sized_by is not None


def is_line(node: gs.Node) -> bool:
    """Whether ``node`` multiplies its one signal by a constant, or adds one, entry by entry."""
    return of(node).line and len(signals(node)) == 1 and is_linear(node)


def is_quotient(node: gs.Node) -> bool:
    """Whether ``node`` is a quotient of two values of the sample: thresholds behind it take the divisor in (METHOD 13)."""
    test = of(node).divides
    return test is not None and test(node)


def is_product(node: gs.Node) -> bool:
    """Whether ``node`` multiplies two signals, each sample for itself: it is linear in either (METHOD 12).

    A convolution is none: its kernel is that of all samples.
    """
    if (
        not of(node).bilinear
        or of(node).channels_second
        or len(node.inputs) != 2
        or len(float_signals(node)) != 2
    ):
        return False
    ranks = {rank_of(tensor) for tensor in node.inputs}
    return len(ranks) == 1 and min(ranks) >= (3 if is_weighted(node) else 2)


def is_weighted(node: gs.Node) -> bool:
    """Whether ``node`` is a layer of synapses with weights of its own."""
    return of(node).weights is not None


def is_convolution(node: gs.Node | onnx.NodeProto) -> bool:
    """Whether ``node`` takes windows of its signal times weights (output channels, input channels of a group, ...)."""
    return of(node).windows and of(node).weights is not None


def is_copy(node: gs.Node | onnx.NodeProto) -> bool:
    """Whether ``node`` writes what it reads, at the same places."""
    return of(node).moves and of(node).elementwise


def is_mean(node: gs.Node) -> bool:
    """Whether ``node`` averages or adds up places: synapses of equal weights."""
    return of(node).mean


def keeps_integers(node: gs.Node) -> bool:
    """Whether all that ``node`` reads are integers, which it moves, adds or scales: nothing of them is lost.

    What looks up, compares, divides, counts or multiplies them by one another is none.
    """
    operator, read = of(node), signals(node)
    if float_signals(node) or node.op == "Cast":
        return not float_signals(node)
    if not (operator.sums_codes or (operator.codes is not None and operator.linear)):
        return not read
    codes = operator.codes or range(len(node.inputs))
    return all(node.inputs.index(t) in codes for t in read) and not (operator.bilinear and len(read) > 1)


def by_axis_1(synapses: gs.Node) -> bool:
    """Whether output channels lie along axis 1, where poolings keep them."""
    weights = of(synapses).weights
    return weights is not None and weights.channels == 1


def by_channel(synapses: gs.Node, values: Array) -> Array:
    """``values`` of output channels, in the shape in which they multiply one sample of the result."""
    behind = len(synapses.outputs[0].shape) - 2 if by_axis_1(synapses) else 0
    return values.reshape((-1,) + (1,) * behind)


def reads_sizes(node: gs.Node) -> bool:
    """Whether ``node`` reads sizes of a sample, and no values: those of a train are the same."""
    rank = rank_of(node.inputs[0]) if of(node).sizes else 0
    return rank > 0 and slice(node.attrs.get("start", 0), None).indices(rank)[0] > 0


def from_sizes(graph: gs.Graph) -> set[int]:
    """The tensors, by ``id``, that nothing but sizes of tensors and constants decide: alike for all samples of a batch."""

    def passes(node: gs.Node, read: list[bool]) -> bool:
        held = (is_constant(t) or t.is_empty() for t in node.inputs)
        alike = any(read) and all(known or fixed for known, fixed in zip(read, held, strict=True))
        return of(node).sizes or (not node.domain and alike)

    return forward(graph.nodes, passes)


def compared_axes(node: gs.Node) -> list[int] | None:
    """The axes along which an order preserving operator compares; None where they are not known."""
    compares = of(node).compares
    return None if compares is None else compares(node)


def is_alike(values: Array, rank: int, compared: list[int]) -> bool:
    """Whether a constant, beside a tensor of ``rank``, is the same along the axes in ``compared``."""
    own = [axis - rank + values.ndim for axis in compared]
    return values.size == 1 or all(axis < 0 or values.shape[axis] == 1 for axis in own)
