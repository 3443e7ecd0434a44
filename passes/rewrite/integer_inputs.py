"""Behind integer inputs the first synapses add whole numbers (METHOD 5, scale freedom; METHOD 10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.scale_propagation import factor_of
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import (
    Names,
    constant_input,
    graph_pass,
    is_constant,
    is_read_once,
    producer_of,
    signals,
    value_of,
)
from onnx2snn.operators import of
from onnx2snn.operators.linear import by_axis_1, by_channel, is_neuron
from onnx2snn.passes.rewrite.integer_weights import (
    EXACT,
    chain_to,
    integers_of,
    largest_sum,
    rescale,
    set_integers,
    snapped,
)

#: Largest magnitude of a code, by the bytes of its type.
_PEAKS = {1: 2**8, 2: 2**16}


@graph_pass
def integer_inputs(graph: gs.Graph) -> gs.Graph:
    """Give the scales of integer inputs and whole-number weights to the threshold behind them.

        x ─▶ Cast ─▶ Sub z ─▶ Mul s ─▶ Conv(n·r, b) ─▶ IF(θ)     becomes     x ─▶ Cast ─▶ Sub z ─▶ Conv(n, b/(r·s)) ─▶ IF(θ/(r·s))

    Sums of codes are exact then, in every order of summation, as they are behind neurons.

    1. Movements stand between the codes and the synapses, with no other readers.
    2. A maximum stands behind a convolution, as in front of a pooled neuron: it is scaled alike.
    3. Sums could leave the whole numbers that float32 holds, or something else reads the currents: nothing is done.
    """
    names = Names(graph)
    for neuron in [node for node in graph.nodes if is_neuron(node)]:
        chain = chain_to(graph, neuron, inputs=3)
        codes = None if chain is None else _codes_in_front_of(graph, chain[-1])
        if chain is None or codes is None:
            continue
        synapses = chain[-1]
        weights = integers_of(synapses)
        if weights is None or (not by_axis_1(synapses) and len(chain) > 1):
            continue
        bias = constant_input(synapses, 2)
        factor = 1 / (weights[1] * codes.scale)
        steps = np.zeros(1) if bias is None else snapped(bias, factor)
        if largest_sum(weights[0]) * codes.peak + float(np.abs(steps).max(initial=0)) >= EXACT:
            continue
        codes.read_by(synapses)
        set_integers(names, synapses, weights[0])
        if bias is not None:
            synapses.inputs[2] = make_constant(names, f"{synapses.name}/bias", steps.reshape(bias.shape))
        rescale(names, neuron, chain[:-1], by_channel(synapses, factor))
    return graph


@dataclass(frozen=True)
class _Codes:
    """Integers that synapses read.

    Attributes:
        tensor: It holds them, as float32.
        scale: What they are multiplied by.
        peak: Their largest magnitude.
        moves: What stands between, the last first.
    """

    tensor: gs.Tensor
    scale: float
    peak: int
    moves: tuple[gs.Node, ...]

    def read_by(self, synapses: gs.Node) -> None:
        """Let ``synapses`` read them without their scale."""
        reader = self.moves[-1] if self.moves else synapses
        reader.inputs[0] = self.tensor


def _codes_in_front_of(graph: gs.Graph, synapses: gs.Node) -> _Codes | None:
    moves: list[gs.Node] = []
    tensor = synapses.inputs[0]
    node = producer_of(tensor)
    while node is not None and of(node).moves and is_read_once(graph, tensor):
        moves.append(node)
        tensor = node.inputs[0]
        node = producer_of(tensor)
    scale = 1.0
    factor = factor_of(node) if node is not None else None
    if node is not None and factor is not None and factor.size == 1 and float(factor.min()) > 0:
        scale, tensor = float(factor.min()), signals(node)[0]
    peak = _peak(tensor)
    return None if peak is None else _Codes(tensor, scale, peak, tuple(moves))


def _peak(tensor: gs.Tensor) -> int | None:
    """The largest magnitude of whole numbers of up to 16 bits, a zero point taken off; None of anything else."""
    node, zero = producer_of(tensor), 0
    if node is not None and of(node).sums and len(signals(node)) == 1:
        constants = [value_of(t) for t in node.inputs if is_constant(t)]
        if not all(np.array_equal(c, np.rint(c)) for c in constants):
            return None
        zero = int(max(np.abs(c).max(initial=0) for c in constants))
        node = producer_of(signals(node)[0])
    if node is None or not of(node).typed_by or node.inputs[0].dtype is None:
        return None
    given = np.dtype(node.inputs[0].dtype)
    peak = _PEAKS.get(given.itemsize) if given.kind in "iu" else None
    return None if peak is None else peak + zero
