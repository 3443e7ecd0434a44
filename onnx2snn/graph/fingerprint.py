"""What a graph is made of, to tell whether a pass changed anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import is_constant


@dataclass(frozen=True, eq=False)
class _Itself:
    """Equal to nothing but the same object, which it keeps alive: its id is not given to another one."""

    held: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)


def fingerprint(graph: gs.Graph) -> tuple[object, ...]:
    """Equal for graphs of the same nodes that hold the same arrays; passes never change the values of one."""
    return (graph.opset, _tensors(graph.inputs), _tensors(graph.outputs), tuple(map(_node, graph.nodes)))


def _node(node: gs.Node) -> tuple[object, ...]:
    attributes = tuple((name, _attribute(value)) for name, value in node.attrs.items())
    return node.op, node.domain, node.name, _tensors(node.inputs), _tensors(node.outputs), attributes


def _tensors(tensors: Iterable[gs.Tensor]) -> tuple[object, ...]:
    return tuple((t.name, _Itself(t.values)) if is_constant(t) else _variable(t) for t in tensors)


def _variable(tensor: gs.Tensor) -> tuple[object, ...]:
    return tensor.name, str(tensor.dtype), None if tensor.shape is None else tuple(tensor.shape)


def _attribute(value: Any) -> object:
    if isinstance(value, gs.Graph):
        return fingerprint(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(_attribute, value))
    plain = value is None or isinstance(value, (bool, int, float, str, bytes, np.integer, np.floating))
    return value if plain else _Itself(value)
