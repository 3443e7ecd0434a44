"""Curves whose channels order their breaks each for itself: what :mod:`.curve` does where no order holds for all.

Breaks ascend in each channel, x₀ ≤ x₁ ≤ ...; a channel that changes less often than others has some of them in one place,
with nothing between. Nothing here asks what all channels have in common, so nothing can differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx2snn.staircases.curve import Curve, Line, Rationals


def chosen(condition: Any, one: Any, other: Any) -> Rationals:
    """``one`` in the channels where ``condition`` holds, else ``other``."""
    return np.asarray(np.where(np.asarray(condition, bool), one, other), dtype=object)


def shape_of(*curves: Curve) -> tuple[int, ...]:
    """Of the channels of ``curves``."""
    lines = (values for c in curves for line in c.pieces for values in (line.slope, line.offset))
    places = (values for c in curves for values in (*c.breaks, *c.points))
    return np.broadcast_shapes(*(values.shape for values in (*lines, *places)))


def alone(curve: Curve, index: tuple[int, ...], shape: tuple[int, ...]) -> Curve:
    """The curve of the channel at ``index`` of ``shape``, without the breaks that others need."""

    def of(values: Rationals) -> Rationals:
        return np.asarray(np.broadcast_to(values, shape)[index], dtype=object)

    pieces = [replace(piece, slope=of(piece.slope), offset=of(piece.offset)) for piece in curve.pieces]
    kept, breaks, points = pieces[:1], list[Any](), list[Any]()
    for x, point, piece in zip(map(of, curve.breaks), map(of, curve.points), pieces[1:], strict=True):
        if breaks and x == breaks[-1]:
            kept.pop()
        else:
            breaks.append(x)
            points.append(point)
        kept.append(piece)
    return replace(
        curve, breaks=tuple(breaks), pieces=tuple(kept), points=tuple(points), apart=False
    ).simplified()


def line_after(curve: Curve, x: Rationals) -> tuple[Rationals, Rationals]:
    """Slope and offset of the line to the right of ``x``."""
    slope, offset = curve.pieces[0].slope, curve.pieces[0].offset
    for edge, piece in zip(curve.breaks, curve.pieces[1:], strict=True):
        slope, offset = chosen(edge <= x, piece.slope, slope), chosen(edge <= x, piece.offset, offset)
    return slope, offset


def value_at(curve: Curve, x: Rationals) -> Rationals:
    """The value at ``x``."""
    slope, offset = line_after(curve, x)
    value = np.asarray(slope * x + offset, dtype=object)
    for edge, point in zip(curve.breaks, curve.points, strict=True):
        value = chosen(edge == x, point, value)
    return value


def merged(breaks: Sequence[Rationals]) -> list[Rationals]:
    """All breaks, ascending in each channel; those that are equal everywhere once."""
    if not breaks:
        return []
    rows = np.sort(np.stack(np.broadcast_arrays(*breaks)), axis=0)
    return [row for i, row in enumerate(rows) if not i or np.any(row != rows[i - 1])]


def zeros(curve: Curve) -> Iterator[Rationals]:
    """Where each line crosses zero; in channels where it does not, an end of its piece."""
    for position, line in enumerate(curve.pieces):
        is_flat = np.asarray(line.slope == 0, bool)
        if np.all(is_flat):
            continue
        zero = np.asarray(-line.offset / chosen(is_flat, 1, line.slope), dtype=object)
        low = curve.breaks[position - 1] if position else None
        high = curve.breaks[position] if position < len(curve.breaks) else None
        zero = chosen(is_flat, zero if low is high else high if low is None else low, zero)
        zero = zero if low is None else np.asarray(np.maximum(zero, low), dtype=object)
        yield zero if high is None else np.asarray(np.minimum(zero, high), dtype=object)


def product(one: Line, other: Line) -> tuple[Rationals, Rationals] | None:
    """Slope and offset of the product of two lines; None where that is no line."""
    if np.any((one.slope != 0) & (other.slope != 0)):
        return None
    slope = np.asarray(one.offset * other.slope + other.offset * one.slope, dtype=object)
    return slope, np.asarray(one.offset * other.offset, dtype=object)
