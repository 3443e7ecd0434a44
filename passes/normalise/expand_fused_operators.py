"""onnxruntime's own operators as those of ONNX."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Names, graph_pass
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.operators.spelled.microsoft import activations, attention, normalisations, products, rotation
from onnx2snn.operators.spelled.microsoft.definition import Definition, Operands

_FAMILIES = (activations, attention, normalisations, products, rotation)
#: Definitions, by operator.
DEFINITIONS: Mapping[str, Definition] = {
    name: write for family in _FAMILIES for name, write in family.DEFINITIONS.items()
}


@graph_pass
def expand_fused_operators(graph: gs.Graph) -> gs.Graph:
    """Write onnxruntime's own operators in those of ONNX, by their definitions.

        FusedConv(x, w, b, z)               becomes    Conv(x, w, b) ─▶ Add z ─▶ activation
        SkipLayerNormalization(x, y, γ, β)  becomes    Add(x, y) ─▶ LayerNormalization(γ, β)
        Attention(x, w, b)                  becomes    MatMul w ─▶ Add b ─▶ Split ─▶ MatMul ─▶ Softmax ─▶ MatMul

    1. A form of an operator that its definition does not cover (a past, a rank that is not known yet): the node stays, and
       is refused by name where it matters.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        write = DEFINITIONS.get(node.op) if node.domain == MICROSOFT else None
        if write is not None:
            write(Operands(graph, names, node))
    return graph
