"""Sequences whose parts are known are tensors side by side."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Names, constant_input, graph_pass, is_operator, origin, replace_uses

#: The tensors of a sequence, by ``id`` of the sequence.
Parts = dict[int, list[gs.Tensor]]


@graph_pass
def open_sequences(graph: gs.Graph) -> gs.Graph:
    """Write sequences as their parts.

        x ─▶ SplitToSequence ─▶ SequenceAt 1 ─▶ y      becomes      x ─▶ Split ─▶ its second result, y

    1. ``SplitToSequence`` by constants is a ``Split``; without its axis (``keepdims=0``), a ``Squeeze`` behind each part.
    2. ``SequenceConstruct`` holds the tensors that it reads.
    3. ``SequenceAt`` by a constant is the part there.
    4. ``ConcatFromSequence`` is a ``Concat``, of parts that get an axis first, if it is a new one.
    """
    names = Names(graph)
    parts: Parts = {}
    for node in list(graph.nodes):
        if is_operator(node, "SplitToSequence"):
            split = _split(graph, names, node)
            if split is not None:
                parts[id(node.outputs[0])] = split
        elif is_operator(node, "SequenceConstruct"):
            parts[id(node.outputs[0])] = list(node.inputs)
        elif is_operator(node, "SequenceAt") and id(node.inputs[0]) in parts:
            index, held = constant_input(node, 1), parts[id(node.inputs[0])]
            if index is not None and -len(held) <= int(index) < len(held):
                replace_uses(graph, node.outputs[0], held[int(index)])
        elif is_operator(node, "ConcatFromSequence") and id(node.inputs[0]) in parts:
            _concat(graph, names, node, parts[id(node.inputs[0])])
    return graph


def _split(graph: gs.Graph, names: Names, node: gs.Node) -> list[gs.Tensor] | None:
    """Case 1; None where sizes are not known."""
    read, sizes, axis = node.inputs[0], _sizes(node), int(node.attrs.get("axis", 0))
    if sizes is None:
        return None
    squeezes = len(node.inputs) < 2 and not node.attrs.get("keepdims", 1)
    made = [gs.Variable(names.fresh(f"{node.name}/part"), read.dtype) for _ in sizes]
    split = gs.Node(
        op="Split", name=names.fresh(f"{node.name}/split"), attrs={"axis": axis, ORIGIN: origin(node)}
    )
    split.inputs = [read, make_constant(names, f"{split.name}/sizes", np.array(sizes, np.int64))]
    split.outputs = list(made)
    graph.nodes.append(split)
    return [_moved(graph, names, node, part, op="Squeeze", axis=axis) if squeezes else part for part in made]


def _sizes(node: gs.Node) -> list[int] | None:
    shape, split = node.inputs[0].shape, constant_input(node, 1)
    if len(node.inputs) > 1 and split is None:
        return None
    if split is not None and split.ndim:
        return [int(size) for size in split]
    whole = None if shape is None else shape[int(node.attrs.get("axis", 0))]
    if not isinstance(whole, (int, np.integer)):
        return None
    each = 1 if split is None else int(split)
    return [min(each, int(whole) - first) for first in range(0, int(whole), each)]


def _concat(graph: gs.Graph, names: Names, node: gs.Node, parts: list[gs.Tensor]) -> None:
    """Case 4."""
    axis = int(node.attrs["axis"])
    if node.attrs.get("new_axis", 0):
        parts = [_moved(graph, names, node, part, op="Unsqueeze", axis=axis) for part in parts]
    node.op, node.attrs = "Concat", {"axis": axis, ORIGIN: origin(node)}
    node.inputs = list(parts)


def _moved(graph: gs.Graph, names: Names, node: gs.Node, part: gs.Tensor, *, op: str, axis: int) -> gs.Tensor:
    result = gs.Variable(names.fresh(f"{part.name}/{op.lower()}"), part.dtype)
    move = gs.Node(op=op, name=names.fresh(f"{node.name}/{op.lower()}"), attrs={ORIGIN: origin(node)})
    move.inputs = [part, make_constant(names, f"{move.name}/axes", np.array([axis], np.int64))]
    move.outputs = [result]
    graph.nodes.append(move)
    return result
