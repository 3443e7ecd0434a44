"""What a dense layer reads turned, turned in front of it."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Names, graph_pass, is_constant, nodes_of
from onnx2snn.graph.mover import Mover

#: The attribute that turns the first operand.
_TURNED = "transA"


@graph_pass
def spell_turned_rows(graph: gs.Graph) -> gs.Graph:
    """Write ``Gemm`` of a turned signal as one behind a ``Transpose``, where moves are looked for.

        x ─▶ Transpose ─▶ Gemm<transA=1> ─▶ y     becomes     x ─▶ Transpose ─▶ Transpose ─▶ Gemm ─▶ y

    Everybody who asks a Gemm where it counts samples, and whether it is a layer, is told of rows.

    1. Its first operand is constant, or of unknown rank: the node stays.
    """
    names = Names(graph)
    for node in nodes_of(graph, "Gemm"):
        operand = node.inputs[0]
        if not node.attrs.get(_TURNED, 0) or is_constant(operand) or operand.shape is None:
            continue
        node.attrs[_TURNED] = 0
        node.inputs[0] = Mover(graph, names, node).transpose(operand, [1, 0])
    return graph
