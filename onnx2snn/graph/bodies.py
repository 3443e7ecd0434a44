"""Subgraphs of control flow (``If``, ``Loop``, ``Scan``, ``SequenceMap``) that read nothing but what their node reads.

ONNX lets a subgraph read any tensor of the graph around it, and no list of inputs tells. Passes and analyses see the inputs of
nodes; so every tensor that a subgraph takes from outside is given to its node as one more input while passes work, under a name
that only the subgraph knows it by, and put back where it came from when the graph is written:

    a ─▶ Loop {m ─▶ Add(m, b) ─▶ m'}      is held as      a, b ─▶ Loop {m ─▶ Add(m, inside) ─▶ m'},  inside = b
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import INSIDE, Names, is_constant
from onnx2snn.model.subgraphs import subgraphs


def open_bodies(graph: gs.Graph) -> None:
    """Give what the subgraphs of ``graph`` read from outside to their nodes, at every depth.

    1. A constant from outside is copied: constants are private to their readers.
    2. Sizes inside are those of what the node is given: what the file declares of them is dropped. Types stay.
    """
    if any(True for _ in graph.subgraphs()):
        _open_all(graph, Names(graph))


def _open_all(graph: gs.Graph, names: Names) -> None:
    for node in graph.nodes:
        given = _Given(names)
        for body in node.subgraphs():
            _open_all(body, names)
            made = [*body.inputs, *(t for inner in body.nodes for t in inner.outputs)]
            own = {id(t) for t in made}
            for reader in body.nodes:
                reader.inputs = [t if id(t) in own else given.inside(t) for t in reader.inputs]
            body.outputs = [t if id(t) in own else given.inside(t) for t in body.outputs]
            for tensor in made:
                tensor.shape = tensor.shape and [None] * len(tensor.shape)  # case 2
        if given.outside:
            node.inputs = [*node.inputs, *given.outside]
            node.attrs[INSIDE] = list(given.known)


class _Given:
    """What the subgraphs of a node are given.

    Attributes:
        outside: The tensors.
        known: What the subgraphs call them.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._made: dict[int, gs.Tensor] = {}
        self.outside: list[gs.Tensor] = []
        self.known: list[str] = []

    def inside(self, tensor: gs.Tensor) -> gs.Tensor:
        """What a subgraph reads instead of ``tensor``."""
        if tensor.is_empty():
            return tensor
        if is_constant(tensor):
            return gs.Constant(self._names.fresh(tensor.name), tensor.values)  # case 1
        if id(tensor) not in self._made:
            name = self._names.fresh(f"{tensor.name}/inside")
            self._made[id(tensor)] = gs.Variable(name, tensor.dtype)
            self.outside.append(tensor)
            self.known.append(name)
        return self._made[id(tensor)]


def given_inside(node: gs.Node) -> dict[str, gs.Tensor]:
    """What the subgraphs of ``node`` read from outside, by the names that they know it by."""
    known: list[str] = node.attrs.get(INSIDE, [])
    return dict(zip(known, list(node.inputs)[len(node.inputs) - len(known) :], strict=True))


def close_bodies(node: onnx.NodeProto) -> None:
    """Let the subgraphs of a node that is written read from outside again; in place."""
    bodies = list(subgraphs(node))
    for inner in (inner for body in bodies for inner in body.node):
        close_bodies(inner)
    known = next((a for a in node.attribute if a.name == INSIDE), None)
    if known is None:
        return
    first = len(node.input) - len(known.strings)
    actual = {name.decode(): node.input[first + i] for i, name in enumerate(known.strings)}
    del node.input[first:]
    node.attribute.remove(known)
    for body in bodies:
        _rename(body, actual)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in subgraphs(node):
            _rename(body, names)
    for info in graph.output:
        info.name = names.get(info.name, info.name)
    described = [info for info in graph.value_info if info.name not in names]
    del graph.value_info[:]
    graph.value_info.extend(described)
