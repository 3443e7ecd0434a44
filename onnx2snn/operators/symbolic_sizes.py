"""What a shape that is computed says, as far as that is known: numbers, and the name of an unknown size."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import is_constant, producer_of, value_of
from onnx2snn.operators.table import Entries, of


def spelled_sizes(tensor: gs.Tensor) -> Entries | None:
    """The entries of ``tensor``, a vector of sizes: what ``Shape``, ``Gather``, ``Slice``, ``Concat`` leave of them.

    Shape(x: [batch, 3, 8, 8]) ─▶ Gather(0) ─▶ Unsqueeze ─▶ Concat(·, [-1])      says      ["batch", -1]
    """
    if is_constant(tensor):
        values = value_of(tensor).reshape(-1)
        kind = values.dtype.kind
        whole = kind in "iub" or (kind == "f" and bool(np.isfinite(values).all() and not (values % 1).any()))
        return [int(value) for value in values] if whole else None
    node = producer_of(tensor)
    rule = None if node is None else of(node).entries
    return None if node is None or rule is None else rule(node, spelled_sizes)
