"""Spiking networks that are written out over time: a neuron a time step, with what the one before has left."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import SOURCE
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import origin
from onnx2snn.graph.walks import reached
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_neuron, is_weighted
from onnx2snn.remedies import ITS_SOURCE

#: Time steps from which on it is no accident.
_STEPS = 3


def unrolled_neurons(graph: gs.Graph) -> ConversionError | None:
    """The refusal of a network that spikes already; None of any other.

        v ─▶ [v > θ] ─▶ s         v' = f(v, s) + I'         v' ─▶ [v' > θ] ─▶ s' ...

    A neuron that answers 0 or 1, whose potential *and* whose spike (its own, or the comparison written again) reach the next
    one's potential entry by entry, over no synapse: it is the same neuron a time step later, whatever is reset, and however.
    Two such steps in a row are what no layered network has.

    Args:
        graph: With its activations recognised.
    """
    neurons = [node for node in graph.nodes if is_neuron(node) and _is_binary(node)]
    length: dict[int, int] = {}
    for node in neurons:  # in topological order: what a neuron leads to comes behind it
        length.setdefault(id(node.inputs[0]), 1)
        reached = set(_reached(node.inputs[0]))
        for potential in (p for p, spiked in reached if spiked and (p, False) in reached):
            length[potential] = max(length.get(potential, 1), length[id(node.inputs[0])] + 1)
    longest = max(length.values(), default=0)
    if longest < _STEPS:
        return None
    first = next(iter(origin(neurons[0])), neurons[0].name)
    return ConversionError(
        "this network spikes already: its neurons are written out over time, each step with what the last has left",
        node=first,
        found=f"{longest} time steps",
        remedy=ITS_SOURCE,
    )


def _is_binary(node: gs.Node) -> bool:
    return bool(node.attrs[SOURCE].levels == 1)


def _reached(tensor: gs.Tensor) -> Iterator[tuple[int, bool]]:
    """Potentials of other neurons that ``tensor`` reaches entry by entry: ``id`` of each, and whether by spikes."""

    def is_other(node: gs.Node) -> bool:
        return is_neuron(node) and node.inputs[0] is not tensor

    def further(way: tuple[gs.Tensor, bool]) -> Iterator[tuple[gs.Tensor, bool]]:
        for node in way[0].outputs:
            entrywise = not is_weighted(node) and (of(node).elementwise or of(node).broadcasts)
            if not is_other(node) and (is_neuron(node) or entrywise):
                yield from ((t, way[1] or is_neuron(node) or of(node).jumps) for t in node.outputs)

    for read, spiked in reached([(tensor, False)], further, key=lambda way: (id(way[0]), way[1])):
        yield from ((id(node.inputs[0]), spiked) for node in read.outputs if is_other(node))
