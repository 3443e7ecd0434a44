"""Operators of a network on functions of bytes: evaluated for every byte, by the operators themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.byte_functions import ALL, CODES, ByteTensor, Function, bytes_of_sums, steps_of
from onnx2snn.compile.byte_rows import MOST, merged, of_rank
from onnx2snn.compile.draft import Array, Draft, is_dialect, is_neuron
from onnx2snn.compile.narrowed_search import rows_of_thresholds
from onnx2snn.compile.one_node import run_node
from onnx2snn.dialect.functions import HOLD, SCALED_IF
from onnx2snn.operators import of

#: Sums of so many bytes are looked at one by one, as long as there are no more numbers.
_PLACES, _NUMBERS = 1 << 9, 1 << 24


def evaluated(
    draft: Draft, node: onnx.NodeProto, read: Mapping[str, Function], channels: slice = ALL
) -> Function | None:
    """What ``node`` makes of functions of bytes, entry by entry, in these channels; None where it does not."""
    functions = [read[name] for name in node.input if name in read]
    bases = _bases(functions)
    if (
        any(function.offsets is not None for function in functions)
        or bases is None
        or not _keeps_sizes(draft, node, functions, channels)
    ):
        return None
    summed = {read[name].summed for name in node.input if name in read}
    if len(summed) != 1:
        return None
    found = [
        (_against(read[n], bases), read[n].rows)
        if n in read
        else _constant(draft, n, channels, bases[0].sizes)
        for n in node.input
    ]
    parts = [one for one in found if one is not None]
    together = merged([rows for _, rows in parts]) if len(parts) == len(found) else None
    if together is None or (together[0] is not None and (len(bases) > 1 or summed != {0})):
        return None
    rows, picks = together
    arrays = [
        values[pick] if own is not None else values for (values, own), pick in zip(parts, picks, strict=True)
    ]
    values: Array | None = None
    if is_dialect(node, HOLD):
        values = arrays[0]
    elif is_dialect(node, "Integrate"):
        values = arrays[0] + arrays[1]
    elif of(node).elementwise and not node.domain and len(node.output) == 1:
        values = _run(draft, node, arrays)
    if values is None or values.dtype != np.float32:
        return None
    shape = np.broadcast_shapes(*(a.shape for a in arrays if a.size > 1))
    return Function(bases, np.broadcast_to(values, shape).copy(), summed.pop(), rows=rows)


def _bases(functions: Sequence[Function]) -> tuple[ByteTensor, ...] | None:
    found: list[ByteTensor] = []
    for function in functions:
        found += [base for base in function.bases if base not in found]
    return tuple(found) if 1 <= len(found) <= 2 else None


def _keeps_sizes(draft: Draft, node: onnx.NodeProto, functions: Sequence[Function], channels: slice) -> bool:
    """Whether each entry of the result is made of one entry of each base."""
    sizes = draft.sample_shape(node.output[0]) if node.output else None
    read = [one for function in functions for one in function.sizes]
    if sizes is not None and channels != ALL:
        sizes = (channels.stop - channels.start, *sizes[1:])
    if sizes is None or any(len(one) != len(sizes) for one in read):
        return False
    return sizes == tuple(max(along) for along in zip(*read, strict=True)) and all(
        size in (1, whole) for one in read for size, whole in zip(one, sizes, strict=True)
    )


def _against(function: Function, bases: Sequence[ByteTensor]) -> Array:
    """Its values as (256, 256) where there are two bases."""
    if len(bases) == 1 or len(function.bases) == 2:
        return function.values if tuple(function.bases) == tuple(bases) else function.values.T
    return function.values[:, None] if function.bases[0] == bases[0] else function.values[None, :]


def _constant(
    draft: Draft, name: str, channels: slice, sizes: tuple[int, ...]
) -> tuple[Array, NDArray[np.int64] | None] | None:
    """(a number, None) of a constant that is one in these channels, or (numbers by row, (R, 1); the row of each place)."""
    values = draft.value(name) if name else None
    if values is None or values.size == 0:
        return None
    held = _in_channels(values, channels, len(sizes))
    first = held.reshape(-1)[0]
    if held.size == 1 or np.all(held == first):
        return np.asarray(first, values.dtype), None
    every, inverse = np.unique(held, return_inverse=True)
    rows = of_rank(inverse.reshape(held.shape), len(sizes))
    if channels != ALL or rows is None or every.size * CODES > MOST:
        return None
    return every[:, None], rows


def _in_channels(values: Array, channels: slice, axes: int) -> Array:
    """The part of a constant, which broadcasts to samples of so many axes, that meets these channels."""
    axis = values.ndim - axes
    return values if axis < 0 or values.shape[axis] == 1 else values[(slice(None),) * axis + (channels,)]


def levels_of(
    draft: Draft, node: onnx.NodeProto, function: Function, channels: slice = ALL
) -> Function | None:
    """The levels of the neurons of these channels that read a function of one byte, by their own comparisons.

    None where they are scaled, or have too many thresholds of their own.
    """
    held = None if is_dialect(node, SCALED_IF) else rows_of_thresholds(draft, node)
    sizes = function.bases[0].sizes
    own = _constant(draft, node.input[1], channels, sizes)
    if held is None or own is None:
        return None
    here = _in_channels(held[1], channels, len(sizes))
    used, inverse = np.unique(here, return_inverse=True)
    at_row = of_rank(inverse.reshape(here.shape), len(sizes))
    if used.size > 1 and (at_row is None or channels != ALL or used.size * CODES > MOST):
        return None
    together = merged([function.rows, own[1], at_row if used.size > 1 else None])
    if together is None:
        return None
    rows, (first, second, third) = together
    v = function.values[first]
    bias = own[0][second] if own[1] is not None else own[0]
    v = np.asarray(v + bias if np.any(bias) else v)
    if rows is None:
        return Function(function.bases, _reached(held[0][used[0]], v))
    count = int(rows.max()) + 1
    v, tables = (np.broadcast_to(one, (count, one.shape[-1])) for one in (v, held[0][used][third]))
    values = np.stack([_reached(table, one) for table, one in zip(tables, v, strict=True)])
    return Function(function.bases, values, rows=rows)


def _reached(thresholds: Array, v: Array) -> NDArray[np.float32]:
    return np.searchsorted(thresholds, v, side="right").astype(np.float32)


def _run(draft: Draft, node: onnx.NodeProto, arrays: Sequence[Array]) -> Array | None:
    """A node of ONNX on these values."""
    names = [f"x{place}" for place in range(len(arrays))]
    other = onnx.NodeProto()
    other.CopyFrom(node)
    other.input[:], other.output[:] = names, ["y"]
    feeds = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in zip(names, arrays, strict=True)}
    try:
        return run_node(other, feeds, opsets=draft.opsets)
    except Exception:  # noqa: BLE001 - whatever a runtime refuses stays as it is
        return None


def copies_bytes(draft: Draft, node: onnx.NodeProto, sizes: tuple[int, ...]) -> bool:
    """Whether ``node`` only copies entries of its first input, samples of ``sizes``, in bytes as in float32: tried on numbers."""
    if of(node).copies is None:
        return False
    constants = {name: draft.value(name) for name in node.input[1:] if name}
    if any(values is None for values in constants.values()):
        return False
    other = onnx.NodeProto()
    other.CopyFrom(node)
    other.input[0] = "x"
    x = (np.arange(int(np.prod(sizes))) % (CODES - 1) + 1).reshape(1, *sizes)
    held = {name: values for name, values in constants.items() if values is not None}
    try:
        floats = run_node(other, {"x": x.astype(np.float32), **held}, opsets=draft.opsets)
        bytes_ = run_node(
            other, {"x": x.astype(np.uint8), **held}, kind=onnx.TensorProto.UINT8, opsets=draft.opsets
        )
    except Exception:  # noqa: BLE001 - whatever a runtime refuses stays as it is
        return False
    return bool(np.array_equal(floats, bytes_) and floats.min() > 0)


def evaluated_parts(
    draft: Draft, node: onnx.NodeProto, parts: Sequence[Function]
) -> tuple[Function, ...] | None:
    """What ``node`` makes of functions of bytes that lie beside each other along the channels; None where it does not of one."""
    made, first = [], 0
    for part in parts:
        channels = slice(first, first + part.bases[0].sizes[0])
        first = channels.stop
        if is_neuron(node):
            one = levels_of(draft, node, part, channels)
        else:
            one = evaluated(draft, node, {node.input[0]: part}, channels)
        if one is None:
            return None
        made.append(one)
    return tuple(made)


def averaged(draft: Draft, node: onnx.NodeProto, function: Function) -> Function | None:
    """The average of all places of each channel, as a function of the sum of their bytes; None where ``node`` takes none.

    It is what ``node`` answers to each sum, of bytes that differ by one at most.

    Args:
        draft: The network.
        node: An operator of it.
        function: What it reads, affine in its byte.
    """
    operator, sizes = of(node), draft.sample_shape(node.output[0])
    base = function.bases[0]
    count = int(np.prod(base.sizes[1:]))
    takes = operator.mean and operator.channels_second and not operator.windows and len(node.input) == 1
    if not takes or sizes != (base.sizes[0], *(1,) * (len(base.sizes) - 1)):
        return None
    if steps_of(function) is None or not 1 < count <= _PLACES or base.top * count * count > _NUMBERS:
        return None
    places = bytes_of_sums(base.top, count)
    other = onnx.NodeProto()
    other.CopyFrom(node)
    other.input[0], other.output[0] = "x", "y"
    found = run_node(
        other, {"x": function.values[places].reshape(-1, 1, *base.sizes[1:])}, opsets=draft.opsets
    )
    return Function((base,), found.reshape(-1), count)
