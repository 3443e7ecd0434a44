"""Synapses as 8-bit kernels read them: whole-number weights, and what bytes, sums and biases are of the potential."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.byte_trains import takes_largest
from onnx2snn.compile.draft import Draft, attributes, is_dialect, is_neuron
from onnx2snn.compile.narrowed_search import rows_of_thresholds
from onnx2snn.compile.one_node import run_node
from onnx2snn.dialect.functions import SCALED_IF
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution, is_reshape

Array = NDArray[np.float64]

_HIGHEST = 127
#: Roundings of float32 that a weight has gone through.
_NEAR = 2.0**-21
#: Weights of a row that rule out most numbers.
_FEW = 16
#: What may be left of a bias that is the same at all places, for rounding.
_BORDER = 2.0**-20


@dataclass(frozen=True)
class ByteLayer:
    """Synapses, and the neurons that read their potential alone.

    Attributes:
        node: The synapses.
        weights: Whole numbers, in the shape of the node's weights; of a matrix, (outputs, inputs).
        unit: What one of them is of the potential, by output channel (C,).
        whole: Weights of the node itself are these whole numbers.
        bias: What is added to the potential: (C,), or (C, ...) of one sample.
        pools: Maxima between synapses and neurons.
        inside: Names of all potentials.
        neurons: They.
        shifts: By neuron, how much smaller its bias is than that of the first: 0, or by channel (C, 1).
    """

    node: onnx.NodeProto
    weights: NDArray[np.int8]
    unit: Array
    whole: bool
    bias: Array
    pools: tuple[onnx.NodeProto, ...]
    inside: tuple[str, ...]
    neurons: tuple[onnx.NodeProto, ...]
    shifts: tuple[Array, ...]


def layer_of(draft: Draft, node: onnx.NodeProto) -> ByteLayer | None:
    """The layer of a node that has weights, if they are whole numbers and all that reads its potential are neurons."""
    weights = _weights(draft, node) if is_convolution(node) else matrix_of(draft, node)
    if weights is None:
        return None
    behind = _behind(draft, node)
    found = None if behind is None else whole_rows(weights.reshape(len(weights), -1))
    if found is None or behind is None:
        return None
    first = draft.value(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1, np.float32)
    channel = _channel_axis(draft, node)
    bias = None if first is None or channel is None else _by_channel(draft, node, first, behind, channel)
    if bias is None:
        return None
    rows, unit = found
    pools, inside, neurons = behind[1:]
    shifts = _shifts(draft, neurons)
    if shifts is None:
        return None
    whole = len(node.input) == 2 and bool(np.all(unit == 1))
    return ByteLayer(node, rows.reshape(weights.shape), unit, whole, bias, pools, inside, neurons, shifts)


def matrix_of(draft: Draft, node: onnx.NodeProto) -> NDArray[np.float32] | None:
    """The weights (outputs, inputs) of a MatMul or Gemm that does nothing else; None of another node."""
    weights, held = _weights(draft, node), attributes(node)
    plain = not held.get("transA", 0) and held.get("alpha", 1.0) == held.get("beta", 1.0) == 1.0
    if weights is None or weights.ndim != 2 or is_convolution(node) or not plain:
        return None
    return weights if held.get("transB", 0) else weights.T


def _weights(draft: Draft, node: onnx.NodeProto) -> NDArray[np.float32] | None:
    """The float32 weights of a node that has some."""
    weights = draft.value(node.input[1]) if of(node).weights and len(node.input) > 1 else None
    return weights if weights is not None and weights.dtype == np.float32 and weights.size else None


def _shifts(draft: Draft, neurons: tuple[onnx.NodeProto, ...]) -> tuple[Array, ...] | None:
    """See :class:`ByteLayer`; None where biases differ within a channel, or are not known."""
    own = [draft.value(neuron.input[1]) for neuron in neurons]
    found = []
    for bias in own:
        if bias is None or own[0] is None:
            return None
        apart = own[0].astype(np.float64) - bias
        if np.any(apart) and apart.size not in (1, max(apart.shape)):
            return None
        found.append(apart.reshape(-1, 1) if np.any(apart) else np.zeros(()))
    return tuple(found)


def whole_rows(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], Array] | None:
    """(n, unit by row): rows (C, M) that are whole numbers times a unit, but for roundings; |n| ≤ 127."""
    peaks = np.abs(rows).max(axis=1).astype(np.float64)
    if not np.all(np.isfinite(peaks)):
        return None
    if np.all(peaks <= _HIGHEST) and np.array_equal(rows, np.rint(rows)):
        return rows.astype(np.int8), np.ones(len(rows))
    safe = np.where(peaks > 0, peaks, 1.0)
    found, unit = np.zeros(rows.shape, np.int8), safe.copy()
    left = np.flatnonzero(peaks > 0)
    few = np.linspace(0, rows.shape[1] - 1, min(_FEW, rows.shape[1])).astype(int)
    for highest in range(_HIGHEST, 0, -1):
        fits = left[_are_whole(rows[left][:, few], safe[left] / highest)]
        fits = fits[_are_whole(rows[fits], safe[fits] / highest)]
        n = np.rint(rows[fits] / (safe[fits] / highest)[:, None]).astype(np.int64)
        # Of two grids the coarser: its unit may be a number of few bits.
        n //= np.gcd.reduce(n, axis=1, keepdims=True)
        found[fits] = n
        unit[fits] = (n * rows[fits].astype(np.float64)).sum(axis=1) / (n * n).sum(axis=1)
        left = np.setdiff1d(left, fits)
        if not left.size:
            return found, unit
    return None


def _are_whole(rows: NDArray[np.float32], unit: Array) -> NDArray[np.bool_]:
    back = np.rint(rows / unit[:, None]) * unit[:, None]
    return np.asarray(np.all(np.abs(back - rows) <= _NEAR * np.abs(rows), axis=1))


_Behind = tuple[
    list[tuple[NDArray[np.float32], bool]],
    tuple[onnx.NodeProto, ...],
    tuple[str, ...],
    tuple[onnx.NodeProto, ...],
]


def _behind(draft: Draft, node: onnx.NodeProto) -> _Behind | None:
    """(biases, and whether maxima come first; maxima, potentials, neurons); None where something else reads a potential."""
    biases: list[tuple[NDArray[np.float32], bool]] = []
    pools: list[onnx.NodeProto] = []
    name, sizes = node.output[0], draft.sample_shape(node.output[0])
    inside = [name]
    while name not in draft.outputs:
        readers = draft.readers(name)
        if readers and all(
            is_neuron(r) and r.input[0] == name and not is_dialect(r, SCALED_IF) for r in readers
        ):
            own = draft.value(readers[0].input[1])
            return (
                None
                if own is None
                else ([*biases, (own, bool(pools))], tuple(pools), tuple(inside), tuple(readers))
            )
        if len(readers) != 1 or len(readers[0].output) != 1:
            return None
        reader = readers[0]
        if is_dialect(reader, "Integrate"):
            bias = draft.value(reader.input[1])
            if bias is None:
                return None
            biases.append((bias, bool(pools)))
        elif takes_largest(reader) and (is_convolution(node) or draft.sample_shape(name) == sizes):
            pools.append(reader)
        elif pools or is_convolution(node) or not _keeps_channels(draft, reader):
            return None
        name = reader.output[0]
        inside.append(name)
    return None


def _keeps_channels(draft: Draft, node: onnx.NodeProto) -> bool:
    """Whether ``node`` gives its entries other sizes, and leaves those of the last axis beside each other."""
    before, after = (draft.sample_shape(name) for name in (node.input[0], node.output[0]))
    return is_reshape(node) and bool(before) and bool(after) and (before or ())[-1] == (after or ())[-1]


def _channel_axis(draft: Draft, node: onnx.NodeProto) -> int | None:
    """Of one sample of the potential: the first of a convolution, the last of a matrix."""
    shape = draft.sample_shape(node.output[0])
    if not shape:
        return None
    return 0 if is_convolution(node) else len(shape) - 1


def _by_channel(
    draft: Draft, node: onnx.NodeProto, first: NDArray[np.float32], behind: _Behind, channel: int
) -> Array | None:
    """The sum of biases, channels first: (C,), or (C, ...) where places of a channel differ."""
    shape = draft.sample_shape(node.output[0])
    if shape is None:
        return None
    total = np.broadcast_to(first.astype(np.float64).reshape(-1), (shape[channel],)).copy()
    for bias, pooled in behind[0]:
        held = bias.astype(np.float64)
        held = held.reshape((1,) * (len(shape) - held.ndim) + held.shape)
        if held.ndim != len(shape):
            return None
        moved = np.moveaxis(held, channel, 0)
        apart = moved.reshape(len(moved), -1)
        if apart.shape[1] > 1 and not pooled and total.ndim == 1:
            total = total.reshape((-1,) + (1,) * (moved.ndim - 1)) + moved
        elif apart.shape[1] == 1:
            total = total + apart[:, 0].reshape((-1,) + (1,) * (total.ndim - 1))
        else:
            return None
    return np.asarray(total, np.float64)


def bias_without_borders(
    draft: Draft, layer: ByteLayer, step: float, offsets: NDArray[np.float64] | None
) -> tuple[int, Array] | None:
    """(zero, bias by channel): what a bias takes back at borders alone is a zero of the bytes.

    Args:
        draft: The network.
        layer: Its synapses.
        step: What a byte is of a value.
        offsets: What each place of the values adds to its bytes, with as many axes as a sample; None: nothing.
    """
    bias = layer.bias
    if offsets is not None:
        added = _of_constant(draft, layer, offsets)
        if added is None:
            return None
        bias = bias.reshape((-1,) + (1,) * (added.ndim - bias.ndim) if bias.ndim == 1 else bias.shape) + added
    flat = bias.reshape(len(bias), -1)
    near = _BORDER * np.abs(flat).max(axis=1)
    if np.all(np.ptp(flat, axis=1) <= near):
        return 0, flat.mean(axis=1)
    inside = _of_constant(draft, layer, None)
    if inside is None:
        return None
    sums = np.broadcast_to(inside * step, np.broadcast_shapes(inside.shape, bias.shape)).reshape(
        len(bias), -1
    )
    flat = np.broadcast_to(bias, np.broadcast_shapes(inside.shape, bias.shape)).reshape(len(bias), -1)
    row = int(np.argmax(np.ptp(sums, axis=1)))
    high, low = int(np.argmax(sums[row])), int(np.argmin(sums[row]))
    if sums[row, high] == sums[row, low]:
        return None
    zero = int(np.rint((flat[row, low] - flat[row, high]) / (sums[row, high] - sums[row, low])))
    own = flat + zero * sums
    return None if np.any(np.ptp(own, axis=1) > near) else (zero, own.mean(axis=1))


def _of_constant(draft: Draft, layer: ByteLayer, values: NDArray[np.float64] | None) -> Array | None:
    """The potential where each channel holds one value everywhere, ones where none is given; (C, ...) of one sample."""
    shape = draft.sample_shape(layer.node.input[0])
    if shape is None:
        return None
    if not is_convolution(layer.node):
        if values is None or values.size > values.shape[-1]:  # rows differ
            return None
        return np.asarray(layer.weights @ values.reshape(-1) * layer.unit)
    held = np.ones(1) if values is None else values
    node = onnx.NodeProto()
    node.CopyFrom(layer.node)
    node.input[:], node.output[:] = ["x", "w"], ["y"]
    x = np.broadcast_to(held, shape)[None]
    feeds = {"x": x.astype(np.float32), "w": layer.weights.astype(np.float32)}
    found = run_node(node, feeds, opsets=draft.opsets)[0].astype(np.float64)
    return np.asarray(found * layer.unit.reshape((-1,) + (1,) * (found.ndim - 1)))


def finite_thresholds(draft: Draft, neuron: onnx.NodeProto) -> Array | None:
    """Thresholds of a neuron: (J,), or (C, J) of one whose channels have their own; None where they are not known."""
    held = None if is_dialect(neuron, SCALED_IF) else rows_of_thresholds(draft, neuron)
    if held is None:
        return None
    table, at_row = held
    finite = np.isfinite(table)
    known = int(finite.sum(axis=1)[0])
    if known == 0 or not np.all(finite[:, :known]) or np.any(finite[:, known:]):
        return None
    if len(table) == 1:
        return np.asarray(table[0, :known], np.float64)
    sizes = at_row.reshape(-1)
    sample = draft.sample_shape(neuron.input[0]) or ()
    longest = [size for size in at_row.shape if size > 1]
    if len(longest) != 1 or longest[0] not in sample:
        return None
    return np.asarray(table[sizes, :known], np.float64)
