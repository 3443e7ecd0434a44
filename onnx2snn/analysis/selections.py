"""Tensors whose every entry is a copy of some neuron's activation: what moving, picking and joining leave of staircases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.lines import is_rising_line, line_constant
from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    constant_input,
    is_constant,
    origin,
    producer_of,
    signals,
    value_of,
)
from onnx2snn.graph.neuron_nodes import make_constant
from onnx2snn.operators.linear import MOVEMENT, STAIRCASE, is_linear

#: Operators that copy entries, in places that do not depend on values.
SELECTIONS = (
    *MOVEMENT,
    *(
        "Concat",
        "DepthToSpace",
        "Expand",
        "Gather",
        "Pad",
        "Resize",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Tile",
    ),
)


@dataclass(frozen=True)
class Leaf:
    """A decoded activation α·k + o: ``lines`` lead from the staircase's level to ``tensor``."""

    tensor: gs.Tensor
    staircase: gs.Node
    lines: tuple[gs.Node, ...]

    def decoding(self) -> tuple[Array, Array]:
        """α and o (see :func:`decoding`)."""
        return decoding(self.lines)


def decoding(lines: Sequence[gs.Node]) -> tuple[Array, Array]:
    """α and o of the line that ``lines`` compute, in float64, broadcastable to one sample with its batch axis."""
    scale, shift = np.ones(()), np.zeros(())
    for node in lines:
        if node.op == "BatchNormalization":
            factor, term = _normalisation(node)
        else:
            constant = line_constant(node)
            if constant is None:
                continue
            wide = constant.astype(np.float64)
            factor, term = (wide, np.zeros(())) if node.op == "Mul" else (np.ones(()), wide)
        scale, shift = scale * factor, shift * factor + term
    return scale, shift


def rises(node: gs.Node) -> bool:
    """Whether ``node`` is a rising line of its one signal, channel by channel."""
    if node.op == "BatchNormalization" and is_linear(node) and all(is_constant(t) for t in node.inputs[1:]):
        return bool(np.all(value_of(node.inputs[1]) > 0))
    return node.op == "Identity" or is_rising_line(node)


def _normalisation(node: gs.Node) -> tuple[Array, Array]:
    gamma, beta, mean, variance = (value_of(t).astype(np.float64) for t in node.inputs[1:5])
    factor = gamma / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    column = (-1,) + (1,) * (len(node.inputs[0].shape) - 2)
    return factor.reshape(column), (beta - mean * factor).reshape(column)


@dataclass(frozen=True)
class Selected:
    """A tensor made of the entries of ``leaves`` by ``nodes`` (in topological order)."""

    tensor: gs.Tensor
    leaves: tuple[Leaf, ...]
    nodes: tuple[gs.Node, ...]


def selected(tensor: gs.Tensor) -> Selected | None:
    """How ``tensor`` is made of decoded activations; None if anything but copies takes part."""
    leaves: dict[int, Leaf] = {}
    nodes: dict[int, gs.Node] = {}
    stack = [(tensor, False)]
    while stack:
        here, done = stack.pop()
        node = producer_of(here)
        if node is None or (id(node) in nodes and not done) or id(here) in leaves:
            if node is None:
                return None
            continue
        if done:
            nodes.setdefault(id(node), node)
            continue
        leaf = _leaf(here)
        if leaf is not None:
            leaves[id(here)] = leaf
        elif is_selection(node):
            stack += [(here, True), *((t, False) for t in signals(node))]
        else:
            return None
    return Selected(tensor, tuple(leaves.values()), tuple(nodes.values())) if leaves else None


def is_selection(node: gs.Node) -> bool:
    """Whether ``node`` copies entries, each sample for itself."""
    if node.op not in SELECTIONS or not is_linear(node):
        return False
    if node.op == "Resize":
        return bool(node.attrs.get("mode", "nearest") == "nearest")
    return not (node.op == "Concat" and any(is_constant(t) for t in node.inputs))


def _leaf(tensor: gs.Tensor) -> Leaf | None:
    """The staircase behind ``tensor``, if only rising lines lie between."""
    lines: list[gs.Node] = []
    node = producer_of(tensor)
    while node is not None:
        if node.op == STAIRCASE:
            return Leaf(tensor, node, tuple(reversed(lines)))
        if not rises(node):
            return None
        lines.append(node)
        node = producer_of(signals(node)[0]) if signals(node) else None
    return None


def copy_selection(
    found: Selected,
    copies: dict[int, gs.Tensor],
    graph: gs.Graph,
    names: Names,
    *,
    silent: float | None = None,
) -> None:
    """Add the nodes of ``found`` to ``graph`` once more, on ``copies`` of its leaves (by id); ``copies`` grows.

    Args:
        found: What to copy.
        copies: What is read instead of each tensor.
        graph: Where the nodes go.
        names: Of that graph.
        silent: What pads instead of the constant that did.
    """
    for node in found.nodes:
        fresh = gs.Node(op=node.op, name=names.fresh(f"{node.name}/potential"), attrs=dict(node.attrs))
        inputs = [
            make_constant(names, t.name, value_of(t)) if is_constant(t) else copies.get(id(t), t)
            for t in node.inputs
        ]
        if silent is not None and padding(node) is not None:
            fill = make_constant(names, f"{fresh.name}/silent", np.array(silent, np.float32))
            inputs = [*inputs[:2], fill, *inputs[3:]]
        fresh.inputs = inputs
        for tensor in node.outputs:
            copy = gs.Variable(names.fresh(f"{tensor.name}/potential"), np.float32, list(tensor.shape))
            copies[id(tensor)] = copy
            fresh.outputs.append(copy)
        fresh.attrs[ORIGIN] = origin(node)
        graph.nodes.append(fresh)


def padding(node: gs.Node) -> float | None:
    """The number that ``node`` pads with; None if it pads with none."""
    if node.op != "Pad" or node.attrs.get("mode", "constant") != "constant":
        return None
    given = constant_input(node, 2)
    return 0.0 if given is None else float(given.reshape(-1)[0])


def copy_behind(graph: gs.Graph, names: Names, node: gs.Node, value: gs.Tensor) -> gs.Tensor:
    """A copy of the one-input ``node`` that reads ``value``; returns what it writes."""
    signal = signals(node)[0]
    inputs = [
        value if t is signal else make_constant(names, t.name, value_of(t)) if is_constant(t) else t
        for t in node.inputs
    ]
    line = node.op in ("Mul", "Add", "BatchNormalization")
    shape = list(value.shape if line else node.outputs[0].shape)
    output = gs.Variable(names.fresh(f"{node.outputs[0].name}/hoisted"), np.float32, shape)
    fresh = gs.Node(
        op=node.op, name=names.fresh(f"{node.name}/hoisted"), attrs=dict(node.attrs), inputs=inputs
    )
    fresh.attrs[ORIGIN] = origin(node)
    fresh.outputs = [output]
    graph.nodes.append(fresh)
    return output
