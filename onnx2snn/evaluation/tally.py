"""Partial results that add up to the same total in any order.

Sums are kept as exact rationals, so that merging is associative and commutative bit for bit: one process,
many processes and a cluster report identical numbers, whichever part comes first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Count, sum, sum of squares and extremes of one quantity over samples.

    Attributes:
        count: Number of samples.
        total: Their exact sum.
        squares: The exact sum of their squares.
        low: The smallest.
        high: The largest.
    """

    count: int = 0
    total: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)
    low: float = math.inf
    high: float = -math.inf

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> Moments:
        """The moments of ``values``, (N,), integers or finite floats."""
        exact = [Fraction(value) for value in np.asarray(values).tolist()]
        squares = sum((value * value for value in exact), Fraction(0))
        return cls(len(exact), sum(exact, Fraction(0)), squares, float(min(exact)), float(max(exact)))

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            min(self.low, other.low),
            max(self.high, other.high),
        )

    @property
    def mean(self) -> float:
        """Mean over samples."""
        return float(self.total / self.count)

    @property
    def std(self) -> float:
        """Standard deviation over samples (of the population)."""
        return math.sqrt(self.squares / self.count - (self.total / self.count) ** 2)

    def summary(self) -> dict[str, float]:
        """Mean and spread, for people and for JSON."""
        return {"mean": self.mean, "std": self.std, "min": self.low, "max": self.high}

    def to_state(self) -> list[Any]:
        """Everything, exactly, as JSON can hold it."""
        return [self.count, str(self.total), str(self.squares), self.low, self.high]

    @classmethod
    def from_state(cls, state: list[Any]) -> Moments:
        """The inverse of :meth:`to_state`."""
        count, total, squares, low, high = state
        return cls(int(count), Fraction(total), Fraction(squares), float(low), float(high))


@dataclass(frozen=True)
class Tally:
    """What some samples answered and spent; tallies of disjoint samples add up.

    Attributes:
        samples: Number of samples.
        labelled: How many of them came with a true class.
        correct: How many of those were answered right.
        moments: By quantity: ``spikes``, ``synops``, ``energy/snn``, ``energy/ann`` (32-bit float; ``energy8/…``: 8-bit
            integer), ``macs/effective``, ``macs/dense``, and ``spikes/<layer>``, ``synops/<layer>`` per layer,
            ``neurons/<layer>``, ``macs/ann`` and ``macs/analog`` where sizes are open; each a number per sample.
    """

    samples: int = 0
    labelled: int = 0
    correct: int = 0
    moments: Mapping[str, Moments] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        names = sorted({*self.moments, *other.moments})
        nothing = Moments()
        return Tally(
            self.samples + other.samples,
            self.labelled + other.labelled,
            self.correct + other.correct,
            {name: self.moments.get(name, nothing) + other.moments.get(name, nothing) for name in names},
        )

    def to_state(self) -> dict[str, Any]:
        """Everything, exactly, as JSON can hold it."""
        moments = {name: value.to_state() for name, value in self.moments.items()}
        return {
            "samples": self.samples,
            "labelled": self.labelled,
            "correct": self.correct,
            "moments": moments,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Tally:
        """The inverse of :meth:`to_state`."""
        moments = {name: Moments.from_state(value) for name, value in state["moments"].items()}
        return cls(int(state["samples"]), int(state["labelled"]), int(state["correct"]), moments)
