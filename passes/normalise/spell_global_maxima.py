"""Global maxima off pictures, as maxima over axes."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import Names, graph_pass, nodes_of

#: Rank of a batch of pictures (N, C, H, W), on which every runtime has a global maximum.
PICTURES = 4


@graph_pass
def spell_global_maxima(graph: gs.Graph) -> gs.Graph:
    """Write ``GlobalMaxPool`` on traces and volumes as ``ReduceMax`` over the axes behind the channels.

    The two are one function, but NumPy runtimes are known to take the wrong axes for the former: onnx.reference takes the last
    two of any tensor. On pictures, and where the rank is unknown, the node stays.
    """
    names = Names(graph)
    for node in nodes_of(graph, "GlobalMaxPool"):
        shape = node.inputs[0].shape
        if shape is not None and len(shape) != PICTURES:
            axes = make_constant(names, f"{node.name}/axes", np.arange(2, len(shape), dtype=np.int64))
            node.op = "ReduceMax"
            node.inputs = [node.inputs[0], axes]
            node.attrs["keepdims"] = 1
    return graph
