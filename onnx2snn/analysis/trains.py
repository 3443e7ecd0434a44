"""The two kinds of tensor, told apart by one walk: trains, and analog values (docs/architecture.md)."""

from __future__ import annotations

from enum import Enum

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import is_constant
from onnx2snn.operators.linear import float_signals, is_integrate, is_linear, is_neuron


class Kind(Enum):
    """What a tensor holds.

    ANALOG: one value a sample: the network's input, a membrane potential, a decoded output.
    TRAIN: a value a time step: spikes, or the synaptic currents that they cause.
    """

    ANALOG = "analog"
    TRAIN = "train"


def node_kind(node: gs.Node, kinds: dict[int, Kind]) -> Kind:
    """What ``node`` makes of inputs of the given kinds.

    1. A neuron makes a train, Integrate an analog value.
    2. A linear operator that reads trains, and nothing analog beside them, makes a train.
    3. Everything else makes analog values.
    """
    if is_neuron(node):
        return Kind.TRAIN
    if is_integrate(node):
        return Kind.ANALOG
    read = [kinds.get(id(t), Kind.ANALOG) for t in float_signals(node)]
    return Kind.TRAIN if read and all(k is Kind.TRAIN for k in read) and is_linear(node) else Kind.ANALOG


def infer_kinds(graph: gs.Graph) -> dict[int, Kind]:
    """The kind of every tensor that a node makes, by ``id``; whatever is missing is analog."""
    kinds: dict[int, Kind] = {}
    for node in graph.nodes:
        kind = node_kind(node, kinds)
        kinds.update((id(tensor), kind) for tensor in node.outputs)
    return kinds


def is_train(tensor: gs.Tensor, kinds: dict[int, Kind]) -> bool:
    """Whether ``tensor`` is a train."""
    return not is_constant(tensor) and kinds.get(id(tensor)) is Kind.TRAIN
