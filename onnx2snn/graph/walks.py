"""Walks over a graph or a model: what flows from node to node, forwards or backwards, and what edges lead to.

Nodes stand in topological order. Tensors are known by their ``id`` in a graph, by name in a model. A fact is a rule for one node;
no other module need walk to compute it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import onnx
import onnx_graphsurgeon as gs

#: The ``id`` of a tensor, or its name.
Key: TypeAlias = Any
Value = TypeVar("Value")
AnyNode = TypeVar("AnyNode", gs.Node, onnx.NodeProto)
Item = TypeVar("Item")


def _read(node: Any) -> list[Key]:
    return list(node.input) if isinstance(node, onnx.NodeProto) else [id(t) for t in node.inputs]


def _written(node: Any) -> list[Key]:
    return list(node.output) if isinstance(node, onnx.NodeProto) else [id(t) for t in node.outputs]


def carried(
    nodes: Iterable[AnyNode],
    rule: Callable[[AnyNode, dict[Key, Value]], Iterable[tuple[Key, Value]]],
    start: Mapping[Key, Value] = MappingProxyType({}),
) -> dict[Key, Value]:
    """What is known in the end of whatever keys stand for: tensors, or nodes.

    Args:
        nodes: In topological order, or in the reverse of it.
        rule: What a node adds to all that is known when it is reached.
        start: What is known already.
    """
    found = dict(start)
    for node in nodes:
        found.update(rule(node, found))
    return found


def reached(
    start: Iterable[Item],
    further: Callable[[Item], Iterable[Item]],
    key: Callable[[Item], Hashable] = id,
) -> Iterator[Item]:
    """``start``, and whatever ``further`` leads to from there, in any direction; each once, the last that was met first."""
    seen = {key(one): one for one in start}  # held: an ``id`` is that of one thing as long as this exists
    waiting = list(seen.values())
    while waiting:
        one = waiting.pop()
        yield one
        fresh = {key(other): other for other in further(one)}
        fresh = {name: other for name, other in fresh.items() if name not in seen}
        seen |= fresh
        waiting += fresh.values()


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

    def of_node(node: AnyNode, found: dict[Key, Value]) -> Iterable[tuple[Key, Value]]:
        value = rule(node, [found.get(key) for key in _read(node)])
        return () if value is None else dict.fromkeys(_written(node), value).items()

    return carried(nodes, of_node, start)


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

    def of_node(node: AnyNode, found: dict[Key, bool]) -> Iterable[tuple[Key, bool]]:
        goes_on = passes(node, [key in found for key in _written(node)])
        return dict.fromkeys(_read(node), True).items() if goes_on else ()

    return set(carried(reversed(nodes), of_node, dict.fromkeys(start, True)))
