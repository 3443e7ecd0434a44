"""Quantisers: what their nodes say of themselves."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import constant_input

#: What QONNX, Brevitas and FINN call the domain.
QONNX = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")


def mixes_signs(node: gs.Node) -> bool:
    """Whether some channels of a quantiser have one bit with a sign (−s or s), and others more: two rules in one node."""
    bits = (
        constant_input(node, 3) if node.op in ("Quant", "IntQuant") and node.attrs.get("signed", 1) else None
    )
    return bits is not None and bool(np.any(bits == 1)) and not bool(np.all(bits == 1))
