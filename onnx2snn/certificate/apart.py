"""What stands in front of a jump and is read elsewhere too, computed once for each."""

from __future__ import annotations

import onnx

from onnx2snn.float64.network import before_jumps, is_jump
from onnx2snn.operators import of


def jumps_apart(graph: onnx.GraphProto, levels: frozenset[str]) -> None:
    """Give the readers behind no jump operators of their own.

        k ─▶ A ─▶ Floor ─▶ Concat ─▶ y      becomes      k ─▶ A' ─▶ Floor ─▶ Concat ─▶ y
             └────────────▶                              └──▶ A ────────────▶

    What stands in front of a jump is computed in float32, and its results are given: no bound is asked of them. Other readers
    need one: both networks make of the same levels what they read, but with other operators and constants.

    1. What no level reaches (the network's input is quantised, say): both networks compute that alike; nothing is done.

    Args:
        graph: Operators in topological order; is changed.
        levels: Tensors that hold levels of neurons.
    """
    narrow = before_jumps(graph)
    jumps = {name for node in graph.node if is_jump(node) for name in node.output}
    twice = (narrow & _read_behind_no_jump(graph) & _made_of(graph, levels)) - jumps
    if not twice:
        return
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if not any(name in narrow for name in node.output):
            nodes.append(node)
        elif is_jump(node) or not any(name in twice for name in node.output):
            nodes.append(_renamed(node, twice, outputs=False))
        else:
            nodes += [_renamed(node, twice, outputs=True), node]
    del graph.node[:]
    graph.node.extend(nodes)


def _read_behind_no_jump(graph: onnx.GraphProto) -> frozenset[str]:
    """Names of the tensors that an output is made of without a jump between."""
    found = {output.name for output in graph.output}
    for node in reversed(graph.node):
        if any(name in found for name in node.output) and not is_jump(node):
            found.update(name for name in node.input if name)
    return frozenset(found)


def _made_of(graph: onnx.GraphProto, levels: frozenset[str]) -> frozenset[str]:
    """Names of the tensors that operators make of ``levels``; sizes are no values."""
    found = set(levels)
    for node in graph.node:
        if not of(node).sizes and any(name in found for name in node.input):
            found.update(node.output)
    return frozenset(found - levels)


def _renamed(node: onnx.NodeProto, twice: frozenset[str], *, outputs: bool) -> onnx.NodeProto:
    """The operator in front of the jump."""
    fresh = onnx.NodeProto()
    fresh.CopyFrom(node)
    fresh.input[:] = [_in_front(name) if name in twice else name for name in node.input]
    if outputs:
        fresh.output[:] = [_in_front(name) for name in node.output]
    return fresh


def _in_front(name: str) -> str:
    return f"{name}/in-front-of-a-jump"
