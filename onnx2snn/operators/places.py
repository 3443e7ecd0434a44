"""What belongs to each entry of a tensor (a scale, a bound, a unit), behind an operator that moves, copies or compares entries.

It is an array of one sample's rank, with a batch axis of 1, and of size 1 along every axis along which nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, constant_input
from onnx2snn.operators.conditions import axes_of
from onnx2snn.operators.table import of

Sizes: TypeAlias = Sequence["int | str"]


def compact(values: Array, *, first: int = 0) -> Array:
    """Size 1 along every axis, from the ``first`` on, along which nothing changes."""
    for axis in range(first, values.ndim):
        one = np.take(values, [0], axis=axis)
        if values.shape[axis] > 1 and np.array_equal(np.broadcast_to(one, values.shape), values):
            values = one
    return values


def arriving(node: gs.Node, values: Array) -> Array | None:
    """What arrives behind ``node`` of ``values``, of any type; None where entries of different values come together.

    Args:
        node: An operator of one signal, which copies, compares or averages entries of each sample.
        values: Shape (), or of the rank of what it reads, with a batch axis of 1.

    Returns:
        Shape (), or of the rank of what it writes. One value is that of every entry.
    """
    if values.size == 1:
        return values.reshape(())
    rule = of(node).places
    if rule is None or node.inputs[0].shape is None or node.outputs[0].shape is None:
        return None
    return rule(node, values, node.inputs[0], node.outputs[0])


def joined(node: gs.Node, parts: list[Array]) -> Array | None:
    """What arrives behind a Concat of entries to which ``parts`` belong, each as for :func:`arriving`."""
    shapes = [t.shape for t in node.inputs]
    axis = int(node.attrs["axis"]) % len(shapes[0])
    sizes = [shape[axis] for shape in shapes]
    if not all(isinstance(size, (int, np.integer)) for size in sizes):
        return None
    ranked = [part.reshape((1,) * (len(shapes[0]) - part.ndim) + part.shape) for part in parts]
    common = np.broadcast_shapes(*((*part.shape[:axis], 1, *part.shape[axis + 1 :]) for part in ranked))
    spread = [
        np.broadcast_to(part, (*common[:axis], size, *common[axis + 1 :]))
        for part, size in zip(ranked, sizes, strict=True)
    ]
    whole = compact(np.concatenate(spread, axis=axis))
    return whole.reshape(()) if whole.size == 1 else whole


def same(_node: gs.Node, values: Array, _here: gs.Tensor, _there: gs.Tensor) -> Array:
    """Every entry stays where it is."""
    return values


def alike(_node: gs.Node, values: Array, _here: gs.Tensor, there: gs.Tensor) -> Array | None:
    """One value is that of every entry; others mix."""
    return values.reshape((1,) * len(there.shape)) if values.size == 1 else None


def turned(node: gs.Node, values: Array, here: gs.Tensor, there: gs.Tensor) -> Array | None:
    """A Transpose turns it, or turns it back."""
    if values.size == 1:
        return alike(node, values, here, there)
    order = node.attrs["perm"]
    return np.transpose(values, order if there is node.outputs[0] else np.argsort(order))


def regrouped(node: gs.Node, values: Array, here: gs.Tensor, there: gs.Tensor) -> Array | None:
    """A Reshape and its like: spread out, and gathered again."""
    if values.size == 1:
        return alike(node, values, here, there)
    before, after = here.shape[1:], there.shape[1:]
    if not all(isinstance(size, (int, np.integer)) for size in (*before, *after)):
        return None
    sizes = [[1, *(int(size) for size in side)] for side in (before, after)]
    if math.prod(sizes[0]) != math.prod(sizes[1]):
        return None  # a sample's rows lie in the batch on one side
    return compact(np.broadcast_to(values, sizes[0]).reshape(sizes[1]))


def by_channel(node: gs.Node, values: Array, here: gs.Tensor, there: gs.Tensor) -> Array | None:
    """One value a channel, past operators that keep channels apart."""
    if values.size == 1:
        return alike(node, values, here, there)
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if values.ndim < 2 or values.size != values.shape[1] or len(before) < 2 or len(after) < 2:
        return None
    kept = before[1] == after[1] and _leaves_channels(node)
    return values.reshape(values.shape[:2] + (1,) * (len(there.shape) - 2)) if kept else None


def _leaves_channels(node: gs.Node) -> bool:
    """Whether the axes that it works along lie behind the channels, where it names some."""
    if of(node).axes is None:
        return True
    axes = axes_of(node)
    return axes is not None and min(axes, default=0) > 1


def padded(node: gs.Node, values: Array, here: gs.Tensor, there: gs.Tensor) -> Array | None:
    """As :func:`by_channel`, where nothing is put beside channels."""
    pads, rank = constant_input(node, 1), len(node.inputs[0].shape)
    listed = constant_input(node, 3)
    at = 1 if listed is None else next((i for i, a in enumerate(listed) if int(a) % rank == 1), rank)
    if values.size > 1 and (pads is None or np.any(pads[at :: len(pads) // 2])):
        return None
    return by_channel(node, values, here, there)
