"""What nodes influence, and what influences them: sets of tensors, by ``id``, in one walk each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import onnx_graphsurgeon as gs

Test: TypeAlias = Callable[[gs.Node], bool]


def influenced_by(graph: gs.Graph, start: Test) -> set[int]:
    """Tensors that nodes for which ``start`` holds influence."""
    reached: set[int] = set()
    for node in graph.nodes:
        if start(node) or any(id(t) in reached for t in node.inputs):
            reached.update(id(t) for t in node.outputs)
    return reached


def influencing(graph: gs.Graph, end: Test) -> set[int]:
    """Tensors that influence nodes for which ``end`` holds."""
    feeding: set[int] = set()
    for node in reversed(graph.nodes):
        if end(node) or any(id(t) in feeding for t in node.outputs):
            feeding.update(id(t) for t in node.inputs)
    return feeding


def only_read_by(graph: gs.Graph, end: Test, passed: Test) -> set[int]:
    """Tensors that only nodes for which ``end`` holds read, directly or over nodes for which ``passed`` does; no graph output."""
    found: set[int] = set()
    outputs = {id(t) for t in graph.outputs}
    for node in reversed(graph.nodes):
        for tensor in node.outputs:
            if id(tensor) not in outputs and all(
                end(r) or (passed(r) and all(id(t) in found for t in r.outputs)) for r in tensor.outputs
            ):
                found.add(id(tensor))
    return found
