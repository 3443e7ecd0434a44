"""Constant selections and minima, in operators that synapses and neurons know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, constant_input, graph_pass


@graph_pass
def spell_masks(graph: gs.Graph) -> gs.Graph:
    """Write what keeps a constant part of a tensor, and minima, with other operators.

        Trilu(x)                 becomes    x ─▶ Mul a constant mask of zeros and ones
        Compress(x, mask)        becomes    x ─▶ Gather the places that the mask names
        ReduceMin(x)             becomes    x ─▶ Neg ─▶ ReduceMax ─▶ Neg

    1. The mask or the diagonal is not constant, or the sizes that a Trilu cuts are not known: the node stays.
    2. A Compress without an axis flattens the batch: it stays.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        handler = None if node.domain else HANDLERS.get(node.op)
        if handler is not None:
            handler(Spelling(graph, names, node), node)
    return graph


def _trilu(spelling: Spelling, node: gs.Node) -> None:
    shape = node.inputs[0].shape
    diagonal = constant_input(node, 1) if len(node.inputs) > 1 else np.zeros((), np.int64)
    if shape is None or diagonal is None or not all(isinstance(s, int) for s in shape[-2:]):
        return
    cut = np.triu if int(node.attrs.get("upper", 1)) else np.tril
    mask = cut(np.ones(shape[-2:], np.float32), int(np.asarray(diagonal).reshape(())))
    output = node.outputs[0]
    node.outputs.clear()
    spelling.apply("Mul", node.inputs[0], mask, output=output)


def _compress(spelling: Spelling, node: gs.Node) -> None:
    mask, axis = constant_input(node, 1), node.attrs.get("axis")
    if mask is None or axis is None:
        return
    output = node.outputs[0]
    node.outputs.clear()
    spelling.apply("Gather", node.inputs[0], np.flatnonzero(mask), output=output, axis=int(axis))


def _reduce_min(spelling: Spelling, node: gs.Node) -> None:
    output = node.outputs[0]
    node.outputs.clear()
    negated = spelling.apply("Neg", node.inputs[0])
    largest = spelling.apply("ReduceMax", negated, *node.inputs[1:], sizes=output.shape, **_known(node))
    spelling.apply("Neg", largest, output=output)


def _known(node: gs.Node) -> dict[str, Any]:
    return {k: int(node.attrs[k]) for k in ("keepdims", "noop_with_empty_axes") if k in node.attrs}


HANDLERS: Mapping[str, Callable[[Spelling, gs.Node], None]] = {
    "Trilu": _trilu,
    "Compress": _compress,
    "ReduceMin": _reduce_min,
}
