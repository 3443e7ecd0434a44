"""Subgraphs of nodes (of ``If``, ``Loop``, ``Scan``, ``SequenceMap``), which read what the graph around them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among the attributes of ``node``."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """``nodes``, each followed by those of its subgraphs."""
    for node in nodes:
        yield node
        for graph in subgraphs(node):
            yield from all_nodes(graph.node)


def names_made(graph: onnx.GraphProto) -> set[str]:
    """Names of the tensors that ``graph`` itself holds or makes."""
    made = {name for node in graph.node for name in node.output}
    return made | {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}


def names_read(node: onnx.NodeProto) -> list[str]:
    """What a node reads, and what its subgraphs take from outside; twice where it is read twice."""
    found = [name for name in node.input if name]
    for graph in subgraphs(node):
        made = names_made(graph)
        found += [name for inner in graph.node for name in names_read(inner) if name not in made]
        found += [info.name for info in graph.output if info.name not in made]
    return found
