"""What belongs to each entry of a tensor (a bound, a unit, an offset), behind an operator that copies or compares entries."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array
from onnx2snn.operators.linear import ORDER_PRESERVING, axes_of
from onnx2snn.operators.scales import compact

#: What is behind them on a channel comes from that channel.
_BY_CHANNEL = (
    *("AveragePool", "Expand", "GlobalAveragePool", "Identity", "Pad", "ReduceMean", "Resize", "Slice"),
    *ORDER_PRESERVING,
)
_MOVES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


def arriving(node: gs.Node, values: Array) -> Array | None:
    """What arrives behind ``node`` of ``values``, of any type; None where entries of different values come together.

    Args:
        node: An operator of one signal, which copies, compares or averages entries of each sample.
        values: Shape (), or of the rank of what it reads, with a batch axis of 1.

    Returns:
        Shape (), or of the rank of what it writes:

        1. One value is that of every entry.
        2. A Transpose turns it.
        3. One value a channel: past operators that keep channels apart.
        4. A Reshape and its like: spread out, and gathered again.
    """
    if values.size == 1:
        return values.reshape(())
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if before is None or after is None:
        return None
    if node.op == "Transpose":
        return np.transpose(values, node.attrs["perm"])
    if node.op in _BY_CHANNEL and _is_by_channel(node, values):
        return values.reshape(values.shape[:2] + (1,) * (len(after) - 2))
    return _moved(values, before, after) if node.op in _MOVES else None


def _is_by_channel(node: gs.Node, values: Array) -> bool:
    """Whether ``values`` differ along axis 1 alone, and that comes out as it went in."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if len(after) < 2 or values.size != values.shape[1] or before[1] != after[1]:
        return False
    if node.op not in ("ReduceMax", "ReduceMean", "Slice"):
        return True
    axes = axes_of(node, 3 if node.op == "Slice" else 1)
    return axes is not None and min(axes) > 1


def _moved(values: Array, before: list[int | str], after: list[int | str]) -> Array | None:
    sizes = [size for size in (*before[1:], *after[1:]) if isinstance(size, (int, np.integer))]
    if len(sizes) < len(before) + len(after) - 2:
        return None
    full = np.broadcast_to(values, (1, *sizes[: len(before) - 1]))
    return compact(full.reshape((1, *sizes[len(before) - 1 :])))


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
