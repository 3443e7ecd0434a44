"""What is bytes before any 8-bit kernel: levels of neurons, and whole numbers that a quantiser cuts."""

from __future__ import annotations

import numpy as np
import onnx

from onnx2snn.compile.draft import Draft, attributes, is_neuron
from onnx2snn.operators import of


def byte_top(draft: Draft, node: onnx.NodeProto) -> int | None:
    """The highest of the levels of a neuron, or of the whole numbers that ``node`` cuts to those of a byte."""
    if is_neuron(node):
        levels = int(attributes(node)["levels"])
        return levels if levels <= 255 else None
    if node.op_type != "Clip" or node.domain or len(node.input) != 3:
        return None
    low, high = (draft.value(name) for name in node.input[1:])
    if low is None or high is None or low.size * high.size != 1:
        return None
    if low != 0 or not 0 < high <= 255 or high != np.rint(high):
        return None
    return int(high.item()) if _is_whole(draft, node.input[0]) else None


def _is_whole(draft: Draft, name: str) -> bool:
    node = draft.producer(name)
    if node is None:
        values = draft.value(name)
        return values is not None and bool(np.all(values == np.rint(values)))
    if node.op_type in ("Round", "Floor", "Ceil"):
        return True
    return of(node).sums and all(_is_whole(draft, n) for n in node.input)
