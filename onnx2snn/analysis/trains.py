"""The two kinds of tensor, told apart by one walk: trains, and analog values (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import is_constant
from onnx2snn.graph.walks import carried, reached
from onnx2snn.operators import of
from onnx2snn.operators.linear import (
    ROWS,
    float_signals,
    is_hold,
    is_integrate,
    is_linear,
    is_neuron,
    is_product,
    is_weighted,
)


class Kind(Enum):
    """What a tensor holds.

    ANALOG: one value a sample: the network's input, a membrane potential, a decoded output.
    TRAIN: a value a time step: spikes, or the synaptic currents that they cause.
    HELD: a potential, the same at each time step: what the spikes of a train select (METHOD 12).
    """

    ANALOG = "analog"
    TRAIN = "train"
    HELD = "held"


def node_kind(node: gs.Node, kinds: dict[int, Kind]) -> Kind:
    """What ``node`` makes of inputs of the given kinds.

    1. A neuron makes a train, Integrate an analog value.
    2. A linear operator that reads trains, and nothing analog beside them, makes a train.
    3. A product of a train and a held potential is linear in the train.
    4. An analog value that is added to a train, or joined to it, in front of synapses is part of the bias behind them: what is
       left is a train. (In front of neurons alone, a residual stream, the train is integrated, once for all of them.)
    5. Everything else makes analog values.
    """
    if is_neuron(node):
        return Kind.TRAIN
    if is_integrate(node):
        return Kind.ANALOG
    if is_hold(node):
        return Kind.HELD
    read = [kinds.get(id(t), Kind.ANALOG) for t in float_signals(node)]
    if is_product(node):
        return Kind.TRAIN if {*read} == {Kind.TRAIN, Kind.HELD} else Kind.ANALOG
    if not is_linear(node) or Kind.TRAIN not in read or (Kind.ANALOG in read and not _joins(node, kinds)):
        return Kind.ANALOG
    return Kind.TRAIN


def _meets_synapses(node: gs.Node) -> bool:
    """Whether linear operators lead from ``node`` to weights."""

    def readers(node: gs.Node) -> list[gs.Node]:
        return [reader for tensor in node.outputs for reader in tensor.outputs]

    behind = reached([node], lambda node: [r for r in readers(node) if is_linear(r) and not is_weighted(r)])
    return any(is_weighted(reader) for one in behind for reader in readers(one))


def _joins(node: gs.Node, kinds: dict[int, Kind]) -> bool:
    """Whether what is analog beside trains can be taken off ``node``: its sizes are known, and do not shape the result."""
    if ROWS in node.attrs or not _meets_synapses(node):
        return False
    made = node.outputs[0].shape
    if any(t.shape is None for t in (*node.inputs, *node.outputs)):
        return False
    trains = [is_train(tensor, kinds) for tensor in node.inputs]
    if of(node).sums:
        return all(list(t.shape) == list(made) for t, train in zip(node.inputs, trains, strict=True) if train)
    if not of(node).joins:
        return False
    axis = int(node.attrs["axis"]) % len(made)
    sizes = [t.shape[axis] for t, train in zip(node.inputs, trains, strict=True) if not train]
    return all(isinstance(size, (int, np.integer)) for size in sizes)


def infer_kinds(graph: gs.Graph) -> dict[int, Kind]:
    """The kind of every tensor that a node makes, by ``id``; whatever is missing is analog."""

    def rule(node: gs.Node, kinds: dict[int, Kind]) -> Iterable[tuple[int, Kind]]:
        kind = node_kind(node, kinds)
        return [(id(tensor), kind) for tensor in node.outputs]

    return carried(graph.nodes, rule)


def is_train(tensor: gs.Tensor, kinds: dict[int, Kind]) -> bool:
    """Whether ``tensor`` is a train."""
    return not is_constant(tensor) and kinds.get(id(tensor)) is Kind.TRAIN
