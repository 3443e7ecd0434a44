"""How many thresholds of a table a potential has reached, in ordinary operators: a binary search, as neurons do it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.tables import distinct_rows
from onnx2snn.graph.build import Spelling


def searched(
    spelling: Spelling, thresholds: Sequence[NDArray[np.float64]], potential: gs.Tensor
) -> gs.Tensor:
    """The number of ``thresholds`` (each one number, or one a channel) that ``potential`` has reached, float32.

        p = 0;  for t = 1..T:   p ← p + 2^(T−t) where z ≥ θ(p + 2^(T−t))

    Tables of all channels lie one behind the other, in one list; an index is that of the table's start, and p. T lookups stand
    where 2^T − 1 comparisons would.
    """
    tables, own = _tables(thresholds)
    size, values = tables.shape[1], tables.reshape(-1)
    start = own * size
    farther = start + size // 2
    reached = spelling.apply("GreaterOrEqual", potential, values[farther])
    reached.dtype = np.dtype(np.bool_)
    found = spelling.apply("Where", reached, farther, start, sizes=list(potential.shape))
    found.dtype = np.dtype(np.int64)
    for bit in range(size.bit_length() - 3, -1, -1):
        found = _farther(spelling, potential, found, values, 2**bit)
    place = spelling.apply("Sub", found, start)
    place.dtype = np.dtype(np.int64)
    return spelling.apply("Cast", place, to=1)


def _farther(
    spelling: Spelling, potential: gs.Tensor, found: gs.Tensor, values: NDArray[np.float32], by: int
) -> gs.Tensor:
    """``found``, or so many places farther where the threshold there is reached."""
    place = spelling.apply("Add", found, np.full(1, by, np.int64))
    threshold = spelling.apply("Gather", values, place, sizes=list(potential.shape))
    reached = spelling.apply("GreaterOrEqual", potential, threshold)
    place.dtype, reached.dtype = np.dtype(np.int64), np.dtype(np.bool_)
    better = spelling.apply("Where", reached, place, found, sizes=list(potential.shape))
    better.dtype = np.dtype(np.int64)
    return better


def _tables(thresholds: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(kinds, 2^T) thresholds in ascending order, the first one always reached, the last ones never; which kind a channel has."""
    held = np.stack([np.atleast_1d(one) for one in thresholds]).astype(np.float32)
    kinds, own = distinct_rows(held.reshape(len(held), -1).T)
    size = 1 << len(held).bit_length()
    tables = np.full((len(kinds), size), np.inf, np.float32)
    tables[:, 0], tables[:, 1 : len(held) + 1] = -np.inf, np.sort(kinds, axis=1)
    return tables, own.reshape(held.shape[1:]).astype(np.int64)
