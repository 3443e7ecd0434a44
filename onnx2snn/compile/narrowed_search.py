"""A table of thresholds in few operators, where levels flow instead of spikes: most of its search is one look-up.

A neuron with a table finds its level by a binary search, one threshold a time step (METHOD 11); one without subtracts, as often.
The level grows with the potential either way. Here potentials are cut into buckets of one width, a power of two, and a bucket
knows how many of the levels' thresholds lie below it and which lie within:

    b = floor((min(max(v, low), high) − low)·2^e);   p = below[b];   then the search among what b holds

With buckets as narrow as the closest thresholds one comparison is left. Buckets decide nothing, comparisons do: b grows with v,
rounded or not, a power of two scales without rounding, and what lies in a bucket is found by the same operations in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from onnx2snn.compile.coded_search import Rows
from onnx2snn.compile.draft import Array, Draft, Place, is_dialect
from onnx2snn.compile.thresholds import thresholds_of, timesteps_of
from onnx2snn.dialect.functions import TABLE_IF

#: More buckets of a row would not stay in a processor's nearest memory.
_BUCKETS = 4096
#: More rows would make a compiled file much larger.
_ROWS = 16
#: So many comparisons are faster than looking up.
FEW = 4
#: Nor are tables written down that have more thresholds than neurons of so many time steps.
_TIMESTEPS = 12
_INFINITY = np.float32(np.inf)


@dataclass(frozen=True)
class CountedThresholds:
    """A neuron of few levels: its level is how many thresholds its potential has reached.

    Attributes:
        thresholds: Of each level, broadcasts to a sample.
    """

    thresholds: tuple[Array, ...]

    def write(self, at: Place, v: str, output: str) -> None:
        """The level of ``v``."""
        reached = [
            at.add("Cast", [at.add("GreaterOrEqual", [v, at.constant(threshold)])], to=TensorProto.FLOAT)
            for threshold in self.thresholds
        ]
        k = reached[0]
        for one in reached[1:]:
            k = at.add("Add", [k, one])
        at.add("Identity", [k], output=output)


@dataclass(frozen=True)
class NarrowedSearch:
    """The table of a neuron, by bucket.

    Attributes:
        thresholds: Rows, each sorted, one after the other; (R,).
        starts: Where the row of each neuron starts, broadcasts to a sample.
        low: The lowest threshold that is finite, by row; broadcasts likewise.
        high: The highest.
        scale: 2^e.
        below: Where the search of a bucket starts among ``thresholds``; rows one after the other.
        first: The first bucket of the row of each neuron, broadcasts likewise.
        steps: How many comparisons are left.
    """

    thresholds: Array
    starts: NDArray[np.int32]
    low: Array
    high: Array
    scale: float
    below: NDArray[np.int32]
    first: NDArray[np.int32]
    steps: int

    def write(self, at: Place, v: str, output: str) -> None:
        """The level of ``v``; numbers that are none have reached nothing."""
        low = at.constant(self.low)
        inside = at.add("Where", [at.add("GreaterOrEqual", [v, low]), v, low])
        inside = at.add("Min", [inside, at.constant(self.high)])
        apart = at.add("Mul", [at.add("Sub", [inside, low]), at.constant(self.scale)])
        bucket = at.add("Cast", [apart], to=TensorProto.INT32)
        if np.any(self.first):
            bucket = at.add("Add", [bucket, at.constant(self.first, np.int32)])
        place = at.looked_up(at.constant(self.below, np.int32), at.flat(bucket))
        thresholds, flat = at.constant(self.thresholds), at.flat(v)
        for step in range(self.steps - 1, -1, -1):
            middle = place if step == 0 else at.add("Add", [place, at.constant(2**step - 1, np.int32)])
            threshold = at.looked_up(thresholds, middle)
            reached = at.add("Cast", [at.add("GreaterOrEqual", [flat, threshold])], to=TensorProto.INT32)
            if step:
                reached = at.add("Mul", [reached, at.constant(2**step, np.int32)])
            place = at.add("Add", [place, reached])
        place = at.shaped(place, v)
        if np.any(self.starts):
            place = at.add("Sub", [place, at.constant(self.starts, np.int32)])
        at.add("Cast", [place], output=output, to=TensorProto.FLOAT)


def narrowed_search(draft: Draft, node: onnx.NodeProto) -> NarrowedSearch | CountedThresholds | None:
    """Of an IF or a TableIF node; None where its own search is as short, or it has no table that is worth its memory."""
    timesteps, held = timesteps_of(node), rows_of_thresholds(draft, node)
    if held is None:
        return None
    table, at_row = held
    finite = np.isfinite(table)
    if not finite.any(axis=1).all() or len(table) > _ROWS:
        return None
    levels = int((table < _INFINITY).sum(axis=1).max())
    if levels <= FEW:
        return CountedThresholds(tuple(table[:, level][at_row] for level in range(levels)))
    low = np.where(finite, table, _INFINITY).min(axis=1, keepdims=True)
    high = np.where(finite, table, -_INFINITY).max(axis=1, keepdims=True)
    scale = _scale(np.where(finite, table, high), high - low)
    last = _bucket(high, low, high, scale)
    reached_in = np.where(table == _INFINITY, int(last.max()) + 1, _bucket(table, low, high, scale))
    before = np.nextafter(table, -_INFINITY)
    missed_in = np.where(table == -_INFINITY, -1, _bucket(before, low, high, scale))
    buckets = np.arange(int(last.max()) + 1)
    below = np.stack([np.searchsorted(row, buckets, side="left") for row in missed_in])
    within = np.stack([np.searchsorted(row, buckets, side="right") for row in reached_in]) - below
    steps = int(within.max()).bit_length()
    if steps + 2 > timesteps:
        return None
    width = table.shape[1]
    starts = np.arange(len(table), dtype=np.int32)[:, None] * width
    return NarrowedSearch(
        thresholds=table.reshape(-1),
        starts=(at_row * width).astype(np.int32),
        low=low[:, 0][at_row],
        high=high[:, 0][at_row],
        scale=scale,
        below=(np.minimum(below, width - (2**steps - 1)) + starts).reshape(-1).astype(np.int32),
        first=(at_row * len(buckets)).astype(np.int32),
        steps=steps,
    )


def rows_of_thresholds(draft: Draft, node: onnx.NodeProto) -> Rows | None:
    """Rows of an IF or a TableIF node, and the row of each neuron; None where they are not known, or too long."""
    timesteps = timesteps_of(node)
    return _table_if(draft, node, timesteps) if is_dialect(node, TABLE_IF) else _table(draft, node, timesteps)


def _table_if(draft: Draft, node: onnx.NodeProto, timesteps: int) -> Rows | None:
    """The rows of a TableIF node, and the row of each neuron."""
    held, rows, width = draft.value(node.input[2]), draft.value(node.input[3]), 2**timesteps - 1
    if held is None or rows is None or held.size % width:
        return None
    return held.reshape(-1, width), rows // width


def _table(draft: Draft, node: onnx.NodeProto, timesteps: int) -> Rows | None:
    """Likewise of an IF node, rows that are alike once."""
    held = thresholds_of(node, draft) if is_dialect(node, "IF") and timesteps <= _TIMESTEPS else None
    table = None if held is None else held.table
    if held is None or table is None:
        return None
    rows, inverse = np.unique(table, axis=0, return_inverse=True)
    shape = np.broadcast_shapes(held.compare.shape[1:], held.subtract.shape[1:], held.ceiling.shape)
    return rows, inverse.reshape(shape)


def _scale(table: Array, spans: Array) -> float:
    """One over the width of buckets: as narrow as the closest thresholds, where so many are not too many."""
    gaps = np.diff(table.astype(np.float64), axis=1)
    closest = gaps[gaps > 0].min(initial=np.inf)
    widest = max(float(spans.max()), float(np.finfo(np.float32).tiny))
    narrow = -np.floor(np.log2(closest)) if np.isfinite(closest) else 0.0
    exponent = min(narrow, float(np.floor(np.log2((_BUCKETS - 2) / widest))))
    return math.ldexp(1.0, int(min(max(exponent, -126), 126)))


def _bucket(v: Array, low: Array, high: Array, scale: float) -> NDArray[np.int64]:
    """As the written operators compute it, in float32."""
    inside = np.minimum(np.where(v >= low, v, low), high)
    return np.asarray((inside - low) * np.float32(scale)).astype(np.int64)
