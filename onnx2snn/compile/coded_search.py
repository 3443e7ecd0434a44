"""A table of thresholds behind one byte: potentials are quantised to cells that hold one threshold each, near the middle.

8-bit networks have such tables: thresholds of whatever function follow a quantiser's, on a grid, some left out.

    c = QuantizeLinear(v − t₀, w), saturated to a byte;   p = c + [v ≥ threshold of cell c];   level = below[p]

The quantiser need not meet thresholds, a comparison does; where v lies within rounding of the border between two cells, both give
the same p, since no threshold is near. So the level is that of the table for every potential, however a runtime divides.

Neurons that read the same potential (the rising and the falling steps of one function) share p: each looks up levels of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from onnx2snn.compile.draft import Array, Place

#: Codes of a byte, and places between them.
_CODES, _PLACES = 256, 257
#: Thresholds that are worth their memory: 1 MB.
_MOST = 1 << 18
#: What a runtime's rounding may move a potential by, in units of float32's; and in cells, whatever else it does.
_ROUNDED, _SLACK = 2.0**-22, 2.0**-8
#: Widths of cells that float32 divides by, and their reciprocals.
_WIDTHS = (2.0**-100, 2.0**100)

#: Rows of thresholds, each sorted, and the row of each neuron, which broadcasts to a sample.
Rows: TypeAlias = "tuple[Array, NDArray[np.int64]]"


@dataclass(frozen=True)
class CodedSearch:
    """What neurons that read one potential share; arrays by channel broadcast to a sample.

    Attributes:
        thresholds: By row, that of each cell; +∞ where a cell has none. Rows one after the other.
        levels: By neuron, the level of each place of each row; of one row, where all rows are alike for all neurons.
        lowest: t₀, by channel.
        width: w; by channel, where they differ.
        first: Where the row of each channel starts.
    """

    thresholds: NDArray[np.float32]
    levels: tuple[NDArray[np.float32], ...]
    lowest: NDArray[np.float32]
    width: NDArray[np.float32]
    first: NDArray[np.int32]

    def write(self, at: Place, v: str) -> str:
        """The place of ``v``: what :meth:`write_level` looks up."""
        by_channel = self.lowest.size > 1
        laid_out = v if by_channel else at.laid_out(v)
        apart, width = at.add("Sub", [laid_out, at.constant(self.lowest)]), self.width
        if width.size > 1:
            apart, width = at.add("Mul", [apart, at.constant(1 / width)]), np.ones(1, np.float32)
        scale, zero = at.constant(width.reshape(())), at.constant(0, np.uint8)
        code = at.add("Cast", [at.add("QuantizeLinear", [apart, scale, zero])], to=TensorProto.INT32)
        cell = code
        if by_channel:
            cell = at.laid_out(at.add("Add", [code, at.constant(self.first, np.int32)]))
            code = cell if len(self.levels[0]) > _PLACES else at.laid_out(code)
            laid_out = at.laid_out(v)
        reached = at.add("GreaterOrEqual", [laid_out, at.looked_up(at.constant(self.thresholds), cell)])
        return at.add("Add", [code, at.add("Cast", [reached], to=TensorProto.INT32)])

    def write_level(self, at: Place, place: str, neuron: int, v: str, output: str) -> None:
        """The level of one neuron, in the shape of ``v``: the place itself, where every cell holds one threshold."""
        levels = self.levels[neuron]
        if len(levels) == _PLACES and np.array_equal(levels[:_CODES], np.arange(_CODES)):
            found = at.add("Cast", [place], to=TensorProto.FLOAT)
        else:
            found = at.looked_up(at.constant(levels), place)
        at.laid_back(found, v, output)


class _Row(NamedTuple):
    """One row: t₀, w, the threshold of each cell, and by neuron the level of each place."""

    lowest: float
    width: float
    thresholds: NDArray[np.float64]
    levels: list[NDArray[np.int64]]


def coded_search(neurons: Sequence[Rows]) -> CodedSearch | None:
    """What finds the levels of neurons that read one potential; None where thresholds do not lie in cells of their own."""
    shape = np.broadcast_shapes(*(at.shape for _, at in neurons))
    each = np.stack([np.broadcast_to(at, shape).reshape(-1) for _, at in neurons])
    combined, row = np.unique(each, axis=1, return_inverse=True)
    if combined.shape[1] * _PLACES > _MOST:
        return None
    found = []
    for chosen in combined.T:
        made = _row([rows[i].astype(np.float64) for (rows, _), i in zip(neurons, chosen, strict=True)])
        if made is None:
            return None
        found.append(made)
    at_row = row.reshape(shape)
    levels = [np.stack([one.levels[n] for one in found]).astype(np.float32) for n in range(len(neurons))]
    alike = all(np.all(rows == rows[:1]) for rows in levels)
    widths = np.array([one.width for one in found], np.float32)
    if len(found) == 1:
        at_row = at_row[(0,) * at_row.ndim].reshape(1)
    return CodedSearch(
        thresholds=np.concatenate([one.thresholds for one in found]).astype(np.float32),
        levels=tuple(rows[0] if alike else rows.reshape(-1) for rows in levels),
        lowest=np.array([one.lowest for one in found], np.float32)[at_row],
        width=widths[:1] if np.unique(widths).size == 1 else widths[at_row],
        first=(at_row * _PLACES).astype(np.int32),
    )


def _row(tables: Sequence[NDArray[np.float64]]) -> _Row | None:
    """Of the thresholds of each neuron; None where they do not lie in cells of their own."""
    finite = [table[np.isfinite(table)] for table in tables]
    cells = _cells(np.unique(np.concatenate(finite)))
    if cells is None:
        return None
    lowest, width = cells
    thresholds, levels = np.full(_PLACES, np.inf), []
    for table, held in zip(tables, finite, strict=True):
        own = np.rint((held - lowest) / width).astype(np.int64)
        thresholds[own] = held
        levels.append(np.searchsorted(own, np.arange(_PLACES)) + np.sum(table == -np.inf))
    return _Row(lowest, width, thresholds, levels)


def _cells(thresholds: NDArray[np.float64]) -> tuple[float, float] | None:
    """The middle of the first cell, and the width of all, so that no two thresholds lie in one and none near a border."""
    if not thresholds.size:
        return None
    first, span = thresholds[0], thresholds[-1] - thresholds[0]
    off, width = 0.0, max(abs(float(first)), 1.0)
    if span > 0:
        widths = (span / np.arange(max(len(thresholds) - 1, 1), _CODES)).astype(np.float32).astype(np.float64)
        widths = widths[widths > _WIDTHS[0]]
        places = (thresholds - first) / widths[:, None]
        own = np.rint(places)
        apart = (own[:, -1] < _CODES) & np.all(np.diff(own) > 0, axis=1)
        if not apart.any():
            return None
        each = np.abs(places - own).max(axis=1)[apart]
        off, width = min(zip(each.tolist(), widths[apart].tolist(), strict=True))
    rounded = 2 * (np.abs(thresholds).max() / width + _CODES) * _ROUNDED
    sound = _WIDTHS[0] < width < _WIDTHS[1] and off + rounded + _SLACK < 0.5
    return (float(first), width) if sound else None
