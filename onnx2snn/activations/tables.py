"""Tables: step functions whose steps are not alike (METHOD 11)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.activations.neuron import Float, Staircase, number, signed
from onnx2snn.activations.rules import Rules

Wide = NDArray[np.float64]

#: The name of a table where others have that of a rounding rule.
TABLE = "table"


def is_unsure(activation: Staircase | Table) -> bool:
    """Whether the source itself takes either side around some threshold, whatever is exact in front of it."""
    return isinstance(activation, Table) and bool(np.any(activation.slack > 0))


def table_formula(levels: int, scale: Wide, shift: Wide) -> str:
    """A table in the terms of :class:`onnx2snn.activations.Staircase`.

    >>> table_formula(3, np.array(0.5), np.array(-1.0))
    '0.5·table(z, 3) - 1'
    """
    offset = number(shift, "o")
    return f"{number(scale, 'α')}·table(z, {levels}){'' if offset == '0' else f' {signed(offset)}'}"


@dataclass(frozen=True)
class Table:
    """k = the number of thresholds that u = (z + δ)/θ has reached,  a = α·k + o.

    Arrays broadcast against one sample, without the batch axis; those of thresholds have their number J in front.

    Attributes:
        positions: t_1 ≤ t_2 ≤ … (J, ...), in units of θ; +∞ behind the last of a channel that has fewer.
        strict: (J, ...): a threshold is reached where u > t, not where u ≥ t.
        slack: (J, ...): so far around a threshold the source's own float32 operators may take either side; in units of θ.
        threshold: θ > 0, in units of z.
        offset: δ, in units of z.
        scale: α, output per level; may be negative.
        shift: o, the output at level 0.

    >>> positions, no, zero, one = np.array([-1.0, 0.5, 0.5]), np.zeros(3, bool), np.zeros(()), np.ones(())
    >>> table = Table(positions, no, np.zeros(3), one, zero, 2 * one, -one)
    >>> table.level(np.array([-2.0, -1.0, 0.5])).tolist(), table.timesteps
    ([0, 1, 3], 2)
    """

    positions: Wide
    strict: NDArray[np.bool_]
    slack: Wide
    threshold: Wide
    offset: Wide
    scale: Wide
    shift: Wide

    @property
    def rounding(self) -> Rules:
        """In place of a rounding rule."""
        return np.array(TABLE)

    @property
    def ceilings(self) -> NDArray[np.int64]:
        """The highest level of each channel."""
        return np.asarray(np.isfinite(self.positions).sum(axis=0), np.int64)

    @property
    def levels(self) -> int:
        """The highest level."""
        return int(self.ceilings.max(initial=0))

    @property
    def timesteps(self) -> int:
        """T = ceil(log2(K + 1))."""
        return max(1, math.ceil(math.log2(self.levels + 1)))

    @property
    def reach(self) -> Wide:
        """The largest threshold by magnitude, in units of θ."""
        held = np.where(np.isfinite(self.positions), np.abs(self.positions), 0.0)
        return np.asarray(held.max(axis=0) + 1)

    @property
    def formula(self) -> str:
        """In the terms of :class:`onnx2snn.activations.Staircase`."""
        return table_formula(self.levels, self.scale, self.shift)

    def level(self, z: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """The level k of pre-activations ``z`` (N, ...)."""
        return reached(self._closed, self._units(z))

    def level_range(self, low: Wide, high: Wide) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lowest and the highest level between two pre-activations, what the source may do around thresholds included."""
        farther, nearer = (np.sort(self._closed + s * self.slack, axis=0) for s in (1, -1))
        return reached(farther, self._units(low)), reached(nearer, self._units(high))

    def _units(self, z: NDArray[np.floating[Any]]) -> Wide:
        return np.asarray((np.asarray(z, np.float64) + self.offset) / self.threshold)

    @property
    def _closed(self) -> Wide:
        return np.where(self.strict, np.nextafter(self.positions, np.inf), self.positions)

    def lower_edges(self, k: NDArray[Any]) -> Wide:
        """The smallest z (up to strictness) at which the level is ``k`` (k ≥ 1)."""
        own = self.positions.shape[1:]
        sample = np.broadcast_shapes(own, k.shape[1:])
        places = np.clip(k, 1, len(self.positions)).astype(np.int64) - 1
        places = np.broadcast_to(
            places.reshape(len(k), *(1,) * (len(sample) + 1 - k.ndim), *k.shape[1:]), (len(k), *sample)
        )
        whole = self.positions.reshape(-1, *(1,) * (len(sample) - len(own)), *own)
        edges = np.take_along_axis(np.broadcast_to(whole, (len(whole), *sample)), places, axis=0)
        return np.asarray(edges * self.threshold - self.offset)


def extent(rising: Table, falling: Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least and the most that k − k' is at any potential, by channel: a function that turns round does not use up its steps.

    Where steps of both are at one place, either may come first.

    >>> up, down = np.array([-1.0, 0.5, 2.0]), np.array([-0.5, 0.0])
    >>> zero, one = np.zeros(()), np.ones(())
    >>> tables = [Table(p, np.zeros(len(p), bool), 0 * p, one, zero, one, zero) for p in (up, down)]
    >>> [int(bound) for bound in extent(*tables)]
    [-1, 1]
    """
    places = [table.positions * table.threshold - table.offset for table in (rising, falling)]
    sample = np.broadcast_shapes(*(at.shape[1:] for at in places))
    up, down = (np.broadcast_to(at, (len(at), *sample)) for at in places)
    return -_most(down, up), _most(up, down)


def _most(up: Wide, down: Wide) -> NDArray[np.int64]:
    """The most that the number of ``up`` reached is ahead of that of ``down``."""
    places = np.concatenate([up, down])
    steps = np.where(np.isfinite(places), 1, 0)
    steps[len(up) :] *= -1
    order = np.argsort(places, axis=0, kind="stable")
    course = np.cumsum(np.take_along_axis(steps, order, axis=0), axis=0)
    return np.asarray(course.max(axis=0, initial=0))


def table_of(staircase: Staircase) -> Table | None:
    """A staircase that rounds down, all channels with as many levels, as a table; None of others."""
    if not np.all(staircase.rounding == "floor") or np.any(
        np.asarray(staircase.ceilings) != staircase.levels
    ):
        return None
    positions = np.arange(1.0, staircase.levels + 1)
    return Table(
        positions,
        strict=positions < 0,
        slack=0 * positions,
        threshold=staircase.threshold,
        offset=staircase.offset,
        scale=staircase.scale,
        shift=staircase.shift,
    )


@dataclass(frozen=True)
class TableParameters:
    """What a TableIF node holds besides its bias (METHOD 11).

    Attributes:
        thresholds: float32 (R,): rows of 2^T − 1, each sorted, padded with +∞.
        rows: int64, broadcasts to one sample: where the row of each neuron starts.
    """

    thresholds: Float
    rows: NDArray[np.int64]


def table_parameters(table: Table, timesteps: int) -> TableParameters:
    """The thresholds of ``table`` as float32 compares with them: the smallest number that has reached each."""
    thresholds = smallest_reached(table)
    sample = thresholds.shape[1:]
    rows, inverse = distinct_rows(thresholds.reshape(len(thresholds), -1).T)
    width = 2**timesteps - 1
    held = np.full((len(rows), width), np.inf, np.float32)
    held[:, : rows.shape[1]] = rows[:, :width]
    starts = (inverse.reshape(-1) * width).astype(np.int64)
    return TableParameters(held.ravel(), starts.reshape(sample or (1,)))


def distinct_rows(values: Float) -> tuple[Float, NDArray[np.int64]]:
    """(rows that differ, in order; which of them each row is). NumPy makes a field of each column, of which tables have many."""
    if len(values) == 1:
        return values, np.zeros(1, np.int64)
    rows, inverse = np.unique(values, axis=0, return_inverse=True)
    return rows, inverse.reshape(-1)


def smallest_reached(table: Table) -> Float:
    """The smallest float32 number, in units of z, that has reached each threshold, (J, ...)."""
    positions, strict = table.positions, table.strict
    missing = (1,) * max(0, table.threshold.ndim + 1 - positions.ndim)
    exact = positions.reshape(-1, *missing, *positions.shape[1:]) * table.threshold
    near = exact.astype(np.float32)
    below = (near < exact) | (strict.reshape(-1, *missing, *strict.shape[1:]) & (near == exact))
    return np.where(below, np.nextafter(near, np.float32(np.inf)), near).astype(np.float32)


def reached(thresholds: NDArray[Any], z: NDArray[Any]) -> NDArray[np.int64]:
    """How many of ``thresholds`` (J, ...), sorted, each of ``z`` (N, ...) is not below."""
    sample = thresholds.shape[1:]
    if math.prod(sample) == 1:
        return np.searchsorted(thresholds.ravel(), z, side="right").astype(np.int64)
    whole = np.broadcast_to(z, np.broadcast_shapes(z.shape, (1, *sample)))
    k = np.empty(whole.shape, np.int64)
    for place in np.ndindex(sample):
        own = (..., *(i if size > 1 else slice(None) for i, size in zip(place, sample, strict=True)))
        row = thresholds.reshape(len(thresholds), -1)[:, np.ravel_multi_index(place, sample)]
        k[own] = np.searchsorted(row, whole[own], side="right")
    return k
