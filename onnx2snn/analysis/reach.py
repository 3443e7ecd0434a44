"""What lies between neurons: which nodes are evaluated on decoded values, and what leads straight to neurons or weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import onnx_graphsurgeon as gs

from onnx2snn.activations.operators import HANDLERS
from onnx2snn.analysis.dataflow import only_read_by
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import is_train
from onnx2snn.graph.walks import carried
from onnx2snn.operators import of
from onnx2snn.operators.linear import (
    EXTREME,
    MOVEMENT,
    ORDER_PRESERVING,
    float_signals,
    is_integrate,
    is_line,
    is_linear,
    is_mean,
    is_neuron,
    is_product,
    is_quotient,
    is_weighted,
    keeps_integers,
)
from onnx2snn.operators.quantising import QONNX

#: Roles of a reader, by which what it reads may be computed in a dendrite, or passed to one.
_HELD, _PASSED = frozenset({"found", "held"}), frozenset({"found", "passed"})


def non_spiking_nodes(graph: gs.Graph) -> list[gs.Node]:
    """The nodes that are an obstacle, or follow from one."""
    feeding = before_synapses(graph)
    nodes = evaluated_nodes(graph, piecewise=True)
    return [node for node in nodes if any(id(t) in feeding for t in node.outputs)]


def evaluated_nodes(graph: gs.Graph, *, piecewise: bool = False) -> list[gs.Node]:
    """Nodes behind synapses, in front of synapses or neurons, that are neither: evaluated on decoded values.

    With ``piecewise`` those that are piecewise linear are among them, although dendrites could compute them: their values may
    lie on a lattice.
    """
    behind = facts(graph).behind_synapses
    before = facts(graph).before_neurons
    pooled = straight_to_neurons(graph)
    sized = facts(graph).from_sizes
    kinds, dendrites = facts(graph).kinds, _dendrites(graph, piecewise=not piecewise)
    found = []
    for node in graph.nodes:
        inside = [id(t) in behind for t in node.inputs]
        if is_product(node) and (any(is_train(t, kinds) for t in node.inputs) or sum(inside) == 1):
            continue
        if (
            id(node) in dendrites
            or is_neuron(node)
            or is_integrate(node)
            or is_linear(node)
            or keeps_integers(node)
        ):
            continue
        if node.outputs and id(node.outputs[0]) in sized:
            continue
        if not any(inside) or not any(id(t) in before for t in node.outputs):
            continue
        if node.op in (*ORDER_PRESERVING, *EXTREME) and all(id(t) in pooled for t in node.outputs):
            continue
        found.append(node)
    return found


def _dendrites(graph: gs.Graph, *, piecewise: bool) -> set[int]:
    """Nodes, by ``id``, that neurons compute of potentials, in their dendrites.

    1. A quotient in front of neurons alone: thresholds are scaled by the divisor (METHOD 13).
    2. A quotient, a product, a maximum, a function of one tensor, over means, sums and moves: the value that a neuron compares is
       made of potentials, once. Without ``piecewise``, none that is piecewise linear.
    3. What nothing but such nodes read: numerator and divisor. Products behind it may hold the divisor, too: it is the scale of
       its levels; and they may hold any function of one tensor (METHOD 12).
    """
    kinds = facts(graph).kinds
    outputs = {id(tensor) for tensor in graph.outputs}

    def parts(node: gs.Node, known: dict[int, frozenset[str]]) -> Iterator[tuple[int, frozenset[str]]]:
        found = {"held"} if is_product(node) and any(is_train(t, kinds) for t in node.inputs) else set[str]()
        readers = [reader for tensor in node.outputs for reader in tensor.outputs]
        if readers and not is_neuron(node):
            read = [known.get(id(reader), frozenset()) for reader in readers if not is_neuron(reader)]
            inside = len(read) == len(readers) and not any(id(tensor) in outputs for tensor in node.outputs)
            in_dendrites = inside and any("found" in one for one in read) and all(one & _HELD for one in read)
            if in_dendrites or (all(read) and _is_computed(node, piecewise=piecewise)):
                found.add("found")
            elif read and all("held" in one for one in read) and is_line(node):
                found.add("held")
            over = all(one & _PASSED for one in read) and not is_weighted(node)
            if over and (is_linear(node) or is_passed(node)):
                found.add("passed")
        yield id(node), frozenset(found)

    return {key for key, found in carried(reversed(graph.nodes), parts).items() if "found" in found}


def _is_computed(node: gs.Node, *, piecewise: bool) -> bool:
    """Whether ``node`` is a quotient, a product, a maximum, or a function of one tensor without jumps, entry by entry."""
    if is_quotient(node) or (is_product(node) and not is_weighted(node)):
        return True
    if node.op in (*ORDER_PRESERVING, *EXTREME):
        return piecewise
    if not of(node).elementwise or of(node).jumps or is_linear(node) or is_quantiser(node):
        return False
    return len({id(t) for t in float_signals(node)}) == 1 and (piecewise or node.op not in HANDLERS)


def before_synapses(graph: gs.Graph) -> set[int]:
    """Tensors in front of weights, or of neurons whose spikes are pooled."""

    def rule(node: gs.Node, found: dict[int, frozenset[str]]) -> list[tuple[int, frozenset[str]]]:
        behind = frozenset[str]().union(*(found.get(id(t), ()) for t in node.outputs))
        feeds = is_weighted(node) or "synapses" in behind or ("pools" in behind and is_neuron(node))
        if not (feeds or "pools" in behind or is_mean(node)):
            return []
        kind = "synapses" if feeds else "pools"
        return [(id(t), found.get(id(t), frozenset()) | {kind}) for t in node.inputs]

    return {key for key, kinds in carried(reversed(graph.nodes), rule).items() if "synapses" in kinds}


def straight_to_neurons(graph: gs.Graph, hoped: Collection[str] = ()) -> set[int]:
    """Tensors that only neurons read, over moves, further max pooling, and factors and terms that thresholds could take in.

    Nodes named in ``hoped`` count as neurons.
    """
    return only_read_by(graph, lambda node: is_neuron(node) or node.name in hoped, is_passed)


def straight_to_unread(graph: gs.Graph, evaluated: Sequence[gs.Node]) -> set[int]:
    """Tensors that only unread quantisers read, or operators on integers, over what works entry by entry, moves and pools."""
    unread = {id(node) for node in evaluated if is_quantiser(node) or not float_signals(node)}
    return only_read_by(
        graph, lambda node: id(node) in unread, lambda node: node.op in HANDLERS or is_passed(node)
    )


def is_passed(node: gs.Node) -> bool:
    """Moves, copies (what is joined, picked or padded), maxima, and lines of one signal."""
    if node.op in (*MOVEMENT, *ORDER_PRESERVING, *EXTREME):
        return True
    copies = of(node).copies
    return is_line(node) or (copies is not None and copies(node) and is_linear(node))


def is_quantiser(node: gs.Node) -> bool:
    """Whether ``node`` is a quantiser: one that is still there was not read."""
    return of(node).quantiser or node.domain in QONNX


def rounds(node: gs.Node) -> bool:
    """Whether ``node`` makes steps of a signal: a quantiser, or a part of one that is spelled out."""
    operator = of(node)
    return is_quantiser(node) or (operator.jumps and operator.elementwise and not operator.whole)
