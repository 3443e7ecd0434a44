"""Constant selections, as picking."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, spells
from onnx2snn.graph.core import constant_input


@spells("Compress")
def spell_masks(spelling: Spelling, node: gs.Node) -> None:
    """Write what keeps a constant part of a tensor as picking.

        Compress(x, mask)        becomes    x ─▶ Gather the places that the mask names

    1. The mask is not constant: the node stays.
    2. A Compress without an axis flattens the batch: it stays.
    """
    mask, axis, output = constant_input(node, 1), node.attrs.get("axis"), node.outputs[0]
    if mask is None or axis is None:
        return
    node.outputs.clear()
    spelling.apply("Gather", node.inputs[0], np.flatnonzero(mask), output=output, axis=int(axis))
