"""Moves out of the way: behind elementwise operators, until two of them cancel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    origin,
    producer_of,
    signals,
    value_of,
)
from onnx2snn.operators import of
from onnx2snn.operators.linear import ROWS, is_line


@graph_pass
def push_moves(graph: gs.Graph) -> gs.Graph:
    """Move what only moves entries, one to one, behind the elementwise operators that read it; drop pairs that cancel.

        x ─▶ Transpose p ─▶ Mul c ─▶ Round ─▶ Transpose p⁻¹ ─▶ y      becomes      x ─▶ Mul c' ─▶ Round ─▶ y
        x ─▶ Round ─▶ Reshape ─▶ Erf ─▶ y                             becomes      x ─▶ Round ─▶ Erf ─▶ Reshape ─▶ y

    1. All signals of an elementwise operator come from Transposes of the same order: it works in front of them,
       with its constants turned accordingly.
    2. They come from other moves between the same sizes, and elementwise operators that are no lines stand in front: what is in
       front and behind is one function of one tensor then. Its constants are single numbers, alike at all places.
    3. A Transpose of a Transpose is one; of the identity order, none.

    Exporters of channels-last frameworks scatter Transposes inside of activations, and in front of poolings; quantisers write one
    behind each move.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        if _is_transpose(node):
            _merge(node)
        elif of(node).elementwise and not of(node).moves and len(node.outputs) == 1:
            while _push(graph, names, node):
                pass
    for node in filter(_is_transpose, list(graph.nodes)):
        _merge(node)
        if _order(node) == list(range(len(_order(node)))):
            node.op = "Identity"
            node.attrs.pop("perm", None)
    return graph


def _is_transpose(node: gs.Node) -> bool:
    return of(node).moves and not of(node).plain


def _order(node: gs.Node) -> list[int]:
    given = node.attrs.get("perm")
    return list(given) if given is not None else list(range(len(node.inputs[0].shape)))[::-1]


def _merge(node: gs.Node) -> None:
    """Case 3: with those in front of it."""
    before = producer_of(node.inputs[0])
    while before is not None and _is_transpose(before):
        first, second = _order(before), _order(node)
        node.attrs["perm"] = [first[i] for i in second]
        node.inputs = [before.inputs[0]]
        before = producer_of(node.inputs[0])


def _push(graph: gs.Graph, names: Names, node: gs.Node) -> bool:
    """Let ``node`` read what the moves in front of it read, and one such move behind it write what it wrote; where it may."""
    read = signals(node)
    movers = [m for t in read if (m := producer_of(t)) is not None and of(m).moves and not m.domain]
    if not movers or len(movers) < len(read) or any(t.shape is None for m in movers for t in m.inputs[:1]):
        return False
    if any(t.shape is None or len(t.shape) != len(read[0].shape) for t in read):
        return False
    turned = all(map(_is_transpose, movers))
    if not (_same_order(movers) if turned else _joins(node, movers)):
        return False
    mover, output = movers[0], node.outputs[0]
    shape: list[int | str] | None = list(mover.inputs[0].shape)
    inputs: list[gs.Tensor] = []
    for tensor in node.inputs:
        if is_constant(tensor):
            back = np.argsort(_order(mover)) if turned else None
            inputs.append(
                make_constant(names, tensor.name, _turned(value_of(tensor), len(mover.inputs[0].shape), back))
            )
        elif tensor.is_empty():
            inputs.append(tensor)
        else:
            inputs.append(tensor.inputs[0].inputs[0])
    if turned:
        shape = None if output.shape is None else [output.shape[i] for i in np.argsort(_order(mover))]
    inner = gs.Variable(names.fresh(f"{output.name}/unmoved"), output.dtype, shape)
    behind = gs.Node(op=mover.op, name=names.fresh(f"{node.name}/moved"), attrs=dict(mover.attrs))
    behind.attrs[ORIGIN] = origin(node)
    parameters = [make_constant(names, t.name, value_of(t)) for t in mover.inputs[1:]]
    _take_rows(node, mover)
    node.inputs, node.outputs = inputs, [inner]
    behind.inputs, behind.outputs = [inner, *parameters], [output]
    graph.nodes.append(behind)
    return True


def _same_order(movers: Sequence[gs.Node]) -> bool:
    """Case 1."""
    return all(_order(mover) == _order(movers[0]) for mover in movers)


def _joins(node: gs.Node, movers: Sequence[gs.Node]) -> bool:
    """Case 2."""
    first, rank = movers[0], len(movers[0].outputs[0].shape)
    ends = [(list(m.inputs[0].shape), list(m.outputs[0].shape)) for m in movers]
    constants = [value_of(t) for t in node.inputs if is_constant(t) and not t.is_empty()]
    alike = all(c.size == 1 and c.ndim <= rank for c in constants)
    known = all(constant_input(m, i) is not None for m in movers for i in range(1, len(m.inputs)))
    same = all(m.op == first.op and m.attrs.get(ROWS) == first.attrs.get(ROWS) for m in movers)
    same = same and all(end == ends[0] for end in ends) and node.outputs[0].shape is not None
    whole = same and list(node.outputs[0].shape) == ends[0][1]
    return whole and alike and known and all(_behind_function(m.inputs[0]) for m in movers)


def _behind_function(tensor: gs.Tensor) -> bool:
    """Whether an elementwise operator that is no line made it, but for lines and moves behind."""
    node = producer_of(tensor)
    while node is not None and (of(node).moves or is_line(node)):
        node = producer_of(signals(node)[0])
    return node is not None and of(node).elementwise


def _take_rows(node: gs.Node, mover: gs.Node) -> None:
    """Rows of a sample are those of what stands in front of ``mover``."""
    made = producer_of(mover.inputs[0])
    node.attrs.pop(ROWS, None)
    if made is not None and ROWS in made.attrs:
        node.attrs[ROWS] = made.attrs[ROWS]


def _turned(values: Array, rank: int, back: Array | None) -> Array:
    """A constant as it is taken in front of a Transpose, whose order is undone by ``back``; of other moves, a single number."""
    if values.size == 1:
        return values.reshape(())
    if values.ndim == 0 or back is None:
        return values
    full = values.reshape((1,) * (rank - values.ndim) + values.shape)
    return np.transpose(full, back)
