"""Which axis of its input each axis of a result shows: the rules of the records."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import constant_input
from onnx2snn.operators.table import Layout


def turned(node: gs.Node) -> Layout | None:
    """A Transpose: in the order that it gives, or from the last to the first."""
    rank = len(node.inputs[0].shape)
    return tuple(node.attrs.get("perm") or range(rank)[::-1])


def removed(node: gs.Node) -> Layout | None:
    """A Squeeze: without those that it names, or those of one entry."""
    sizes = list(node.inputs[0].shape)
    axes = _axes(node, len(sizes))
    if axes is None and len(node.inputs) > 1 and not node.inputs[1].is_empty():
        return None
    gone = [i for i, size in enumerate(sizes) if size == 1] if axes is None else axes
    return tuple(i for i in range(len(sizes)) if i not in gone)


def inserted(node: gs.Node) -> Layout | None:
    """An Unsqueeze: with axes of one entry where it names them."""
    given = constant_input(node, 1)
    count = len(node.attrs.get("axes", ())) if given is None else given.size
    wide = len(node.inputs[0].shape) + count
    fresh = _axes(node, wide)
    rest = iter(range(wide - count))
    return None if fresh is None else tuple(None if i in fresh else next(rest) for i in range(wide))


def _axes(node: gs.Node, rank: int) -> list[int] | None:
    given = constant_input(node, 1)
    listed = node.attrs.get("axes") if given is None else given.reshape(-1).tolist()
    return None if listed is None else [int(axis) % rank for axis in listed]
