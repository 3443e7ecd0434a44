"""One walk over a graph or a model: what flows from node to node, forwards or backwards.

Nodes stand in topological order. Tensors are known by their ``id`` in a graph, by name in a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import onnx
import onnx_graphsurgeon as gs

#: The ``id`` of a tensor, or its name.
Key: TypeAlias = Any
Value = TypeVar("Value")
AnyNode = TypeVar("AnyNode", gs.Node, onnx.NodeProto)


def _read(node: Any) -> list[Key]:
    return list(node.input) if isinstance(node, onnx.NodeProto) else [id(t) for t in node.inputs]


def _written(node: Any) -> list[Key]:
    return list(node.output) if isinstance(node, onnx.NodeProto) else [id(t) for t in node.outputs]


def values_forward(
    nodes: Iterable[AnyNode],
    rule: Callable[[AnyNode, list[Value | None]], Value | None],
    start: Mapping[Key, Value],
) -> dict[Key, Value]:
    """A value of tensors, from those of inputs to those of outputs.

    Args:
        nodes: In topological order.
        rule: The value of what a node writes, from those of what it reads, in order; None where there is none.
        start: What is known already.
    """
    found = dict(start)
    for node in nodes:
        value = rule(node, [found.get(key) for key in _read(node)])
        if value is not None:
            found.update(dict.fromkeys(_written(node), value))
    return found


def forward(
    nodes: Iterable[AnyNode], passes: Callable[[AnyNode, list[bool]], bool], start: Iterable[Key] = ()
) -> set[Key]:
    """The tensors that nodes write for which ``passes`` holds, told which of what they read are among these; and ``start``."""
    known = dict.fromkeys(start, True)
    return set(values_forward(nodes, lambda node, read: passes(node, list(map(bool, read))) or None, known))


def backward(
    nodes: Sequence[AnyNode], passes: Callable[[AnyNode, list[bool]], bool], start: Iterable[Key] = ()
) -> set[Key]:
    """The tensors that nodes read for which ``passes`` holds, told which of what they write are among these; and ``start``."""
    found = set(start)
    for node in reversed(nodes):
        if passes(node, [key in found for key in _written(node)]):
            found.update(_read(node))
    return found
