"""Operators that change nothing: adding zero, multiplying by one, writing again what they read."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import Kind
from onnx2snn.graph.core import constant_input, graph_pass, replace_uses, signals
from onnx2snn.operators import of


@graph_pass
def drop_neutral(graph: gs.Graph) -> gs.Graph:
    """Remove ``x + 0``, ``x − 0``, ``x·1``, ``x/1``, ``Identity``; ``0 − x`` becomes ``Neg``.

    Trains only: on analog values ``x + 0`` turns −0.0 into 0.0, and a lossless converter changes no bit without need.
    A constant that widens the shape stays. Tools that optimise files would remove what is left of these, and rename trains.
    """
    kinds = facts(graph).kinds
    for node in list(graph.nodes):
        neutral, passes = of(node).neutral, of(node).passes
        read = signals(node)
        if len(read) != 1 or kinds.get(id(node.outputs[0])) is not Kind.TRAIN:
            continue
        if passes is not None and passes(node) is read[0]:
            replace_uses(graph, node.outputs[0], read[0])
            continue
        if neutral is None:
            continue
        constants = [c for i in range(len(node.inputs)) if (c := constant_input(node, i)) is not None]
        if not all(np.all(c == neutral) for c in constants) or read[0].shape != node.outputs[0].shape:
            continue
        if any(node.inputs[i] is read[0] for i in of(node).subtracts):
            node.op = "Neg"
            node.inputs = [read[0]]
            continue
        replace_uses(graph, node.outputs[0], read[0])
    return graph
