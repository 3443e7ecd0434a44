"""Loops that count: the spikes of levels, and what each of them counts for, compiled by Numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.events.kernels import Floats, compiled, events_of


@compiled
def _ones(level: Any) -> Any:
    """In the binary code of a level below 2³¹, added up in parts of 2, 4, 8, ... bits: of many levels at once, if signed."""
    code = np.int32(level)
    code = np.int32(code - ((code >> 1) & 0x55555555))
    code = np.int32((code & 0x33333333) + ((code >> 2) & 0x33333333))
    code = np.int32((code + (code >> 4)) & 0x0F0F0F0F)
    code = np.int32(code + (code >> 8))
    return np.int32(code + (code >> 16)) & np.int32(0x3F)


@compiled
def summed_by_row(levels: Floats, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """The spikes of each sample, times what each counts for, which is the same in a row. Whole numbers below 2⁵³ are exact.

    Args:
        levels: (N, R, C).
        columns: (J, R, 1).

    Returns:
        (J, N).
    """
    sums = np.zeros((len(columns), len(levels)))
    for n in range(len(levels)):
        for r in range(levels.shape[1]):
            total = 0
            for c in range(levels.shape[2]):
                total += _ones(levels[n, r, c])
            for j in range(len(columns)):
                sums[j, n] += columns[j, r, 0] * total
    return sums


@compiled
def summed_by_channel(levels: Floats, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """As :func:`summed_by_row`; it is the same in all rows: columns are (J, 1, C)."""
    sums = np.zeros((len(columns), len(levels)))
    each = np.zeros(levels.shape[2], np.int64)
    for n in range(len(levels)):
        each[:] = 0
        for r in range(levels.shape[1]):
            for c in range(each.size):
                each[c] += _ones(levels[n, r, c])
        for j in range(len(columns)):
            for c in range(each.size):
                sums[j, n] += columns[j, 0, c] * each[c]
    return sums


@compiled
def summed_by_entry(levels: Floats, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """As :func:`summed_by_row`, of columns (J, R, C): those of active neurons are read."""
    sums = np.zeros((len(columns), len(levels)))
    places = np.empty(levels.shape[2], np.int32)
    for n in range(len(levels)):
        for r in range(levels.shape[1]):
            for event in range(events_of(levels[n, r], places)):
                c = places[event]
                spikes = _ones(levels[n, r, c])
                for j in range(len(columns)):
                    sums[j, n] += columns[j, r, c] * spikes
    return sums
