"""What nodes influence, and what influences them: sets of tensors, by ``id``, in one walk each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import onnx_graphsurgeon as gs

from onnx2snn.graph.walks import backward, forward

Test: TypeAlias = Callable[[gs.Node], bool]


def influenced_by(graph: gs.Graph, start: Test) -> set[int]:
    """Tensors that nodes for which ``start`` holds influence."""
    return forward(graph.nodes, lambda node, read: start(node) or any(read))


def influencing(graph: gs.Graph, end: Test) -> set[int]:
    """Tensors that influence nodes for which ``end`` holds."""
    return backward(graph.nodes, lambda node, written: end(node) or any(written))


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
