"""Quantisers that give back what they are given: exporters write one behind each move."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.activations.tabulate import unchanged
from onnx2snn.graph.core import graph_pass, replace_uses


@graph_pass
def drop_requantisers(graph: gs.Graph) -> gs.Graph:
    """What reads a quantiser that changes nothing, behind a move or a maximum, reads what it read.

        z ─▶ Q ─▶ Flatten ─▶ Q ─▶ a      becomes      z ─▶ Q ─▶ Flatten ─▶ a

    1. Some level of the first changes in the second (its own operators are run): it stays.
    """
    for quantiser in unchanged(graph, recognise_checked(graph)):
        replace_uses(graph, quantiser.output, quantiser.root)
    return graph
