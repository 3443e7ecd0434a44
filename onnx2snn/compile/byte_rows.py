"""Functions of bytes that differ by place: neurons whose places have thresholds of their own on one grid.

    matrix ─▶ quantiser ─▶ + a constant by channel ─▶ quantiser ─▶ GELU ─▶ quantiser

is one neuron with a table by channel. The thresholds of all channels are some of those of the first quantiser, so one byte
says which of these are reached; the level is looked up in the row of its channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.draft import Draft, is_dialect
from onnx2snn.compile.narrowed_search import rows_of_thresholds
from onnx2snn.dialect.functions import SCALED_IF

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

#: A table of more entries costs more memory than it saves time.
MOST = 1 << 20
#: Thresholds of a byte.
_THRESHOLDS = 255


@dataclass(frozen=True)
class NeuronTable:
    """The thresholds of a neuron, of all of its rows.

    Attributes:
        thresholds: Finite and rising, (J,).
        levels: The level of each row once so many of them are reached, (R, J + 1).
        rows: The row of each place, with as many axes as a sample; None where there is one row.
    """

    thresholds: Array
    levels: NDArray[np.int64]
    rows: Rows | None


def neuron_table(draft: Draft, neuron: onnx.NodeProto) -> NeuronTable | None:
    """Of a neuron; None where its thresholds are not known, are more than those of a byte, or have too many rows."""
    held = None if is_dialect(neuron, SCALED_IF) else rows_of_thresholds(draft, neuron)
    sizes = draft.sample_shape(neuron.output[0])
    if held is None or sizes is None:
        return None
    table, at_row = held
    used, rows = np.unique(at_row, return_inverse=True)
    table = table[used].astype(np.float64)
    every = np.unique(table[np.isfinite(table)])
    if not 0 < every.size <= _THRESHOLDS or table.shape[0] * (every.size + 1) > MOST:
        return None
    marks = np.concatenate([[-np.inf], every])
    levels = np.stack([np.searchsorted(row, marks, side="right") for row in table])
    placed = of_rank(rows.reshape(at_row.shape), len(sizes)) if len(table) > 1 else None
    return None if placed is None and len(table) > 1 else NeuronTable(every, levels, placed)


def of_rank(values: NDArray[Any], axes: int) -> NDArray[Any] | None:
    """``values``, which broadcast to samples, with so many axes; None where samples differ."""
    more = values.ndim - axes
    if more <= 0:
        return values.reshape((1,) * -more + values.shape)
    return values.reshape(values.shape[more:]) if set(values.shape[:more]) <= {1} else None


def merged(rows: Sequence[Rows | None]) -> tuple[Rows | None, list[Any]] | None:
    """(rows of which each is one of every operand, and for each operand which one); None where they are too many."""
    known = [one for one in rows if one is not None]
    if not known:
        return None, [slice(None)] * len(rows)
    if all(one is known[0] for one in known):
        return known[0], [slice(None)] * len(rows)
    stacked = np.stack(np.broadcast_arrays(*known))
    every, inverse = np.unique(stacked.reshape(len(known), -1), axis=1, return_inverse=True)
    if every.shape[1] * (_THRESHOLDS + 1) > MOST:
        return None
    picks = iter(every)
    return inverse.reshape(stacked.shape[1:]), [slice(None) if one is None else next(picks) for one in rows]
