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

        Compress(x, mask)        becomes    x ─▶ Gather the places that the mask names
        ReduceMin(x)             becomes    x ─▶ Neg ─▶ ReduceMax ─▶ Neg

    1. The mask is not constant: the node stays.
    2. A Compress without an axis flattens the batch: it stays.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        handler = None if node.domain else HANDLERS.get(node.op)
        if handler is not None:
            handler(Spelling(graph, names, node), node)
    return graph


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
    "Compress": _compress,
    "ReduceMin": _reduce_min,
}
