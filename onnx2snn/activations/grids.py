"""The values that a function takes, and its steps as staircases and tables of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.activations.bisection import MAX_STEPS, Steps, grid
from onnx2snn.activations.chains import ChainEvaluation, Single
from onnx2snn.activations.findings import Found
from onnx2snn.activations.neuron import Staircase
from onnx2snn.activations.rationals import NotPiecewiseLinearError
from onnx2snn.activations.rules import Rounding, by_rule, counted_from, rules_of
from onnx2snn.activations.tables import Table

#: Steps of so many sizes, at most, are taken apart by size where nothing quantises them.
MOST_SIZES = 3
#: How far a value may be from the grid of the last quantiser, in levels.
ON_GRID = 1e-2
#: A grid is one if float32 tells its numbers apart so many times.
_APART = 32 * float(np.finfo(np.float32).eps)


Parts: TypeAlias = tuple[Staircase | Table, ...]


#: Potentials that show which values a function takes.
SAMPLES = np.union1d(grid(), np.linspace(-12, 12, 24001).astype(np.float32))


@dataclass(frozen=True)
class Grid:
    """Values α·m + o, m whole; (C,)."""

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]

    @classmethod
    def of(cls, staircase: Staircase, evaluation: ChainEvaluation) -> Grid:
        """That of a quantiser."""
        return cls(*(evaluation.gathered(np.asarray(a)[None])[0] for a in (staircase.scale, staircase.shift)))

    @classmethod
    def read(cls, values: Single, *, few: bool) -> Grid | None:
        """The coarsest that holds ``values`` (P, C); None where they lie on none, or (``few``) most are different."""
        columns = [_unit_of(values[:, channel], few=few) for channel in range(values.shape[1])]
        if any(column is None for column in columns):
            return None
        return cls(*np.array(columns, np.float64).T)

    def nearest(self, values: Single) -> NDArray[np.float64]:
        """The numbers of the grid next to values (P, C)."""
        return np.asarray(np.rint((values - self.shift) / self.scale) * self.scale + self.shift)

    def level(self, values: Single) -> NDArray[np.float64]:
        """Numbers m of values (P, C); not a number where they are none of the grid's."""
        with np.errstate(invalid="ignore"):
            exact = (values.astype(np.float64) - self.shift) / self.scale
            whole = np.rint(exact)
            near = np.abs(exact - whole) <= ON_GRID + 8 * float(np.finfo(np.float32).eps) * np.abs(whole)
        return np.where(near, whole, np.nan)

    def holds(self, values: Single) -> bool:
        """Whether all values (P, C) are of the grid."""
        channels = (slice(c, c + 1) for c in range(values.shape[1]))  # one at a time: there are many values
        each = (Grid(self.scale[c], self.shift[c]).level(values[:, c]) for c in channels)
        return all(bool(np.all(np.isfinite(levels))) for levels in each)


def _unit_of(values: Single, *, few: bool) -> tuple[float, float] | None:
    """The largest unit of which all differences are multiples, up to float32's rounding, and the smallest value."""
    distinct = np.unique(values[np.isfinite(values)]).astype(np.float64)
    if not len(distinct) or (few and len(distinct) > len(values) / 2):
        return None
    tolerance, unit = _APART * max(float(np.abs(distinct).max()), 1e-30), 0.0
    for difference in np.unique(np.diff(distinct)):
        a, b = float(max(unit, difference)), float(min(unit, difference))
        while b > tolerance:
            a, b = b, abs(a - np.rint(a / b) * b)
        unit = a
    if len(distinct) > 1 and (distinct[-1] - distinct[0]) / unit > MAX_STEPS:
        return None
    if not unit:
        return 1.0, float(distinct[0])
    # A difference of neighbours holds float32's rounding: the unit is the one that all values have.
    for _ in range(2):
        whole = np.rint((distinct - distinct[0]) / unit)
        unit = float(np.float32(np.polyfit(whole, distinct, 1)[0]))
    # Units whose ratio is nearly a whole number have a common one that holds neither.
    apart = np.abs(distinct - distinct[0] - np.rint((distinct - distinct[0]) / unit) * unit)
    return (unit, float(distinct[0])) if apart.max() <= tolerance else None


def middles_of(staircase: Staircase) -> NDArray[np.float64]:
    """A potential in the middle of each level (K + 1, ...)."""
    sample = np.broadcast_shapes(
        *(a.shape for a in (staircase.threshold, staircase.offset, staircase.rounding))
    )
    column = np.arange(staircase.levels + 1).reshape((-1,) + (1,) * len(sample))
    return np.broadcast_to(staircase.lower_edges(column) + staircase.threshold / 2, (len(column), *sample))


def changes_of(levels: NDArray[np.float64]) -> Steps:
    """The steps of a function of the levels 0 … K, (K + 1, C): the edge of level k is k."""
    if not np.all(np.isfinite(levels)):
        raise NotPiecewiseLinearError("its values are none of the grid of its last quantiser")
    rise = np.diff(levels, axis=0).astype(np.int64)
    if len(rise) and np.abs(rise).sum(axis=0).max() > MAX_STEPS:
        raise NotPiecewiseLinearError(f"it has {int(np.abs(rise).sum(axis=0).max())} levels")
    edges = np.broadcast_to(np.arange(1, len(levels))[:, None], rise.shape).astype(np.float64)
    return Steps(edges, np.zeros(rise.shape, bool), np.zeros(rise.shape), rise, levels[0].astype(np.int64))


def lines_of(values: Single) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]] | None:
    """Sizes (C,) and steps (K, C) of that size, 1 or −1 each, for each of few sizes; None if there are more.

    A quantised activation behind a LeakyRelu that nothing quantises has two: two neurons of few bits stand for it.
    """
    wide = values.astype(np.float64)
    rise, near = (
        np.diff(wide, axis=0),
        8 * float(np.finfo(np.float32).eps) * float(np.abs(wide).max(initial=1e-30)),
    )
    kinds = [_kinds(np.abs(rise[:, channel]), near) for channel in range(rise.shape[1])]
    most = max((len(kind) for kind in kinds), default=0)
    if not 0 < most <= MOST_SIZES:
        return None
    steps = []
    for number in range(most):
        sizes = np.array([kind[number] if number < len(kind) else 0.0 for kind in kinds])
        own = (np.abs(np.abs(rise) - sizes) <= near) & (sizes > 0)
        steps.append(np.where(own, np.sign(rise), 0).astype(np.int64))
    return [(sizes, one) for sizes, one in zip(_sizes(wide, steps), steps, strict=True)]


def _sizes(values: NDArray[np.float64], steps: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Of each kind of ``steps`` (kinds, C), as all values (K + 1, C) have them: a single difference holds float32's rounding."""
    found = np.ones((len(steps), values.shape[1]))
    for channel in range(values.shape[1]):
        climbed = [np.concatenate([[0], np.cumsum(one[:, channel])]) for one in steps]
        kinds = [number for number, one in enumerate(steps) if one[:, channel].any()]
        columns = np.stack([*(climbed[number] for number in kinds), np.ones(len(values))], axis=1)
        found[kinds, channel] = np.linalg.lstsq(columns, values[:, channel], rcond=None)[0][:-1]
    return found.astype(np.float32).astype(np.float64)


def _kinds(sizes: NDArray[np.float64], near: float) -> list[float]:
    """The different ones among ``sizes`` that are not zero."""
    ordered = np.sort(sizes[sizes > near])
    if not len(ordered):
        return []
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > near) + 1)
    return [float(group.mean()) for group in groups]


def of_grid(evaluation: ChainEvaluation, grid: Grid, steps: Steps, first: Found | None) -> Parts:
    """Its rising and its falling steps."""
    held = (steps.edges, steps.strict, steps.slack, steps.rise)
    edges, strict, slack, rise = (evaluation.spread(a) for a in held)
    scale = evaluation.spread(grid.scale[None])[0]
    return _parts(
        Steps(edges, strict, slack, rise, steps.start), scale, None if first is None else first.staircase
    )


def of_lines(
    evaluation: ChainEvaluation, lines: list[tuple[NDArray[np.float64], NDArray[np.int64]]], first: Found
) -> Parts:
    """Those of each size."""
    parts: list[Staircase | Table] = []
    for scale, rise in lines:
        edges = np.broadcast_to(np.arange(1.0, len(rise) + 1)[:, None], rise.shape)
        none = np.zeros(rise.shape)
        steps = Steps(edges, none > 0, none, rise, np.zeros(0, np.int64))
        parts += of_grid(evaluation, Grid(scale, 0 * scale), steps, first)
    return tuple(parts)


def _parts(steps: Steps, scale: NDArray[np.float64], first: Staircase | None) -> Parts:
    """Rising steps, and falling ones: whole staircases where they follow each other as those of ``first`` do."""
    parts: list[Staircase | Table] = []
    for sign in (1, -1):
        rise = np.maximum(sign * steps.rise, 0)
        if not rise.any():
            continue
        uniform = (
            _on_a_line(steps, rise, sign * scale) if first is None else _restricted(first, rise, sign * scale)
        )
        parts.append(uniform or _table(steps, rise, sign * scale, first))
    return tuple(parts)


def _restricted(first: Staircase, rise: NDArray[np.int64], scale: NDArray[np.float64]) -> Staircase | None:
    """The levels of ``first`` from some level on to another, if those are all that ``rise`` has, one by one."""
    begin, count = rise.argmax(axis=0), rise.sum(axis=0)
    places = np.arange(len(rise)).reshape((-1,) + (1,) * (rise.ndim - 1))
    if not np.array_equal(rise, ((places >= begin) & (places < begin + count)).astype(np.int64)):
        return None
    return replace(
        first,
        offset=np.asarray(first.offset - begin * first.threshold),
        levels=int(count.max()),
        ceilings=np.asarray(count),
        scale=scale,
        shift=np.zeros_like(scale),
        rounding=counted_from(first.rounding, begin),
    )


#: Steps that are nearer to each other are told apart by the float32 next to a number (Sign at 0).
_SMALLEST = 1e-20


def _on_a_line(steps: Steps, rise: NDArray[np.int64], scale: NDArray[np.float64]) -> Staircase | None:
    """Edges of one channel at equal distances, to the last bit: closed ones, open ones, or every other one open."""
    edges = steps.edges[rise > 0]
    if rise.shape != (rise.size,) or len(edges) < 2 or rise.max() > 1:
        return None
    below = np.nextafter(edges.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    odd = np.arange(len(edges)) % 2 == 0
    places: dict[Rounding, NDArray[np.float64]] = {
        "floor": edges,
        "ceil": below,
        "half_even": np.where(odd, below, edges),
        "half_odd": np.where(odd, edges, below),
    }
    for rule, line in places.items():
        theta = (line[-1] - line[0]) / (len(line) - 1)
        if theta > _SMALLEST and np.array_equal(line, line[0] + theta * np.arange(len(line))):
            first = {"floor": theta, "ceil": 0.0}.get(rule, theta / 2)
            count, none = np.array(len(line)), np.zeros(())
            offset = np.asarray(first - line[0])
            return Staircase(none + theta, offset, len(line), count, scale, none, rules_of(rule))
    return None


def _table(
    steps: Steps, rise: NDArray[np.int64], scale: NDArray[np.float64], first: Staircase | None
) -> Table:
    """Each step as often as it rises by one; where levels of ``first`` are told apart, in its units."""
    sample, one = rise.shape[1:], np.ones(())
    columns = rise.reshape(len(rise), -1)
    most = int(columns.sum(axis=0).max())
    places = np.full((most, columns.shape[1]), len(rise), np.int64)
    for channel in range(columns.shape[1]):
        own = np.repeat(np.arange(len(rise)), columns[:, channel])
        places[: len(own), channel] = own
    places = places.reshape(most, *sample)

    def taken(values: NDArray[Any], beyond: Any) -> NDArray[Any]:
        ends = np.full((1, *sample), beyond, values.dtype)
        whole = np.broadcast_to(values, (len(values), *sample))
        return np.take_along_axis(np.concatenate([whole, ends]), places, axis=0)

    if first is None:
        edges, slack = taken(steps.edges, np.inf), taken(steps.slack, 0.0)
        return Table(edges, np.zeros(edges.shape, bool), slack, one, 0 * one, scale, np.zeros_like(scale))
    k = taken(steps.edges, np.inf)
    odd = np.where(np.isfinite(k), k, 0) % 2 == 1
    rules = first.rounding
    positions = by_rule(rules, floor=k, ceil=k - 1, half_even=k - 0.5, half_odd=k - 0.5)
    strict = by_rule(rules, floor=k < 0, ceil=k >= 0, half_even=odd, half_odd=~odd)
    whole = np.broadcast_shapes(positions.shape, strict.shape)
    positions, strict = np.broadcast_to(positions, whole), np.broadcast_to(strict, whole)
    return Table(
        positions, strict, np.zeros(whole), first.threshold, first.offset, scale, np.zeros_like(scale)
    )
