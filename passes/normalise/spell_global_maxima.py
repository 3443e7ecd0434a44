"""Global maxima off pictures, as maxima over axes."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, make_constant, spells

#: Rank of a batch of pictures (N, C, H, W), on which every runtime has a global maximum.
PICTURES = 4


@spells("GlobalMaxPool")
def spell_global_maxima(spelling: Spelling, node: gs.Node) -> None:
    """Write ``GlobalMaxPool`` on traces and volumes as ``ReduceMax`` over the axes behind the channels.

    The two are one function, but NumPy runtimes are known to take the wrong axes for the former: onnx.reference takes the last
    two of any tensor. On pictures, and where the rank is unknown, the node stays.
    """
    shape = node.inputs[0].shape
    if shape is not None and len(shape) != PICTURES:
        axes = make_constant(spelling.names, f"{node.name}/axes", np.arange(2, len(shape), dtype=np.int64))
        node.op = "ReduceMax"
        node.inputs = [node.inputs[0], axes]
        node.attrs["keepdims"] = 1
