"""Where operators carry the batch axis: the rules of the records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import constant_input, is_constant
from onnx2snn.operators.table import of

Sizes: TypeAlias = Sequence["int | str"]


def static(sizes: Sizes) -> bool:
    """Whether all sizes are numbers."""
    return all(isinstance(size, (int, np.integer)) for size in sizes)


def nowhere(_node: gs.Node, _read: gs.Tensor, _axis: int, _written: gs.Tensor) -> int | None:
    """No samples are left."""
    return None


def shown(node: gs.Node, read: gs.Tensor, axis: int, _: gs.Tensor) -> int | None:
    """Where the layout of a Transpose, a Squeeze or an Unsqueeze shows it."""
    rule = of(node).layout
    layout = None if rule is None or read is not node.inputs[0] else rule(node)
    return None if layout is None or axis not in layout else layout.index(axis)


def moved(_: gs.Node, read: gs.Tensor, axis: int, written: gs.Tensor) -> int | None:
    """A Reshape."""
    return regrouped(read.shape, axis, written.shape)


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


def reduced(node: gs.Node, read: gs.Tensor, axis: int, written: gs.Tensor) -> int | None:
    """A reduction: without axes, along all of them."""
    if node.attrs.get("keepdims", 1):
        return axis + len(written.shape) - len(read.shape)
    gone = _axes(node, len(read.shape))
    return _behind(axis, list(range(len(read.shape))) if gone is None else gone)


def gathered(node: gs.Node, read: gs.Tensor, axis: int, written: gs.Tensor) -> int | None:
    """A Gather: the axes of its indices take the place of one."""
    if read is not node.inputs[0]:
        return axis + len(written.shape) - len(read.shape)
    along = int(node.attrs.get("axis", 0)) % len(read.shape)
    added = len(node.inputs[1].shape or ()) - 1
    return None if along == axis else axis + (added if along < axis else 0)


def _behind(axis: int, gone: list[int]) -> int | None:
    return None if axis in gone else axis - sum(i < axis for i in gone)


def _axes(node: gs.Node, rank: int) -> list[int] | None:
    """Constant axes; none where they are computed."""
    given = constant_input(node, 1)
    computed = len(node.inputs) > 1 and not node.inputs[1].is_empty() and not is_constant(node.inputs[1])
    if given is None and computed:
        return []
    listed = node.attrs.get("axes") if given is None else given.reshape(-1).tolist()
    return None if not listed else [int(axis) % rank for axis in listed]
