"""Where the batch axis of each tensor is: on axis 0 of the inputs, and wherever operators carry it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import constant_input, is_constant

Sizes: TypeAlias = Sequence["int | str"]


def batch_axes(graph: gs.Graph) -> dict[str, int]:
    """By tensor name, the axis that counts samples; not there for constants, and where samples are mixed or unknown.

    The axis may count several entries a sample, sample by sample (N·S after a Reshape of [N, S, C] to [N·S, C]).
    Needs inferred shapes.
    """
    axes = {tensor.name: 0 for tensor in graph.inputs if tensor.shape}
    for node in graph.nodes:
        read = next((t for t in node.inputs if t.name in axes), None)
        if read is None or read.shape is None or node.domain:
            continue
        for tensor in node.outputs:
            axis = None if tensor.shape is None else carried(node, read, axes[read.name], tensor)
            if axis is not None and 0 <= axis < len(tensor.shape):
                axes[tensor.name] = axis
    return axes


def carried(node: gs.Node, read: gs.Tensor, axis: int, written: gs.Tensor) -> int | None:
    """The batch axis of ``written``, given that of ``read``."""
    rank = len(read.shape)
    if node.op in ("Shape", "Size"):
        return None
    if node.op == "Transpose":
        order = node.attrs.get("perm") or list(range(rank))[::-1]
        return int(list(order).index(axis))
    if node.op in ("Reshape", "Flatten"):
        return regrouped(read.shape, axis, written.shape)
    if node.op == "Unsqueeze":
        inserted = _axes(node, len(written.shape))
        return None if inserted is None else [i for i in range(len(written.shape)) if i not in inserted][axis]
    if node.op == "Squeeze" or (node.op.startswith("Reduce") and not node.attrs.get("keepdims", 1)):
        removed = _axes(node, rank)
        if removed is None:
            removed = (
                [i for i, size in enumerate(read.shape) if size == 1]
                if node.op == "Squeeze"
                else [*range(rank)]
            )
        return None if axis in removed else axis - sum(i < axis for i in removed)
    if node.op == "Gather" and read is node.inputs[0]:
        along = int(node.attrs.get("axis", 0)) % rank
        added = len(node.inputs[1].shape or ()) - 1
        return None if along == axis else axis + (added if along < axis else 0)
    return axis + len(written.shape) - rank


def regrouped(before: Sizes, axis: int, after: Sizes) -> int | None:
    """Where a Reshape moves the batch axis: behind as many entries as stood before it.

    >>> regrouped([4, 3, 8, 8], 0, [4, 192]), regrouped([3, 4, 8], 1, [3, 4, 2, 4])
    (0, 1)
    """
    if not static(before[:axis]):
        return None
    outer = math.prod(int(size) for size in before[:axis])
    passed = 1
    for position, size in enumerate(after):
        if passed == outer:
            return position
        if not isinstance(size, (int, np.integer)):
            return None
        passed *= int(size)
    return None


def static(sizes: Sizes) -> bool:
    """Whether all sizes are numbers."""
    return all(isinstance(size, (int, np.integer)) for size in sizes)


def _axes(node: gs.Node, rank: int) -> list[int] | None:
    given = constant_input(node, 1)
    if (
        given is None
        and len(node.inputs) > 1
        and not is_constant(node.inputs[1])
        and not node.inputs[1].is_empty()
    ):
        return []
    listed = node.attrs.get("axes") if given is None else given.reshape(-1).tolist()
    return None if not listed else [int(axis) % rank for axis in listed]
