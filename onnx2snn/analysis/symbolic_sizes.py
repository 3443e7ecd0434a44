"""What a shape that is computed says, as far as that is known: numbers, and the name of an unknown size."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, constant_input, is_constant, producer_of, value_of

#: A number, the name of a size that is not known before the run, or None where nothing is known.
Entry: TypeAlias = "int | str | None"

_SAME_ENTRIES = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze")


def spelled_sizes(tensor: gs.Tensor) -> list[Entry] | None:
    """The entries of ``tensor``, a vector of sizes: what ``Shape``, ``Gather``, ``Slice``, ``Concat`` leave of them.

    Shape(x: [batch, 3, 8, 8]) ─▶ Gather(0) ─▶ Unsqueeze ─▶ Concat(·, [-1])      says      ["batch", -1]

    Parts of a ``Concat`` that are computed otherwise are as many unknown entries.
    """
    if is_constant(tensor):
        return [int(value) for value in value_of(tensor).reshape(-1)]
    node = producer_of(tensor)
    if node is None or node.domain:
        return None
    if node.op in _SAME_ENTRIES:
        return spelled_sizes(node.inputs[0])
    if node.op == "Concat":
        parts = [spelled_sizes(part) or _unknown(part) for part in node.inputs]
        return (
            None if any(p is None for p in parts) else [entry for p in parts if p is not None for entry in p]
        )
    if node.op == "Shape" and node.inputs[0].shape is not None:
        return list(node.inputs[0].shape)[slice(node.attrs.get("start", 0), node.attrs.get("end"))]
    if node.op in ("Gather", "Slice"):
        source = spelled_sizes(node.inputs[0])
        taken = None if source is None else taken_entries(node, np.array(source, object))
        return None if taken is None else np.atleast_1d(taken).tolist()
    return None


def _unknown(tensor: gs.Tensor) -> list[Entry] | None:
    """As many unknown entries as ``tensor`` has; None where even that is not known."""
    if tensor.shape is None or len(tensor.shape) > 1:
        return None
    length = tensor.shape[0] if tensor.shape else 1
    return [None] * int(length) if isinstance(length, (int, np.integer)) else None


def taken_entries(node: gs.Node, entries: Array) -> Array | None:
    """What a ``Gather`` or ``Slice`` by constants takes of the vector ``entries``; None if that is not known."""
    constants = [constant_input(node, i) for i in range(1, len(node.inputs))]
    if node.domain or any(c is None for c in constants):
        return None
    if node.op == "Gather":
        index = np.asarray(constants[0])
        within = np.all((index >= -entries.size) & (index < entries.size))
        return np.asarray(entries[index], object) if within else None
    if node.op == "Slice":
        start, end = (int(np.asarray(c).reshape(-1)[0]) for c in constants[:2])
        step = int(np.asarray(constants[3]).reshape(-1)[0]) if len(constants) > 3 else 1
        return np.asarray(entries[slice(start, end, step)], object) if step > 0 else None
    return None
