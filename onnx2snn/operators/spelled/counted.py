"""How many of several comparisons hold, as the sum of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import ORIGIN, is_constant, producer_of, signals, value_of
from onnx2snn.operators.conditions import axes_of, rank_of
from onnx2snn.operators.table import of

#: Comparisons of one entry, at most.
_MOST = 1 << 10


def as_steps(spelling: Spelling, node: gs.Node) -> None:
    """A count along an axis that constants alone have, without that axis: then it is a function of each entry.

        x [N, C] ─▶ Greater b [J, 1, 1] ─▶ Cast ─▶ ReduceSum axis 0      becomes      Cast(x > b_1) + … + Cast(x > b_J)

    So exporters write in which of several intervals a value lies (``torch.bucketize``).

    1. What it adds up is no truth as a number, the axis is one of the signal's own, or constants widen it along others: the
       node stays.
    """
    counted, axes = node.inputs[0], axes_of(node)
    if axes is None or len(axes) != 1:
        return
    axis = axes[0] - rank_of(counted)
    number = counted.shape[axis]
    chain = _chain(counted, axis)
    if chain is None or not isinstance(number, (int, np.integer)) or not 1 <= number <= _MOST:
        return
    root, nodes = chain
    if _sizes_without(root, axis) != _sizes_without(counted, axis):
        return
    x, output, kind = _without(spelling, root, axis), node.outputs[0], counted.dtype
    steps = [_step(spelling, x, nodes, (axis, place)) for place in range(int(number))]
    total = steps[0]
    for step in steps[1:]:
        total = spelling.apply("Add", total, step)
        total.dtype = kind
    node.outputs = []
    if node.attrs.get("keepdims", 1):
        spelling.apply("Unsqueeze", total, np.array([axis], np.int64), output=output).dtype = kind
    else:
        spelling.apply("Identity", total, output=output).dtype = kind


def _chain(counted: gs.Tensor, axis: int) -> tuple[gs.Tensor, list[gs.Node]] | None:
    """What has no such axis, or one entry along it, and the operators that make numbers of truths of it, in order."""
    tensor, nodes, single = counted, list[gs.Node](), counted.shape[axis] == 1
    while rank_of(tensor) >= -axis:
        maker, found = producer_of(tensor), tensor.shape[axis] == 1
        read = _entries_read(maker)
        if found and nodes and not (single and read is not None):
            break
        if maker is None or read is None or (not nodes and read.dtype != np.bool_):
            return None
        nodes.insert(0, maker)
        tensor = read
    return tensor, nodes


def _entries_read(maker: gs.Node | None) -> gs.Tensor | None:
    """The one signal of which ``maker`` makes something, entry by entry; None of others."""
    if maker is None or maker.domain or not of(maker).elementwise or len(maker.outputs) != 1:
        return None
    read = {id(t): t for t in signals(maker)}
    only = next(iter(read.values())) if len(read) == 1 else None
    return None if only is None or only.shape is None else only


def _sizes_without(tensor: gs.Tensor, axis: int) -> list[int | str]:
    return [size for place, size in enumerate(tensor.shape) if place != rank_of(tensor) + axis]


def _without(spelling: Spelling, root: gs.Tensor, axis: int) -> gs.Tensor:
    """``root`` without the axis along which it has one entry."""
    if rank_of(root) < -axis:
        return root
    sizes = _sizes_without(root, axis)
    squeezed = spelling.apply("Squeeze", root, np.array([axis], np.int64), sizes=sizes)
    squeezed.dtype = root.dtype
    return squeezed


def _step(spelling: Spelling, x: gs.Tensor, nodes: list[gs.Node], at: tuple[int, int]) -> gs.Tensor:
    """What ``nodes`` make of ``x`` at one place along the axis."""
    made = x
    for node in nodes:
        read: list[Any] = [_entry(t, at) if is_constant(t) else made for t in node.inputs]
        attrs = {name: value for name, value in node.attrs.items() if name != ORIGIN}
        made = spelling.apply(node.op, *read, sizes=x.shape, **attrs)
        made.dtype = node.outputs[0].dtype
    return made


def _entry(constant: gs.Constant, at: tuple[int, int]) -> Any:
    values, (axis, place) = value_of(constant), at
    if values.ndim < -axis:
        return values
    return np.take(values, place if values.shape[axis] > 1 else 0, axis=axis)
