"""Where a chain of a source's own operators changes its level: found by bisection over float32 (METHOD 11).

Float32 numbers are integers, in their order. The chain is run on a grid that is dense in every octave; where what it rounds has
an extremum, the grid is refined around it; between neighbours of the grid each level's step is found by halving, to the last
bit. Around a step the operators' own rounding may take either side: so far its *slack* reaches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onnx2snn.activations.chains import ChainEvaluation, Single
from onnx2snn.activations.rationals import NotPiecewiseLinearError

Integers = NDArray[np.int64]
Levels = NDArray[np.int32]
Level = Callable[[Single], NDArray[np.float64]]

#: Numbers of the grid in each octave, and octaves: potentials are not larger, nor do smaller ones matter.
_IN_OCTAVE, _SMALLEST, _LARGEST = 128, -40, 40
#: Numbers into which the surroundings of an extremum are divided, and how often.
_ZOOM, _ZOOMS = 33, 6
#: Extrema that stand out by so many steps of the quantiser are looked at.
_FINE = 2.0**-10
#: A function that turns more often is not taken apart, nor one of more steps.
MAX_TURNS, MAX_STEPS = 32, 1 << 19
#: Levels beyond are too many, whatever they are: they are held in 32 bits.
_MOST_LEVEL = 1 << 30
#: Which numbers beside an edge are looked at: so many further on in the order of float32.
_BESIDE = np.unique((2 ** np.arange(0, 17, 0.25)).astype(np.int64))
#: What is rounded is the same if it differs by no more than the rounding of the operators in front of it.
_NOISE = 8 * float(np.finfo(np.float32).eps)
#: Random numbers at which the steps are tried.
_RANDOM = 4096


@dataclass(frozen=True)
class Steps:
    """A step function, by channel: level ``start`` below all edges, and ``rise`` more (or fewer) from each on.

    Attributes:
        edges: (J, C), in ascending order; z has reached an edge where z ≥ it (``strict``: z > it); +∞ where there are fewer.
        strict: (J, C).
        slack: (J, C): see :class:`onnx2snn.activations.tables.Table`.
        rise: (J, C); 0 where there are fewer.
        start: (C,).
    """

    edges: NDArray[np.float64]
    strict: NDArray[np.bool_]
    slack: NDArray[np.float64]
    rise: NDArray[np.int64]
    start: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(a.nbytes for a in (self.edges, self.strict, self.slack, self.rise, self.start))


def bisected(evaluation: ChainEvaluation, level: Level, step: NDArray[np.float64]) -> Steps:
    """The steps of a chain.

    Args:
        evaluation: It.
        level: Of what it answers (P, C); not necessarily a number.
        step: Of the quantiser at its end, in units of the inner tensor, which it rounds (C,).

    Raises:
        NotPiecewiseLinearError: it has none, or too many, or does not keep to those that were found.
    """
    search = _Search(evaluation, level)
    z = grid()
    inner, levels = search.both(z[:, None])
    finer = _refined(evaluation, z, inner, step)
    if len(finer) > len(z):
        z, levels = finer, search.levels(finer[:, None])
    return search.verified(search.steps(_brackets(z, levels), levels[0].astype(np.int64)))


class KeptSteps:
    """Steps that were found last, by what they are of.

    One network is recognised several times, where it is made exact, converted and certified.
    """

    def __init__(self, most: int = 1 << 27) -> None:
        self._most, self._size = most, 0
        self._held: OrderedDict[Hashable, Steps] = OrderedDict()

    def get(self, key: Hashable, find: Callable[[], Steps]) -> Steps:
        """Those of ``key``; ``find`` is asked once, as long as all that is kept has room in ``most`` bytes."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        found = self._held[key] = find()
        self._size += found.size
        while self._size > self._most:
            self._size -= self._held.popitem(last=False)[1].size
        return found


def grid() -> Single:
    """Numbers on both sides of zero, so many in every octave, in ascending order."""
    octaves = np.arange(_SMALLEST * _IN_OCTAVE, _LARGEST * _IN_OCTAVE + 1)
    whole, part = np.divmod(octaves, _IN_OCTAVE)
    positive = np.ldexp(1 + part / _IN_OCTAVE, whole)
    numbers: Single = np.concatenate([-positive[::-1], [0.0], positive]).astype(np.float32)
    return numbers


def _refined(evaluation: ChainEvaluation, z: Single, inner: Single, step: NDArray[np.float64]) -> Single:
    """With numbers around every extremum of what is rounded (``inner``) in steps of ``step`` (C,), nearer and nearer."""
    found = [_extrema(inner[:, c], float(step[c]) * _FINE) for c in range(evaluation.channels)]
    most = max(len(places) for places, _ in found)
    if most > MAX_TURNS:
        raise NotPiecewiseLinearError("it turns round too often")
    here, sign = np.ones((most, len(found)), np.int64), np.ones((most, len(found)), np.int64)
    for channel, (places, kinds) in enumerate(found):
        here[: len(places), channel], sign[: len(places), channel] = places, kinds
    low, high, added = z[here - 1], z[here + 1], [z]
    for _ in range(_ZOOMS if most else 0):
        near = np.linspace(low.astype(np.float64), high.astype(np.float64), _ZOOM).astype(np.float32)
        answers = evaluation.run(near.reshape(-1, near.shape[2]))[0].reshape(near.shape)
        best = np.clip((sign * answers).argmax(axis=0), 1, _ZOOM - 2)[None]
        low, high = (np.take_along_axis(near, best + side, axis=0)[0] for side in (-1, 1))
        added.append(near.ravel())
    return np.unique(np.concatenate(added))


def _extrema(values: Single, unit: float) -> tuple[Integers, Integers]:
    """Places of the maxima (1) and minima (−1) of a function that stand out by more than ``unit``."""
    with np.errstate(invalid="ignore", over="ignore"):
        coarse = np.rint(np.clip(values.astype(np.float64) / unit, -(2.0**60), 2.0**60))
        change = np.nan_to_num(np.diff(coarse))  # a function may have no value somewhere: no step there
    at = np.flatnonzero(change)
    kinds = np.sign(change[at]).astype(np.int64)
    turns = np.flatnonzero(np.diff(kinds))
    places = [
        at[i] + 1 + int((kinds[i] * values[at[i] + 1 : at[i + 1] + 1]).argmax())
        for i in turns[: MAX_TURNS + 1]
    ]
    return np.array(places, np.int64), kinds[turns[: MAX_TURNS + 1]]


@dataclass(frozen=True)
class _Brackets:
    """Between which numbers, as integers in their order, each level is reached: (B, C); where there are fewer, low = high.

    Attributes:
        low: Where the level ``target`` is not reached.
        high: Where it is.
        target: The level.
        sign: 1 where it rises to it, −1 where it falls; 0 where there are fewer.
    """

    low: Integers
    high: Integers
    target: Integers
    sign: Integers


def _brackets(grid: Single, levels: Levels) -> _Brackets:
    """One for every level passed."""
    columns = [
        _of_channel(_ordered(grid), levels[:, channel].astype(np.int64)) for channel in range(levels.shape[1])
    ]
    most = max(len(column[0]) for column in columns)
    held = [np.zeros((most, len(columns)), np.int64) for _ in range(4)]
    for channel, column in enumerate(columns):
        for array, values in zip(held, column, strict=True):
            array[: len(values), channel] = values
    return _Brackets(*held)


def _of_channel(grid: Integers, levels: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    at = np.flatnonzero(np.diff(levels))
    counts = np.abs(levels[at + 1] - levels[at])
    if counts.sum() > MAX_STEPS:
        raise NotPiecewiseLinearError(f"it has {int(counts.sum()) + 1} levels")
    owner = np.repeat(np.arange(len(at)), counts)
    ordinal = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    sign = np.sign(levels[at + 1] - levels[at])[owner]
    return grid[at][owner], grid[at + 1][owner], levels[at][owner] + sign * ordinal, sign


class _Search:
    """A chain, its levels."""

    def __init__(self, evaluation: ChainEvaluation, level: Level) -> None:
        self._evaluation, self._level = evaluation, level

    def levels(self, z: Single) -> Levels:
        """(P, C) at (P, C), or (P, 1)."""
        return self.both(z)[1]

    def both(self, z: Single) -> tuple[Single, Levels]:
        """What is rounded, and the levels (P, C), at (P, C), or (P, 1)."""
        inner = np.empty((len(z), self._evaluation.channels), np.float32)
        levels = np.empty(inner.shape, np.int32)
        for first in range(0, len(z), self._evaluation.at_a_time):
            at = slice(first, first + self._evaluation.at_a_time)
            inner[at], answers = self._evaluation.run(z[at])
            found = self._level(answers)
            if not np.all(np.isfinite(found)):
                raise NotPiecewiseLinearError("it is not a number everywhere")
            levels[at] = np.clip(np.rint(found), -_MOST_LEVEL, _MOST_LEVEL)
        return inner, levels

    def steps(self, b: _Brackets, start: Integers) -> Steps:
        """By halving each bracket."""
        low, high = b.low, b.high
        while np.any(high - low > 1):
            middle = low + (high - low) // 2
            past = b.sign * (self.levels(_unordered(middle)) - b.target) >= 0
            high, low = np.where(past, middle, high), np.where(past, low, middle)
        there = b.sign != 0
        edges = np.where(there, _unordered(high).astype(np.float64), np.inf)
        slack = np.where(there, self._slack(high, b), 0.0)
        order = np.argsort(edges, axis=0, kind="stable")
        edges, slack, rise = (np.take_along_axis(a, order, axis=0) for a in (edges, slack, b.sign))
        return Steps(edges, np.zeros(edges.shape, bool), slack, rise, start)

    def _slack(self, edges: Integers, b: _Brackets) -> NDArray[np.float64]:
        """How far below each edge its level is reached already, or how far above not yet, (B, C); see the module."""
        lowest, highest = _runs(edges, b.sign)
        here, slack = _unordered(edges).astype(np.float64), np.zeros(edges.shape)
        for offset in (*-_BESIDE, *_BESIDE):
            beside = np.clip(edges + offset, lowest, highest)
            past = b.sign * (self.levels(_unordered(beside)) - b.target) >= 0
            wrong = past != (beside >= edges)
            slack = np.where(wrong, np.maximum(slack, np.abs(_unordered(beside) - here)), slack)
        return 2 * slack

    def verified(self, steps: Steps) -> Steps:
        """The same, tried at random numbers: among the edges, and as far out as the grid reaches.

        Another level is one of the slack where what is rounded cannot be told from what it is at the edge.
        """
        draws, slack = np.random.default_rng(0), steps.slack.copy()
        finite = np.where(np.isfinite(steps.edges), steps.edges, 0.0)
        near = draws.uniform(
            finite.min(axis=0, initial=0.0) - 1,
            finite.max(axis=0, initial=0.0) + 1,
            (_RANDOM, slack.shape[1]),
        )
        octaves = draws.integers(_SMALLEST, _LARGEST, (_RANDOM // 4, slack.shape[1]))
        far = np.ldexp(draws.uniform(0.5, 1, octaves.shape), octaves)
        z = np.concatenate([near, far, -far]).astype(np.float32)
        inner, found = self.both(z)
        at_edges = self._evaluation.run(finite.astype(np.float32))[0]
        for channel in range(slack.shape[1]):
            own = np.flatnonzero(np.isfinite(steps.edges[:, channel]))
            edges, there = steps.edges[own, channel], z[:, channel]
            total = steps.start[channel] + np.concatenate([[0], np.cumsum(steps.rise[own, channel])])
            wrong = np.flatnonzero(total[np.searchsorted(edges, there, side="right")] != found[:, channel])
            if not len(wrong):
                continue
            away = np.abs(there[wrong, None].astype(np.float64) - edges[None])
            nearest = own[away.argmin(axis=1)]
            one, other = inner[wrong, channel], at_edges[nearest, channel]
            noise = np.abs(one - other) <= _NOISE * np.maximum(np.abs(one), np.abs(other))
            bad = (away.min(axis=1) > slack[nearest, channel]) & ~noise
            if bad.any():
                at = float(there[wrong[bad][0]])
                raise NotPiecewiseLinearError(f"its levels are not where its steps are, at {at:.9g} for one")
            np.maximum.at(slack[:, channel], nearest, away.min(axis=1))
        return replace(steps, slack=slack)


def _runs(edges: Integers, sign: Integers) -> tuple[Integers, Integers]:
    """For each edge the numbers between which the function does not turn round."""
    lowest, highest = (
        np.full(edges.shape, _ordered(np.float32(-3e38))),
        np.full(edges.shape, _ordered(np.float32(3e38))),
    )
    for channel in range(edges.shape[1]):
        own = sign[:, channel] != 0
        held, turns = edges[own, channel], np.flatnonzero(np.diff(sign[own, channel]))
        middles = (held[turns] + held[turns + 1]) // 2
        run = np.searchsorted(turns, np.arange(len(held)), side="left")
        lowest[own, channel] = np.concatenate([lowest[:1, channel], middles])[run]
        highest[own, channel] = np.concatenate([middles, highest[:1, channel]])[run]
    return lowest, highest


def _ordered(z: Single | np.float32) -> Integers:
    """Float32 numbers as integers in the same order; −0 is 0."""
    bits = np.asarray(z + np.float32(0), np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _unordered(integers: Integers) -> Single:
    bits = np.where(integers < 0, -integers | 0x80000000, integers).astype(np.uint32)
    return bits.view(np.float32)
