"""Levels that the source's file holds moved: what was done to their places is undone.

Passes let a Transpose or a Reshape in front of a quantiser wait until behind it. The file holds what comes behind, and no tensor
of what the quantiser writes now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import Names, signals
from onnx2snn.operators import of


def moved_ahead(tensor: gs.Tensor, there: Collection[str]) -> list[gs.Node]:
    """Moves behind ``tensor``, over one another, the last of which writes a tensor ``there``; none where there are no such."""
    waiting: list[list[gs.Node]] = [[]]
    while waiting:
        way = waiting.pop(0)
        last = way[-1].outputs[0] if way else tensor
        if way and last.name in there:
            return way
        waiting += [[*way, node] for node in last.outputs if _can_be_undone(node)]
    return []


def _can_be_undone(node: gs.Node) -> bool:
    """Whether ``node`` moves the entries of its only signal, one to one, and it is known from where."""
    record, read = of(node), signals(node)
    if node.domain or not record.moves or len(read) != 1 or len(node.outputs) != 1:
        return False
    shape = read[0].shape
    return shape is not None and (not record.plain or len(_open(shape)) <= 1)


def _open(shape: list[int | str]) -> list[int | str]:
    """Sizes that are not known."""
    return [size for size in shape if not isinstance(size, (int, np.integer))]


def turned_back(graph: gs.Graph, found: Mapping[str, str]) -> gs.Graph:
    """A copy in which tensors are made of those that the file holds behind them.

    Args:
        graph: The normalised form.
        found: By tensor, what the file holds.
    """
    copy = graph.copy()
    names, tensors = Names(copy), copy.tensors()
    for name, origin in found.items():
        if way := moved_ahead(tensors[name], {origin}):
            tensors[name].inputs.clear()
            for node in way:
                _undo(copy, names, node)
    return copy


def _undo(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    """X ─▶ move ─▶ y becomes y ─▶ move⁻¹ ─▶ x."""
    (read,), written = signals(node), node.outputs[0]
    node.inputs, node.outputs = [], []
    back = gs.Node(op="Transpose", name=names.fresh(f"{node.name}/back"), inputs=[written], outputs=[read])
    if of(node).plain:
        sizes = [int(s) if isinstance(s, (int, np.integer)) else -1 for s in read.shape]
        back.op = "Reshape"
        back.inputs.append(make_constant(names, f"{node.name}/sizes", np.array(sizes, np.int64)))
    else:
        order = node.attrs.get("perm", range(len(read.shape))[::-1])
        back.attrs["perm"] = [int(i) for i in np.argsort(order)]
    graph.nodes.append(back)
