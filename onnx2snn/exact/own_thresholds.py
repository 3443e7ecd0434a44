"""Thresholds that are not 1, in a network on levels: into synapses, or whole numbers of steps of their own (METHOD 14).

A threshold costs no bits where it stays one: potentials are whole numbers of steps, and so is θ once it is rounded to one.
"""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import give_unit_threshold, parameters, scale_potential, staircase_of
from onnx2snn.analysis.scale_propagation import (
    can_push,
    factor_of,
    give_out,
    of_sample,
    push,
)
from onnx2snn.graph.core import Names, constant_input, graph_pass, is_answered, producer_of, signals
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_integrate, is_neuron, is_weighted
from onnx2snn.operators.scales import Scale, as_scale, is_trivial


@graph_pass
def share_thresholds(graph: gs.Graph) -> gs.Graph:
    """The scale of the first neuron on a potential that others read, too, goes into the synapses in front of all.

    Conv(W) ─▶ Staircase(θ), MaxPool ─▶ Staircase(θ')      becomes      Conv(W/θ) ─▶ Staircase(1), MaxPool ─▶ Staircase(θ'/θ)
    """
    names = Names(graph)
    for node in list(graph.nodes):
        out = node.outputs[0]
        neurons = [_neuron_behind(reader) for reader in out.outputs]
        found = [n for n in neurons if n is not None]
        if not is_weighted(node) or len(found) < max(2, len(neurons)) or is_answered(graph, out):
            continue
        scale = 1 / as_scale(parameters(found[0]).threshold, len(out.shape))
        if is_trivial(scale) or not give_out(names, node, scale):
            continue
        for neuron in found:
            scale_potential(graph, names, neuron, of_sample(scale))
    return graph


def _neuron_behind(reader: gs.Node) -> gs.Node | None:
    """The uniform neuron that ``reader`` is, or integrates and takes maxima within channels for."""
    while _is_within_channels(reader) and len(reader.outputs[0].outputs) == 1:
        reader = reader.outputs[0].outputs[0]
    return (
        reader if is_neuron(reader) and staircase_of(reader) is not None and len(reader.inputs) == 5 else None
    )


def _is_within_channels(node: gs.Node) -> bool:
    if is_integrate(node):
        return not np.any(constant_input(node, 1))
    return of(node).compares is not None and of(node).channels_second


@graph_pass
def own_thresholds(graph: gs.Graph) -> gs.Graph:
    """Thresholds that are not 1 yet.

        MatMul ─▶ Mul c ─▶ Staircase(θ)      becomes      MatMul ─▶ Staircase(θ/c)

    1. General weights in front take the scale in.
    2. Nothing in front does, now or in conversion (a product, sums of whole numbers, a potential that others read, too): θ is the
       neuron's own, and factors in front go into it.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        staircase = staircase_of(node)
        if staircase is None or len(node.inputs) > 5:
            continue
        scale = 1 / as_scale(staircase.threshold, len(node.inputs[0].shape))
        potential, behind = _in_front_of_factors(node.inputs[0])
        if not can_push(graph, potential, scale / behind, exact=False):
            if potential is not node.inputs[0]:
                node.inputs[0] = potential
                scale_potential(graph, names, node, of_sample(1 / behind))
        elif not is_trivial(scale):
            push(graph, names, node.inputs[0], scale)
            give_unit_threshold(graph, names, node, 1 / staircase.threshold)
    return graph


def _in_front_of_factors(tensor: gs.Tensor) -> tuple[gs.Tensor, Scale]:
    """What factors that nothing else reads multiply to make ``tensor``, and their product."""
    product = np.ones((1,) * len(tensor.shape))
    maker = producer_of(tensor) if len(tensor.outputs) == 1 else None
    while maker is not None and (factor := factor_of(maker)) is not None and np.all(factor > 0):
        tensor, product = signals(maker)[0], product * factor
        maker = producer_of(tensor) if len(tensor.outputs) == 1 else None
    return tensor, product
