"""Operators in the form in which all others are asked for what they are."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, graph_pass
from onnx2snn.operators import of


@graph_pass
def spell_operators(graph: gs.Graph) -> gs.Graph:
    """Write operators as their records spell them; shapes are known.

    Einsum(x, W)      becomes      x ─▶ Transpose ─▶ MatMul ─▶ Transpose
    """
    names = Names(graph)
    for node in list(graph.nodes):
        spell = of(node).spelled
        if spell is not None:
            spell(Spelling(graph, names, node), node)
    return graph
