"""Scales into synapses: batch norms backwards, output scales forwards, thresholds to one (METHOD 5)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import give_unit_threshold, parameters
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.scale_propagation import (
    can_push,
    factor_of,
    is_short,
    multiplied,
    of_sample,
    push,
    reciprocal,
    take_in,
)
from onnx2snn.analysis.trains import Kind, is_train
from onnx2snn.graph.core import (
    Names,
    graph_pass,
    origin,
    signals,
)
from onnx2snn.operators import of, scales
from onnx2snn.operators.linear import is_neuron, is_weighted
from onnx2snn.operators.places import compact
from onnx2snn.operators.scales import Scale, as_scale


@graph_pass
def unit_thresholds(graph: gs.Graph) -> gs.Graph:
    """Scale each neuron so that θ = 1, and push the scale back into the synapses in front of it.

        x ─▶ Conv(W) ─▶ Staircase(θ, bias)      becomes      x ─▶ Conv(W/θ) ─▶ Staircase(1, bias/θ)

    1. All that feeds the neuron can take the scale in, through operators that treat channels alike, and through the
       Integrate and the maximum in front of a pooled neuron: θ becomes 1.
    2. The weights are coarse (multiples of 2⁻¹², so that integration is exact) and 1/θ has many bits, or something on
       the way has other readers, or is an output: θ stays. Powers of two times θ are just as exact (METHOD 5), if θ has few bits.
    3. 1/θ has few bits where θ has many (a factor of 3/2 in front of the rounding: θ = 2/3): it goes into the weights all
       the same, or becomes one.
    """
    return _with_unit_thresholds(graph, coarse=False)


@graph_pass
def unit_thresholds_of_all(graph: gs.Graph) -> gs.Graph:
    """As :func:`unit_thresholds`, coarse weights (case 2) too: they are going to be rounded."""
    return _with_unit_thresholds(graph, coarse=True)


def _with_unit_thresholds(graph: gs.Graph, *, coarse: bool) -> gs.Graph:
    names = Names(graph)
    for node in list(graph.nodes):
        if not is_neuron(node):
            continue
        theta = as_scale(parameters(node).threshold, len(node.inputs[0].shape))
        scale = reciprocal(theta)
        if scales.is_trivial(scale):
            continue
        if can_push(graph, node.inputs[0], scale, coarse or is_short(scale)):
            push(graph, names, node.inputs[0], scale)
        elif is_short(scale) and not is_short(theta):
            node.inputs[0] = multiplied(graph, names, node.inputs[0], scale, origin(node))
        else:
            continue
        give_unit_threshold(graph, names, node, of_sample(scale))
    return graph


@graph_pass
def absorb_backwards(graph: gs.Graph) -> gs.Graph:
    """A multiplication behind a weighted operator goes into its weights: ``Mul γ/σ`` behind a convolution.

    Only trains: their constants are gone, so nothing but weights is scaled.
    """
    names = Names(graph)
    kinds = facts(graph).kinds
    for node in reversed(list(graph.nodes)):
        scale = factor_of(node)
        if scale is None or kinds.get(id(node.outputs[0])) is not Kind.TRAIN:
            continue
        signal = signals(node)[0]
        if _ends_in_weights(graph, signal, scale):
            push(graph, names, signal, scale)
            node.op = "Identity"
            node.inputs = [signal]
    return graph


def _ends_in_weights(graph: gs.Graph, tensor: gs.Tensor, scale: Scale) -> bool:
    """As :func:`can_push`, along one path, and ending in weights rather than another multiplication."""
    while tensor.inputs and len(tensor.outputs) == 1:
        node = tensor.inputs[0]
        if is_weighted(node):
            return can_push(graph, tensor, scale, exact=True)
        above = scales.up(node, scale) if not node.domain and len(signals(node)) == 1 else None
        if above is None:
            return False
        tensor, scale = node.inputs[0], above
    return False


@graph_pass
def absorb_forwards(graph: gs.Graph) -> gs.Graph:
    """The scale α of a neuron's output goes on to the next synapses.

        k ─▶ Mul α ─▶ AveragePool ─▶ Conv(W) ─▶      becomes      k ─▶ AveragePool ─▶ Conv(W·α) ─▶

    A scale is carried along with its tensor, at every fork into every branch, until a weighted operator takes it in.
    Where operands of a sum carry different scales, or the train ends (Integrate, a neuron), it becomes an explicit
    multiplication: the synaptic weight of that branch.
    """
    names = Names(graph)
    kinds = facts(graph).kinds
    carried: dict[int, tuple[gs.Tensor, Scale]] = {}
    for node in list(graph.nodes):
        if not any(id(t) in carried for t in node.inputs) and factor_of(node) is None:
            continue
        train = kinds.get(id(node.outputs[0])) is Kind.TRAIN and not is_neuron(node)
        if train and _carry(names, node, carried):
            continue
        for position, tensor in enumerate(node.inputs):
            if id(tensor) in carried:
                base, scale = carried[id(tensor)]
                explicit = multiplied(graph, names, base, scale, origin(node))
                node.inputs[position] = explicit
    for position, tensor in enumerate(graph.outputs):
        if is_train(tensor, kinds) and id(tensor) in carried:
            raise AssertionError(f"output {position} is a train that was not integrated")
    return graph


def _carry(names: Names, node: gs.Node, carried: dict[int, tuple[gs.Tensor, Scale]]) -> bool:
    """Carry scales past ``node``; False if they must become explicit in front of it."""
    factor = factor_of(node)
    out = node.outputs[0]
    if factor is not None and not _is_taken(factor) and id(signals(node)[0]) not in carried:
        return False
    if factor is not None:
        signal = signals(node)[0]
        base, scale = carried.get(id(signal), (signal, np.ones((1,) * factor.ndim)))
        carried[id(out)] = (base, compact(scale * factor))
        return True
    if of(node).joins:
        return _carry_concat(node, carried)
    held = [(i, *carried[id(t)]) for i, t in enumerate(node.inputs) if id(t) in carried]
    if of(node).sums:
        first = held[0][2]
        if len(held) != len(node.inputs) or any(not np.array_equal(s, first) for _, _, s in held[1:]):
            return False
        each = all(scales.is_of_each(first, t.shape, out.shape) for t in node.inputs)
        below: Scale | None = first if each else None
    elif len(held) != 1 or held[0][0] != 0:
        return False
    elif take_in(names, node, held[0][2]):
        node.inputs[0] = held[0][1]
        return True
    else:
        below = None if is_weighted(node) else scales.down(node, held[0][2])
    if below is None:
        return False
    for position, base, _ in held:
        node.inputs[position] = base
    for output in node.outputs:
        carried[id(output)] = (output, below)
    return True


def _is_taken(factor: Scale) -> bool:
    """Whether some weights could take it in: one that differs by place stays where it is."""
    return any(scales.along(factor, axis) is not None for axis in range(factor.ndim))


def _carry_concat(node: gs.Node, carried: dict[int, tuple[gs.Tensor, Scale]]) -> bool:
    """Scales of all parts side by side, where each changes at most along the joined axis."""
    out = node.outputs[0]
    if any(t.shape is None for t in (out, *node.inputs)):
        return False
    rank = len(out.shape)
    axis = int(node.attrs["axis"]) % rank
    sizes = [t.shape[axis] for t in node.inputs]
    if not all(isinstance(s, (int, np.integer)) for s in sizes):
        return False
    parts = []
    for tensor, size in zip(node.inputs, sizes, strict=True):
        _, scale = carried.get(id(tensor), (tensor, np.ones((1,) * rank)))
        vector = scales.along(scale, axis)
        if vector is None:
            return False
        parts.append(np.broadcast_to(vector, (size,)))
    shape = [1] * rank
    shape[axis] = -1
    for position, tensor in enumerate(node.inputs):
        if id(tensor) in carried:
            node.inputs[position] = carried[id(tensor)][0]
    carried[id(out)] = (out, compact(np.concatenate(parts).reshape(shape)))
    return True
