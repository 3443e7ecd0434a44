"""A table of thresholds behind one code: potentials are quantised to cells that hold one threshold each, near the middle.

8-bit networks have such tables: thresholds of whatever function follow a quantiser's, on a grid, some left out.

    c = QuantizeLinear(v − t₀, w), saturated to a byte;   p = c + [v ≥ threshold of cell c];   level = below[p]

Thresholds in front of a curved function (SiLU, GELU) lie anyhow: cells are narrower there, and a code has 16 bits where a runtime
has a quantiser for that.

The quantiser need not meet thresholds, a comparison does; where v lies within rounding of the border between two cells, both give
the same p, since no threshold is near. So the level is that of the table for every potential, however a runtime divides.

Neurons that read the same potential (the rising and the falling steps of one function) share p: each looks up levels of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from onnx2snn.compile.draft import Array, Place

#: Cells that a byte tells apart.
_CODES = 256
#: More of them would not stay in a processor's nearest memory.
_CELLS = 4096
#: So many numbers of cells are tried; one in seven suits some 255 thresholds that lie anyhow.
_TRIED = 512
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
        cells: Of each row, at most; there is a place behind each, and one in front.
    """

    thresholds: NDArray[np.float32]
    levels: tuple[NDArray[np.float32], ...]
    lowest: NDArray[np.float32]
    width: NDArray[np.float32]
    first: NDArray[np.int32]
    cells: int

    def write(self, at: Place, v: str) -> str:
        """The place of ``v``: what :meth:`write_level` looks up."""
        by_channel = self.lowest.size > 1
        laid_out = v if by_channel else at.laid_out(v)
        apart, width = at.add("Sub", [laid_out, at.constant(self.lowest)]), self.width
        if width.size > 1:
            apart, width = at.add("Mul", [apart, at.constant(1 / width)]), np.ones(1, np.float32)
        wide = self.cells > _CODES
        scale, zero = at.constant(width.reshape(())), at.constant(0, np.uint16 if wide else np.uint8)
        code = at.add("Cast", [at.add("QuantizeLinear", [apart, scale, zero])], to=TensorProto.INT32)
        if wide:
            code = at.add("Min", [code, at.constant(self.cells - 1, np.int32)])
        cell = code
        if by_channel:
            cell = at.laid_out(at.add("Add", [code, at.constant(self.first, np.int32)]))
            code = cell if len(self.levels[0]) > self.cells + 1 else at.laid_out(code)
            laid_out = at.laid_out(v)
        reached = at.add("GreaterOrEqual", [laid_out, at.looked_up(at.constant(self.thresholds), cell)])
        return at.add("Add", [code, at.add("Cast", [reached], to=TensorProto.INT32)])

    def write_level(self, at: Place, place: str, neuron: int, v: str, output: str) -> None:
        """The level of one neuron, in the shape of ``v``: the place itself, where every cell holds one threshold."""
        levels = self.levels[neuron]
        if len(levels) == self.cells + 1 and np.array_equal(levels[:-1], np.arange(self.cells)):
            found = at.add("Cast", [place], to=TensorProto.FLOAT)
        else:
            found = at.looked_up(at.constant(levels), place)
        at.laid_back(found, v, output)


class _Row(NamedTuple):
    """Cells of one row: t₀, w, and how many."""

    lowest: float
    width: float
    cells: int


def coded_search(neurons: Sequence[Rows], *, wide: bool = False) -> CodedSearch | None:
    """What finds the levels of neurons that read one potential; None where thresholds do not lie in cells of their own.

    Args:
        neurons: Their thresholds.
        wide: Codes may have 16 bits: ``QuantizeLinear`` of operator set 21.
    """
    shape = np.broadcast_shapes(*(at.shape for _, at in neurons))
    each = np.stack([np.broadcast_to(at, shape).reshape(-1) for _, at in neurons])
    combined, row = np.unique(each, axis=1, return_inverse=True)
    if combined.shape[1] * (_CODES + 1) > _MOST:
        return None
    wide = wide and combined.shape[1] * (_CELLS + 1) <= _MOST
    tables = [
        [rows[i].astype(np.float64) for (rows, _), i in zip(neurons, c, strict=True)] for c in combined.T
    ]
    found = []
    for each_table in tables:
        made = _cells(np.unique(np.concatenate([t[np.isfinite(t)] for t in each_table])), wide=wide)
        if made is None:
            return None
        found.append(made)
    cells = max(one.cells for one in found)
    if len(found) * (cells + 1) > _MOST:
        return None
    held = [_held(one, table, cells) for one, table in zip(found, tables, strict=True)]
    at_row = row.reshape(shape)
    levels = [np.stack([own[n] for _, own in held]).astype(np.float32) for n in range(len(neurons))]
    alike = all(np.all(rows == rows[:1]) for rows in levels)
    widths = np.array([one.width for one in found], np.float32)
    if len(found) == 1:
        at_row = at_row[(0,) * at_row.ndim].reshape(1)
    return CodedSearch(
        thresholds=np.concatenate([thresholds for thresholds, _ in held]).astype(np.float32),
        levels=tuple(rows[0] if alike else rows.reshape(-1) for rows in levels),
        lowest=np.array([one.lowest for one in found], np.float32)[at_row],
        width=widths[:1] if np.unique(widths).size == 1 else widths[at_row],
        first=(at_row * (cells + 1)).astype(np.int32),
        cells=cells,
    )


def _held(
    row: _Row, tables: Sequence[NDArray[np.float64]], cells: int
) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    """The threshold of each cell, and by neuron the level of each place."""
    thresholds, levels = np.full(cells + 1, np.inf), []
    for table in tables:
        finite = table[np.isfinite(table)]
        own = np.rint((finite - row.lowest) / row.width).astype(np.int64)
        thresholds[own] = finite
        levels.append(np.searchsorted(own, np.arange(cells + 1)) + np.sum(table == -np.inf))
    return thresholds, levels


def _cells(thresholds: NDArray[np.float64], *, wide: bool) -> _Row | None:
    """The middle of the first cell, and the width of all, so that no two thresholds lie in one and none near a border."""
    if not thresholds.size:
        return None
    first, span = float(thresholds[0]), float(thresholds[-1] - thresholds[0])
    if span == 0:
        alone = _Row(first, max(abs(first), 1.0), _CODES)
        return alone if _room(thresholds, alone) > 0 else None
    found = _candidates(thresholds, wide=wide)
    return next((row for off, row in found if off < _room(thresholds, row)), None)


def _candidates(thresholds: NDArray[np.float64], *, wide: bool) -> Iterator[tuple[float, _Row]]:
    """Of bytes the cells whose middles are nearest; then those of wider codes, the fewest first."""
    fewest = max(len(thresholds) - 1, 1)
    yield from sorted(_cut(thresholds, np.arange(fewest, _CODES)))[:1]
    if wide:
        counts = np.geomspace(max(fewest, _CODES), _CELLS - 1, _TRIED).astype(np.int64)
        yield from _cut(thresholds, np.unique(counts))


def _cut(thresholds: NDArray[np.float64], counts: NDArray[np.int64]) -> list[tuple[float, _Row]]:
    """Cells that hold one threshold each, of a width that cuts their span into so many parts; how far one is off its middle."""
    widths = ((thresholds[-1] - thresholds[0]) / counts).astype(np.float32).astype(np.float64)
    counts, widths = counts[widths > _WIDTHS[0]], widths[widths > _WIDTHS[0]]
    places = (thresholds - thresholds[0]) / widths[:, None]
    own = np.rint(places)
    apart = (own[:, -1] <= counts) & np.all(np.diff(own) > 0, axis=1)
    off = np.abs(places - own).max(axis=1)
    return [
        (float(off[n]), _Row(float(thresholds[0]), float(widths[n]), max(int(counts[n]) + 1, _CODES)))
        for n in np.flatnonzero(apart)
    ]


def _room(thresholds: NDArray[np.float64], row: _Row) -> float:
    """So far, in cells, a threshold may be off the middle of its own, that no rounding takes a potential past it to another."""
    rounded = 2 * (np.abs(thresholds).max() / row.width + row.cells) * _ROUNDED
    return float(0.5 - rounded - _SLACK) if _WIDTHS[0] < row.width < _WIDTHS[1] else 0.0
