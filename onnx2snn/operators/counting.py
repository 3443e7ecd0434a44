"""What each linear operator becomes where spikes are counted: its matrix, a one wherever that is not zero (METHOD 7).

Each rule writes nodes that map the counts of what an operator reads to the counts of what it makes. A test holds every
rule to the operator's own matrix, value by value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

if TYPE_CHECKING:
    from onnx2snn.dialect.synops import Count


def weighted(count: Count, node: onnx.NodeProto) -> list[str]:
    """The operator itself, a one for each weight that is not zero."""
    inputs = [count.counts(name) or _synapses(count, name) for name in node.input[:2]]
    attributes = {k: v for k, v in count.attributes(node).items() if k not in ("alpha", "beta")}
    return [count.add(node.op_type, inputs, **attributes)]


def _synapses(count: Count, name: str) -> str:
    """Ones where there is a synapse: weights that are not zero, and every entry of a held potential."""
    if count.is_constant(name):
        return count.nonzero(name)
    shape = [1, *count.shape(name)[1:]]
    if None not in shape:
        return count.constant(np.ones([size or 1 for size in shape], np.float32))
    sizes = count.add("Concat", [count.constant(np.array([1])), count.add("Shape", [name], start=1)], axis=0)
    return count.add("ConstantOfShape", [sizes], value=numpy_helper.from_array(np.ones(1, np.float32)))


def spread(count: Count, node: onnx.NodeProto) -> list[str]:
    """Value by value."""
    return [_spread(count, node, count.counted(node)[0])]


def masked(count: Count, node: onnx.NodeProto) -> list[str]:
    """Value by value, but for factors that are zero."""
    constants = [name for name in node.input if count.is_constant(name)]
    if not constants:
        return spread(count, node)
    return [count.add("Mul", [count.counted(node)[0], count.nonzero(constants[0])])]


def batch_norm(count: Count, node: onnx.NodeProto) -> list[str]:
    """A factor by channel."""
    column = [-1] + [1] * (len(count.shape(node.output[0])) - 2)
    factors = count.add("Reshape", [count.nonzero(node.input[1]), count.constant(np.array(column))])
    return [count.add("Mul", [count.counted(node)[0], factors])]


def summed(count: Count, node: onnx.NodeProto) -> list[str]:
    """All that arrives."""
    return [_spread(count, node, count.add("Sum", count.counted(node)))]


def where(count: Count, node: onnx.NodeProto) -> list[str]:
    """What is chosen from elsewhere is silent here."""
    silent = count.constant(np.zeros(1, np.float32))
    chosen = [count.counts(name) or silent for name in node.input[1:]]
    return [_spread(count, node, count.add("Where", [node.input[0], *chosen]))]


def _spread(count: Count, node: onnx.NodeProto, counts: str) -> str:
    """Counts in the shape of the operator's result: what is broadcast arrives at several places."""
    shape = count.shape(node.output[0])
    read = [count.shape(name) for name in node.input if count.counts(name)]
    if all(before[1:] == shape[1:] and None not in shape[1:] for before in read):
        return counts
    if None not in shape[1:]:
        return count.add("Expand", [counts, count.constant(np.array([1, *shape[1:]], np.int64))])
    others = [n for n in node.input if n and not count.is_constant(n) and not count.counts(n)]
    silent = count.constant(np.zeros(1, np.float32))
    ones = [_synapses(count, name) if count.is_held(name) else count.sized_like(name) for name in others]
    sizes = [count.add("Mul", [name, silent]) for name in ones]
    return count.add("Sum", [counts, *sizes]) if sizes else counts


def average_pool(count: Count, node: onnx.NodeProto) -> list[str]:
    """The sum over each window: its average, padding counted, times its cells.

    1. Windows that reach over the end (``ceil_mode``) are divided by what they cover there: zeros are put behind the end, and
       windows of nothing else are taken off again.
    """
    attributes, counts = count.attributes(node), count.counted(node)[0]
    cells = float(np.prod(attributes["kernel_shape"]))
    attributes["count_include_pad"] = 1
    over = bool(attributes.pop("ceil_mode", 0))
    if over:
        counts = _padded_for(count, counts, attributes)
    mean = count.add("AveragePool", [counts], **attributes)
    whole = count.add("Mul", [mean, count.constant(np.array([cells], np.float32))])
    total = count.add("Round", [whole])
    return [_cut_for(count, node, total) if over else total]


def _padded_for(count: Count, counts: str, attributes: dict[str, Any]) -> str:
    """Padding, of at least a window more behind the end."""
    dims = len(attributes["kernel_shape"])
    strides = attributes.get("strides") or [1] * dims
    pads = np.array(attributes.pop("pads", None) or [0] * 2 * dims).reshape(2, dims)
    pads[1] += np.array(strides) - 1
    whole = np.concatenate([np.zeros((2, 2), np.int64), pads], axis=1)
    return count.add("Pad", [counts, count.constant(whole.ravel())])


def _cut_for(count: Count, node: onnx.NodeProto, total: str) -> str:
    """The places that the pool has: those of the maximum over the same windows."""
    attributes = {k: v for k, v in count.attributes(node).items() if k != "count_include_pad"}
    shape = count.add("Shape", [count.add("MaxPool", count.counted(node), **attributes)], start=2)
    dims = len(attributes["kernel_shape"])
    first, axes = (count.constant(v) for v in (np.zeros(dims, np.int64), np.arange(2, 2 + dims)))
    return count.add("Slice", [total, first, shape, axes])


def global_average_pool(count: Count, node: onnx.NodeProto) -> list[str]:
    """The sum of each channel."""
    axes = np.arange(2, len(count.shape(node.input[0])))
    return [count.add("ReduceSum", [*count.counted(node), count.constant(axes)], keepdims=1)]


def reduce(count: Count, node: onnx.NodeProto) -> list[str]:
    """The sum along the same axes."""
    return [count.add("ReduceSum", [*count.counted(node), *node.input[1:]], **count.attributes(node))]


def concat(count: Count, node: onnx.NodeProto) -> list[str]:
    """Parts of other layers are silent here: padding where their sizes are known, else zeros of their size."""
    axis = int(count.attributes(node)["axis"]) % len(count.shape(node.output[0]))
    sizes = [count.shape(name)[axis] for name in node.input]
    if None not in sizes:
        return [_padded_apart(count, node, axis, [int(size or 0) for size in sizes])]
    none = count.constant(np.zeros(1, np.float32))
    parts = [count.counts(n) or count.add("Mul", [count.sized_like(n), none]) for n in node.input]
    return [count.add("Concat", parts, axis=axis)]


def _padded_apart(count: Count, node: onnx.NodeProto, axis: int, sizes: list[int]) -> str:
    parts = []
    for position, counts in enumerate(map(count.counts, node.input)):
        if counts is not None:
            pads = np.zeros((2, len(count.shape(node.output[0]))), np.int64)
            pads[:, axis] = sum(sizes[:position]), sum(sizes[position + 1 :])
            parts.append(count.add("Pad", [counts, count.constant(pads.ravel())]))
    return count.add("Sum", parts)


def same(count: Count, node: onnx.NodeProto) -> list[str]:
    """As many as before."""
    return count.counted(node)[:1]


def copy(count: Count, node: onnx.NodeProto) -> list[str]:
    """The operator itself."""
    return count.copy(node)


def pad(count: Count, node: onnx.NodeProto) -> list[str]:
    """Padded by no spikes, or by those of other places."""
    return count.copy(node, without=[2])


def resize(count: Count, node: onnx.NodeProto) -> list[str]:
    """Along one axis after the other.

    1. ``nearest`` takes each value from one place: the operator itself.
    2. ``linear`` and ``cubic`` weigh several: along each axis, the operator itself on the unit vectors gives its matrix.
    """
    if count.attributes(node).get("mode", b"nearest") == b"nearest":
        return count.copy(node)
    rank = len(count.shape(node.input[0]))
    axes = [int(a) % rank for a in count.attributes(node).get("axes", range(rank))]
    counts = count.counted(node)[0]
    for position, axis in enumerate(axes):
        before, after = (count.shape(name)[axis] for name in (node.input[0], node.output[0]))
        if axis and (before is None or before != after or _is_cropped(count, node)):
            matrix = _ones_along(count, node, axis, position)
            counts = _product_along(count, counts, matrix, axis, rank)
    return [counts]


def _is_cropped(count: Count, node: onnx.NodeProto) -> bool:
    return count.attributes(node).get("coordinate_transformation_mode") == b"tf_crop_and_resize"


def _ones_along(count: Count, node: onnx.NodeProto, axis: int, position: int) -> str:
    """(before, after): a one wherever a value along ``axis`` has a weight in another."""
    rank = len(count.shape(node.input[0]))
    number = count.add("Shape", count.counted(node)[:1], start=axis, end=axis + 1)
    one = [count.add("Squeeze", [number]), count.constant(np.array(0)), count.constant(np.array(1))]
    places = count.add("Range", [one[1], one[0], one[2]])
    column = count.add("Unsqueeze", [places, count.constant(np.array([1]))])
    unit = count.add("Cast", [count.add("Equal", [column, places])], to=onnx.TensorProto.FLOAT)
    shape = [1] * rank
    shape[0] = shape[axis] = -1
    others = count.constant(np.array([a for a in range(1, rank) if a != axis]))
    vectors = count.add("Unsqueeze", [unit, others]) if rank > 2 else unit
    attributes = {k: v for k, v in count.attributes(node).items() if k not in ("axes", "extrapolation_value")}
    resized = count.add("Resize", [vectors, *_parameters(count, node, axis, position, number)], **attributes)
    flat = count.add("Squeeze", [resized, others]) if rank > 2 else resized
    return count.nonzero(flat)


def _parameters(count: Count, node: onnx.NodeProto, axis: int, position: int, number: str) -> list[str]:
    """Region, scales and sizes of a ``Resize`` of unit vectors along ``axis`` alone."""
    rank = len(count.shape(node.input[0]))
    given = [*node.input[1:], "", "", ""][:3]
    axes = len(count.attributes(node).get("axes", range(rank)))

    def vector(*values: int) -> str:
        return count.constant(np.array(values))

    def alone(name: str, at: int, others: Any, first: int = 0) -> str:
        taken = count.add("Slice", [name, vector(at), vector(at + 1)])
        ones = [count.constant(np.full(n, others)) for n in (axis - first, rank - axis - 1)]
        return count.add("Concat", [ones[0], taken, ones[1]], axis=0)

    found = ["", "", ""]
    if given[0]:
        ends = [alone(given[0], position + end * axes, np.float32(end)) for end in (0, 1)]
        found[0] = count.add("Concat", ends, axis=0)
    if given[1]:
        found[1] = alone(given[1], position, np.float32(1))
    if given[2]:
        found[2] = count.add("Concat", [number, alone(given[2], position, np.int64(1), first=1)], axis=0)
    return found[: max(i for i, name in enumerate(found) if name) + 1]


def _product_along(count: Count, counts: str, matrix: str, axis: int, rank: int) -> str:
    order = [*(a for a in range(rank) if a != axis), axis]
    last = count.add("Transpose", [counts], perm=order)
    back = [order.index(a) for a in range(rank)]
    return count.add("Transpose", [count.add("MatMul", [last, matrix])], perm=back)
