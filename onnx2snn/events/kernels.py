"""Loops that follow events, compiled by Numba: sums of weights over the entries that are not zero, channels last.

Compiled code is kept beside this file, or in the user's cache, so that only the first process of all compiles it. Rows are
cut out before they are added: an index that might be negative keeps loops from adding many entries at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def compiled(function: _Loop) -> _Loop:
    """``function``, compiled when it is first called; by each process for itself where there is no folder to keep it in."""
    loop: _Loop
    try:
        loop = njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither this package's folder nor the user's cache may be written
        loop = njit(nogil=True, error_model="numpy")(function)
    return loop


@compiled
def active(entries: Floats) -> int:
    """How many of ``entries`` (any shape) are not zero."""
    flat = entries.reshape(-1)
    found = 0
    for i in range(flat.size):
        found += flat[i] != 0
    return found


@compiled
def _filled(out: Floats, bias: Floats) -> None:
    """``bias`` (O,) at all places of ``out`` (..., O)."""
    places = out.reshape(-1, bias.size)
    for place in range(places.shape[0]):
        for o in range(bias.size):
            places[place, o] = bias[o]


@compiled
def events_of(row: Floats, places: NDArray[np.int32]) -> int:
    """Write where ``row`` is not zero into ``places``, from the front; how many there are. Sixteen are looked at together."""
    count = row.size // 16
    bits = row[: count * 16].view(np.int32).reshape(count, 16)
    found = 0
    for block in range(count):
        some = 0
        for i in range(16):
            some |= bits[block, i]
        if some != 0:
            for i in range(16):
                if bits[block, i] != 0:
                    places[found] = block * 16 + i
                    found += 1
    for i in range(count * 16, row.size):
        if row[i] != 0:
            places[found] = i
            found += 1
    return found


@compiled
def by_rows(
    x: Floats, weights: Floats, bias: Floats, out: Floats, most: int, taps: int, top: int, left: int
) -> bool:
    """A convolution of one step from window to window: each event adds one row of weights to each row that it reaches.

    Args:
        x: (N, H, W, C).
        weights: (C, rows of the kernel, columns · O), both turned back to front: as they lie around an event.
        bias: (O,).
        out: (N, H', W', O), written.
        most: Of how many events it is worth it.
        taps: Columns of the kernel.
        top: Padding in front of the rows.
        left: Padding in front of the columns.

    Returns:
        Whether there were no more of them, and a window fits: dense kernels refuse what is smaller.
    """
    if active(x) > most or out.size == 0:
        return False
    samples, height, width, channels = x.shape
    rows = weights.shape[1]
    _, high, wide, size = out.shape
    fields, lines = x.reshape(samples, height, width * channels), out.reshape(samples, high, wide * size)
    places = np.empty(width * channels, np.int32)
    _filled(out, bias)
    for n in range(samples):
        for y in range(height):
            first = y + top - rows + 1
            begin, end = max(0, -first), min(rows, high - first)
            for event in range(events_of(fields[n, y], places)):
                place = places[event]
                value, q = fields[n, y, place], place // channels
                start = q + left - taps + 1
                skipped, used = max(0, -start), min(taps, wide - start)
                near, far = (start + skipped) * size, (start + used) * size
                for i in range(begin, end):
                    line = lines[n, first + i, near:far]
                    added = weights[place - q * channels, i, skipped * size : used * size]
                    for o in range(line.size):
                        line[o] += value * added[o]
    return True


@compiled
def by_taps(x: Floats, weights: Floats, bias: Floats, out: Floats, most: int, geometry: NDArray[Any]) -> bool:
    """Any convolution of two axes: each event adds the weights of each tap to the place that it reaches through it.

    Args:
        x: (N, H, W, C).
        weights: (C, rows, columns, output channels of a group).
        bias: (O,).
        out: (N, H', W', O), written.
        most: Of how many events it is worth it.
        geometry: Strides, dilations, padding in front, of rows and columns; the number of groups.

    Returns:
        Whether there were no more of them, and a window fits: dense kernels refuse what is smaller.
    """
    if active(x) > most or out.size == 0:
        return False
    samples, height, width, channels = x.shape
    _, rows, columns, size = weights.shape
    _, high, wide, _ = out.shape
    down, across, apart_down, apart_across, top, left, groups = geometry
    grouped = channels // groups
    fields = x.reshape(samples, height, width * channels)
    places = np.empty(width * channels, np.int32)
    _filled(out, bias)
    for n in range(samples):
        for y in range(height):
            for event in range(events_of(fields[n, y], places)):
                place = places[event]
                value, q = fields[n, y, place], place // channels
                channel = place - q * channels
                begin = channel // grouped * size
                for i in range(rows):
                    row = y + top - i * apart_down
                    if row < 0 or row % down or row // down >= high:
                        continue
                    for j in range(columns):
                        column = q + left - j * apart_across
                        if column < 0 or column % across or column // across >= wide:
                            continue
                        line = out[n, row // down, column // across, begin : begin + size]
                        added = weights[channel, i, j]
                        for o in range(size):
                            line[o] += value * added[o]
    return True


@compiled
def by_inputs(x: Floats, weights: Floats, bias: Floats, out: Floats, most: int) -> bool:
    """A matrix: each event adds its row of weights.

    Args:
        x: (N, I).
        weights: (I, O).
        bias: (O,).
        out: (N, O), written.
        most: Of how many events it is worth it.

    Returns:
        Whether there were no more of them.
    """
    if active(x) > most:
        return False
    places = np.empty(x.shape[1], np.int32)
    _filled(out, bias)
    for n in range(x.shape[0]):
        line = out[n]
        for event in range(events_of(x[n], places)):
            value, added = x[n, places[event]], weights[places[event]]
            for o in range(line.size):
                line[o] += value * added[o]
    return True


@compiled
def averaged(x: Floats, out: Floats, rows: int, columns: int, down: int, across: int) -> None:
    """The mean of windows without padding: each event is added to the windows that it lies in.

    Args:
        x: (N, H, W, C).
        out: (N, H', W', C), written.
        rows: Of a window.
        columns: Of a window.
        down: Rows from one window to the next.
        across: Columns from one window to the next.
    """
    samples, height, width, channels = x.shape
    _, high, wide, _ = out.shape
    fields = x.reshape(samples, height, width * channels)
    places = np.empty(width * channels, np.int32)
    sums = out.reshape(-1)
    for i in range(sums.size):
        sums[i] = 0
    for n in range(samples):
        for y in range(height):
            highest, lowest = min(y // down, high - 1), max(0, (y - rows + down) // down)
            for event in range(events_of(fields[n, y], places)):
                place = places[event]
                q = place // channels
                channel = place - q * channels
                furthest, nearest = min(q // across, wide - 1), max(0, (q - columns + across) // across)
                for i in range(lowest, highest + 1):
                    for j in range(nearest, furthest + 1):
                        out[n, i, j, channel] += fields[n, y, place]
    count = np.float32(rows * columns)
    for i in range(sums.size):
        sums[i] /= count


@compiled
def largest(x: Floats, out: Floats, rows: int, columns: int, down: int, across: int) -> None:
    """The largest entry of windows, of all of them: silent ones may be larger than others. Arguments as :func:`averaged`."""
    samples, high, wide, channels = out.shape
    for n in range(samples):
        for y in range(high):
            line = out[n, y]
            line[:] = x[n, y * down, : across * (wide - 1) + 1 : across]
            for i in range(rows):
                for j in range(columns):
                    entries = x[n, y * down + i, j : j + across * (wide - 1) + 1 : across]
                    for q in range(wide):
                        for c in range(channels):
                            line[q, c] = max(line[q, c], entries[q, c])
