"""Slices without the axes along which they take everything."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, make_constant, spells
from onnx2snn.graph.core import constant_input, replace_uses
from onnx2snn.operators.linear import axes_of

#: An end from here on is that of any axis.
_BEHIND = 2**31 - 1


@spells("Slice")
def narrow_slices(spelling: Spelling, node: gs.Node) -> None:
    """Name the axes of a Slice that it cuts, and no others: the batch is none that it mixes.

        x ─▶ Slice [0:∞, 8:16] along 0, 1 ─▶ y      becomes      x ─▶ Slice [8:16] along 1 ─▶ y

    1. From the first entry, to the end or beyond it, in steps of one: that is all there is.
    2. Of a Slice that cuts no axis readers read what it reads.
    """
    parts = _parts(node)
    if parts is None:
        return
    kept = [part for part in parts if not _is_all(node, *part)]
    if not kept:
        replace_uses(spelling.graph, node.outputs[0], node.inputs[0])
    elif len(kept) < len(parts):
        values = np.array(kept, np.int64).T
        read = [make_constant(spelling.names, f"{node.name}/cut", row) for row in values[[1, 2, 0, 3]]]
        node.inputs = [node.inputs[0], *read]


def _parts(node: gs.Node) -> list[tuple[int, int, int, int]] | None:
    """Axis, start, end and step of each part; None where they are not constant."""
    starts, ends = (constant_input(node, i) for i in (1, 2))
    axes = axes_of(node) if len(node.inputs) > 3 else None
    if axes is None and starts is not None and len(node.inputs) < 4:
        axes = list(range(starts.size))
    steps = constant_input(node, 4) if len(node.inputs) > 4 else np.ones(len(axes or ()), np.int64)
    if starts is None or ends is None or axes is None or steps is None:
        return None
    columns = (np.asarray(axes), *(values.reshape(-1) for values in (starts, ends, steps)))
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in zip(*columns, strict=True)]


def _is_all(node: gs.Node, axis: int, start: int, end: int, step: int) -> bool:
    """Case 1."""
    sizes = node.inputs[0].shape
    size = sizes[axis] if sizes is not None else None
    known = int(size) if isinstance(size, (int, np.integer)) else _BEHIND
    return step == 1 and start == 0 and end >= known
