"""Transposes out of the way: behind elementwise operators, until two of them cancel."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    graph_pass,
    is_constant,
    origin,
    producer_of,
    signals,
    value_of,
)
from onnx2snn.operators import of


@graph_pass
def push_transposes(graph: gs.Graph) -> gs.Graph:
    """Move each Transpose behind the elementwise operators that read it; drop pairs that cancel.

        x ─▶ Transpose p ─▶ Mul c ─▶ Round ─▶ Transpose p⁻¹ ─▶ y      becomes      x ─▶ Mul c' ─▶ Round ─▶ y

    1. All signals of an elementwise operator come from Transposes of the same order: it works in front of them,
       with its constants turned accordingly.
    2. A Transpose of a Transpose is one; of the identity order, none.

    Exporters of channels-last frameworks scatter them inside of activations, and in front of poolings.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        if node.op == "Transpose" and not node.domain:
            _merge(node)
        elif of(node).elementwise and len(node.outputs) == 1:
            _push(graph, names, node)
    for node in list(graph.nodes):
        if node.op == "Transpose" and not node.domain:
            _merge(node)
            if _order(node) == list(range(len(_order(node)))):
                node.op = "Identity"
                node.attrs.pop("perm", None)
    return graph


def _order(node: gs.Node) -> list[int]:
    given = node.attrs.get("perm")
    return list(given) if given is not None else list(range(len(node.inputs[0].shape)))[::-1]


def _merge(node: gs.Node) -> None:
    """Case 2."""
    before = producer_of(node.inputs[0])
    while before is not None and before.op == "Transpose" and not before.domain:
        first, second = _order(before), _order(node)
        node.attrs["perm"] = [first[i] for i in second]
        node.inputs = [before.inputs[0]]
        before = producer_of(node.inputs[0])


def _push(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    """Case 1: ``node`` reads what the Transposes read, and one Transpose behind it writes what it wrote."""
    makers = [producer_of(t) for t in signals(node)]
    if not makers or any(m is None or m.op != "Transpose" or m.domain for m in makers):
        return
    orders = [_order(m) for m in makers if m is not None]
    rank = len(orders[0])
    if any(o != orders[0] for o in orders) or any(
        t.shape is None or len(t.shape) != rank for t in signals(node)
    ):
        return
    order = orders[0]
    back = np.argsort(order)
    inputs: list[gs.Tensor] = []
    for tensor in node.inputs:
        if is_constant(tensor):
            values = _turned(value_of(tensor), rank, back)
            inputs.append(make_constant(names, tensor.name, values))
        elif tensor.is_empty():
            inputs.append(tensor)
        else:
            inputs.append(tensor.inputs[0].inputs[0])
    output = node.outputs[0]
    shape = None if output.shape is None else [output.shape[i] for i in back]
    inner = gs.Variable(names.fresh(f"{output.name}/untransposed"), output.dtype, shape)
    node.inputs, node.outputs = inputs, [inner]
    behind = gs.Node(op="Transpose", name=names.fresh(f"{node.name}/transpose"), attrs={"perm": order})
    behind.attrs[ORIGIN] = origin(node)
    behind.inputs, behind.outputs = [inner], [output]
    graph.nodes.append(behind)


def _turned(values: Array, rank: int, back: Array) -> Array:
    if values.ndim == 0 or values.size == 1:
        return values.reshape(()) if values.size == 1 else values
    full = values.reshape((1,) * (rank - values.ndim) + values.shape)
    return np.transpose(full, back)
