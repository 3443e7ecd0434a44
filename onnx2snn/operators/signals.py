"""How far float32 may be from exact arithmetic, operator by operator, between one layer of neurons and the next.

The running error analysis of Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. (SIAM 2002), sections 3.1, 3.3
and lemma 3.1: in whatever order a sum of products is taken, with fused multiply-adds or without, every product reaches the
result multiplied by at most n factors (1 + ε), |ε| ≤ u = 2⁻²⁴, so that

    |computed − exact| ≤ γ_n · M,        γ_n = n·u / (1 − n·u),        M = Σ|w|·|x|.

n counts the roundings on the longest way to a tensor; M goes through the operators beside its values. Where every number is a
multiple of one power of two, and M stays below 2²⁴ of it, nothing is rounded at all.

Operators with jumps (Round, a comparison, ArgMax) may answer a whole step more to a value in its last bits. By interval
arithmetic (Moore, Kearfott, Cloud: Introduction to Interval Analysis, SIAM 2009) every tensor has a *reach* beside that: how
far an answer may be on the other side of a tie. It is zero where no tie is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.model.weights import let_go

Array: TypeAlias = NDArray[Any]
Wide: TypeAlias = NDArray[np.float64]

#: Unit roundoff of float32, and of float64.
UNIT, UNIT64 = 2.0**-24, 2.0**-53
#: Integers up to here are exact in float32.
EXACT = 2.0**24
#: Values that are looked at together: enough for NumPy, and little memory.
BLOCK = 1 << 20
#: Of a constant that is zero: a multiple of anything.
ANY = 2.0**100
#: Roundings of a constant in conversion, wherever it stands: α, θ, δ, each absorbed once and held in float32.
CONSTANTS = 6


def gamma(n: int) -> float:
    """γ_n."""
    return n * UNIT / (1 - n * UNIT)


def integrated(terms: int, timesteps: int) -> int:
    """Roundings of the spiking network: two at each step of integration, and those of the source."""
    return terms + 2 * timesteps + 6


def coarse(unit: float, operators: int) -> float:
    """What rounding the input, and each of ``operators`` results, to floats coarser than float32 adds; nothing in float32.

    Runtimes add products of such floats in float32, and round the sum once.
    """
    n = operators + 2
    return 0.0 if unit <= UNIT else n * unit / max(1 - n * unit, 0.5)


def quantum(values: Array) -> float:
    """The largest power of two of which all ``values`` are multiples; 0 where there is none."""
    flat = values.reshape(-1)
    found = min((_quantum(flat[i : i + BLOCK]) for i in range(0, flat.size, BLOCK)), default=ANY)
    let_go(values)
    return found


def _quantum(values: Array) -> float:
    return least(quanta(values[values != 0]))


def quanta(values: Array) -> Wide:
    """The largest power of two of which each of ``values`` is a multiple; 0 where it is no number."""
    sizes = np.abs(values.astype(np.float64))
    mantissa, exponent = np.frexp(np.where(np.isfinite(sizes), sizes, 0.0))
    digits = np.ldexp(mantissa, 53).astype(np.int64)
    found = np.ldexp((digits & -digits).astype(np.float64), exponent - 53)
    return np.where(sizes == 0, ANY, np.where(np.isfinite(sizes), found, 0.0))


def least(steps: float | Wide) -> float:
    """Of all channels."""
    return float(np.min(steps, initial=ANY))


@dataclass(frozen=True)
class RoundingCount:
    """How often a tensor was rounded.

    Attributes:
        terms: Roundings on the longest way to it: n of γ_n.
        constants: Roundings that its constants may have gone through in conversion, in operators on the way.
        quantum: A power of two of which it is a multiple, sums and all, or one for each channel, (1, C, ...); 0 where there is
            none.
        operators: How many operators that round lie on the longest way to it.
    """

    terms: int = 0
    constants: int = 0
    quantum: float | Wide = 0.0
    operators: int = 0


@dataclass(frozen=True)
class Ranking:
    """What the places in a tensor were ranked by (ArgMax, TopK).

    Attributes:
        lower: Least values of the scores, the largest of which comes first.
        upper: Greatest values.
        axis: Along which they are ranked.
        count: So many ranks.
        ordered: Whether the places stand in the order of their ranks.
    """

    lower: Wide
    upper: Wide
    axis: int
    count: int
    ordered: bool = True

    @classmethod
    def joined(cls, parts: Sequence[Ranking]) -> Ranking:
        """That of further samples behind each other."""
        lower, upper = (np.concatenate([getattr(p, end) for p in parts]) for end in ("lower", "upper"))
        return cls(lower, upper, parts[0].axis, parts[0].count, parts[0].ordered)

    def at(self, rows: NDArray[np.int64]) -> Ranking:
        """That of some samples."""
        return replace(self, lower=self.lower[rows], upper=self.upper[rows])

    @cached_property
    def ends(self) -> tuple[Wide, Wide]:
        """The least and the greatest score that each rank may have."""
        low, high = (-np.sort(-end, axis=self.axis) for end in (self.lower, self.upper))
        ranks = np.arange(self.count)
        if not self.ordered:
            return np.take(low, 0 * ranks + self.count - 1, self.axis), np.take(high, 0 * ranks, self.axis)
        return np.take(low, ranks, self.axis), np.take(high, ranks, self.axis)

    def reach(self, places: Array) -> Wide | None:
        """How far from each place the others lie that may have its rank; None where there are none."""
        low, high = self.ends
        at = places.reshape(low.shape)
        there = np.arange(self.lower.shape[self.axis]).reshape(
            [-1 if a == self.axis else 1 for a in range(low.ndim)]
        )
        found = np.zeros(low.shape)
        for rank in range(self.count):
            one = (slice(None),) * self.axis + (slice(rank, rank + 1),)
            candidates = (self.upper >= low[one]) & (self.lower <= high[one])
            found[one] = np.max(
                np.where(candidates, np.abs(there - at[one]), 0), axis=self.axis, keepdims=True
            )
        return found.reshape(places.shape) if found.any() else None

    def allows(self, places: Array) -> NDArray[np.bool_]:
        """Where the score at a place, of any shape that holds so many, may have the place's rank."""
        low, high = self.ends
        at = places.reshape(low.shape).astype(np.int64)
        inside = (at >= 0) & (at < self.lower.shape[self.axis])
        chosen = np.where(inside, at, 0)
        upper, lower = (np.take_along_axis(end, chosen, self.axis) for end in (self.upper, self.lower))
        return np.asarray(inside & (upper >= low) & (lower <= high)).reshape(places.shape)


@dataclass(frozen=True)
class Signal:
    """A tensor, and how far float32 may be from it.

    Attributes:
        value: In exact arithmetic, (N, ...): float64, or integers.
        fixed: Nothing but constants and sizes of tensors decide it: both networks hold the same.
        magnitude: M; None where nothing has been rounded yet.
        reach: What jumps at ties may add; None where no tie is near.
        rounding: How often it was rounded.
        ranking: Of places.
        measured: Whether an operator without a rule lies before it: then its reach is measured, not proved.
    """

    value: Array
    fixed: bool = False
    magnitude: Wide | None = None
    reach: Wide | None = None
    rounding: RoundingCount = RoundingCount()
    ranking: Ranking | None = None
    measured: bool = False

    def quanta(self, axis: int) -> Wide:
        """Of a constant: by place along an axis, the power of two of which its entries are multiples; looked for once."""
        if axis not in self._quanta:
            others = tuple(a for a in range(self.value.ndim) if a != axis)
            self._quanta[axis] = quanta(self.value).min(axis=others)
        return self._quanta[axis]

    @cached_property
    def _quanta(self) -> dict[int, Wide]:
        return {}

    @property
    def size(self) -> Wide:
        """M."""
        return np.abs(widened(self.value)) if self.magnitude is None else self.magnitude

    @property
    def whole(self) -> bool:
        """Whether it holds integers, or truth values: they are never rounded."""
        return self.value.dtype.kind in "iub"


def widened_values(values: Array) -> Array:
    """Floats as float64; others as they are."""
    if values.dtype == np.float64 or values.dtype.kind not in "fV" or small_codes(values):
        return values
    return values.astype(np.float64)


def small_codes(values: Array) -> bool:
    """Whether they are float8 or of fewer bits: codes, whose type says to a quantiser what they mean."""
    return values.dtype.kind in "fV" and values.dtype.itemsize == 1


def widened(values: Array) -> Wide:
    """As float64."""
    return np.asarray(values, np.float64)


@dataclass(frozen=True)
class Precision:
    """What both networks compute with.

    Attributes:
        timesteps: T.
        unit: Unit roundoff of the source's numbers.
        held: A power of two of which what jumps read is a multiple in the spiking network; 0 where there is none.
    """

    timesteps: int
    unit: float = UNIT
    held: float = ANY

    def coefficient(self, rounding: RoundingCount) -> float:
        """What share of M either network may be from exact arithmetic."""
        n = integrated(rounding.terms, self.timesteps) + CONSTANTS + rounding.constants
        return gamma(n) + coarse(self.unit, rounding.operators)

    def rounded(self, signal: Signal) -> Wide | None:
        """How far rounding may bring either network from ``signal``; None where it does not."""
        untouched = signal.magnitude is None and self.unit <= UNIT
        if signal.fixed or untouched or signal.whole:
            return None
        share, size = self.coefficient(signal.rounding), signal.size
        exact = EXACT * np.minimum(signal.rounding.quantum, self.held) * (UNIT / self.unit)
        return np.where(size <= exact, 0.0, share * size)
