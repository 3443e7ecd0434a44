"""Nodes of a model: which operator they are, and which of them a result needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import onnx

from onnx2snn.model.subgraphs import names_read

#: How ONNX's own domain is called.
STANDARD = ("", "ai.onnx")


def is_own(node: onnx.NodeProto, *operators: str) -> bool:
    """Whether ``node`` is one of these operators of ONNX itself."""
    return node.domain in STANDARD and node.op_type in operators


def held_tensors(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The constants of ``graph`` by name, wherever it holds them."""
    constants = (node for node in graph.node if is_own(node, "Constant"))
    written = {n.output[0]: a.t for n in constants for a in n.attribute if a.name == "value"}
    return {tensor.name: tensor for tensor in graph.initializer} | written


def needed(
    nodes: Sequence[onnx.NodeProto], tensors: Iterable[str], given: Collection[str] = ()
) -> list[onnx.NodeProto]:
    """Those of ``nodes``, in their topological order, that make ``tensors`` of what is ``given`` and of what no node makes."""
    wanted, kept = set(tensors), []
    for node in reversed(nodes):
        if any(name in wanted and name not in given for name in node.output):
            wanted.update(names_read(node))
            kept.append(node)
    return kept[::-1]


def name_each(nodes: Iterable[onnx.NodeProto]) -> None:
    """Let each node have a name of its own: runtimes name what they fuse after it."""
    seen: set[str] = set()
    for node in nodes:
        node.name = node.name if node.name and node.name not in seen else f"{node.op_type}/{node.output[0]}"
        seen.add(node.name)
