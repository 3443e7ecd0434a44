"""Branches that are always taken."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.bodies import given_inside
from onnx2snn.graph.core import (
    ORIGIN,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    is_operator,
    origin,
    replace_uses,
)


@graph_pass
def inline_conditionals(graph: gs.Graph) -> gs.Graph:
    """Put the nodes of the taken branch in place of an ``If`` whose condition is constant.

        If(true) {then: x ─▶ Squeeze ─▶ t, else: x ─▶ Identity ─▶ e} ─▶ y      becomes      x ─▶ Squeeze ─▶ y

    1. A tensor of the branch whose name is taken outside gets a new one.
    2. The branch gives back a constant, or a tensor from outside: an Identity carries it.
    3. The branch holds an ``If`` that is constant too: it is inlined in turn.
    """
    names = Names(graph)
    waiting = list(graph.nodes)
    while waiting:
        node = waiting.pop()
        condition = constant_input(node, 0) if is_operator(node, "If") else None
        if condition is not None and condition.size == 1:
            branch = "then_branch" if condition.reshape(-1)[0] else "else_branch"
            waiting.extend(_inline(graph, names, node, branch))
    return graph


def _inline(graph: gs.Graph, names: Names, node: gs.Node, branch: str) -> list[gs.Node]:
    """Replace ``node``; the nodes that stand for it."""
    body, given = node.attrs[branch], given_inside(node)
    written = {id(tensor) for inner in body.nodes for tensor in inner.outputs}
    for inner in body.nodes:
        inner.name = names.fresh(inner.name or f"{node.name}/{inner.op}")
        inner.attrs[ORIGIN] = origin(node)
        inner.inputs = [given.get(tensor.name, tensor) for tensor in inner.inputs]
        _own_names(names, inner)
        graph.nodes.append(inner)
    results = list(node.outputs)
    node.inputs.clear()
    node.outputs.clear()
    graph.nodes.remove(node)
    for result, tensor in zip(results, (given.get(t.name, t) for t in body.outputs), strict=True):
        if id(tensor) in written:
            tensor.dtype, tensor.shape = tensor.dtype or result.dtype, tensor.shape or result.shape
            replace_uses(graph, result, tensor)
        else:
            name = names.fresh(f"{node.name}/Identity")
            graph.nodes.append(gs.Node("Identity", name, inputs=[tensor], outputs=[result]))
    return list(body.nodes)


def _own_names(names: Names, inner: gs.Node) -> None:
    """Case 1; and constants are private to their readers, as everywhere."""
    for tensor in inner.outputs:
        if not tensor.is_empty():
            tensor.name = names.fresh(tensor.name)
    for position, tensor in enumerate(inner.inputs):
        if is_constant(tensor):
            inner.inputs[position] = gs.Constant(names.fresh(tensor.name), tensor.values)
