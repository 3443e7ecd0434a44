"""What neurons compute on potentials, in their dendrites: counted by operator, as it is no spike's work (METHOD 13)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.scale_propagation import factor_of
from onnx2snn.analysis.trains import is_train
from onnx2snn.graph.core import producer_of, signals
from onnx2snn.graph.walks import reached
from onnx2snn.operators import of
from onnx2snn.operators.batch import static
from onnx2snn.operators.linear import float_signals, is_hold, is_integrate, is_neuron


def analog_operations(graph: gs.Graph) -> dict[str, dict[str, int]]:
    """By neuron node, operators on potentials between it and the spikes before it, and the entries of a sample that they work on.

    Exponentials, roots, reductions and products of potentials, and what of a bias depends on the sample; not what only moves
    entries, nor layers of synapses, whose multiply-accumulates are counted as such, nor the factor behind an Integrate: it is
    the weight of the synapses there, whose spikes are counted. What several neurons read counts for the first. An operator of
    open sizes counts once.
    """
    found: dict[str, dict[str, int]] = {}
    seen: set[int] = set()
    behind = facts(graph).behind_synapses - facts(graph).from_sizes
    for node in graph.nodes:
        if is_neuron(node):
            counts: Counter[str] = Counter()
            for dendrite in _dendrites(graph, node, seen):
                if any(id(t) in behind for t in dendrite.inputs):
                    counts[dendrite.op] += _entries(dendrite)
            found[node.name] = dict(sorted(counts.items()))
    return found


def _dendrites(graph: gs.Graph, neuron: gs.Node, seen: set[int]) -> Iterator[gs.Node]:
    """Nodes on potentials that ``neuron`` reads, over one another, that were not ``seen``."""
    kinds = facts(graph).kinds

    def makers(node: gs.Node) -> list[gs.Node]:
        read = [
            maker for t in node.inputs if not is_train(t, kinds) and (maker := producer_of(t)) is not None
        ]
        return [m for m in read if not (id(m) in seen or is_neuron(m) or is_integrate(m))]

    for node in reached(makers(neuron), makers):
        seen.add(id(node))
        record = of(node)
        if (
            record.weights is None
            and not (record.moves or record.sizes or is_hold(node) or _is_weight(node))
            and float_signals(node)
        ):
            yield node


def _is_weight(node: gs.Node) -> bool:
    """Whether ``node`` multiplies what an Integrate has added up by a constant."""
    makers = [producer_of(t) for t in signals(node)]
    return factor_of(node) is not None and all(m is not None and is_integrate(m) for m in makers)


def _entries(node: gs.Node) -> int:
    """The most that it reads or writes, of one sample."""
    sizes = [t.shape[1:] for t in (*float_signals(node), *node.outputs) if t.shape is not None]
    return max((math.prod(int(s) for s in size) for size in sizes if static(size)), default=1)
