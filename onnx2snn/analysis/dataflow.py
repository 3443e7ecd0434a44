"""What nodes influence, and what influences them: sets of tensors, by ``id``, in one walk each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import onnx_graphsurgeon as gs

from onnx2snn.graph.walks import backward, carried, forward

Test: TypeAlias = Callable[[gs.Node], bool]


def influenced_by(graph: gs.Graph, start: Test) -> set[int]:
    """Tensors that nodes for which ``start`` holds influence."""
    return forward(graph.nodes, lambda node, read: start(node) or any(read))


def influencing(graph: gs.Graph, end: Test) -> set[int]:
    """Tensors that influence nodes for which ``end`` holds."""
    return backward(graph.nodes, lambda node, written: end(node) or any(written))


def only_read_by(graph: gs.Graph, end: Test, passed: Test) -> set[int]:
    """Tensors that only nodes for which ``end`` holds read, directly or over nodes for which ``passed`` does; no graph output."""
    outputs = {id(t) for t in graph.outputs}

    def rule(node: gs.Node, found: dict[int, bool]) -> Iterator[tuple[int, bool]]:
        def ends(reader: gs.Node) -> bool:
            return end(reader) or (passed(reader) and all(id(t) in found for t in reader.outputs))

        for tensor in node.outputs:
            if id(tensor) not in outputs and all(map(ends, tensor.outputs)):
                yield id(tensor), True

    return set(carried(reversed(graph.nodes), rule))
