"""Ranges of quantisers: the ends between which levels lie, signed as the data are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.calibration.lines import QuantiserPlace
from onnx2snn.graph.core import Array
from onnx2snn.graph.exporter import with_outputs

#: Values of a tensor that are kept, over all samples.
_VALUES = 32_768
#: Shares of what was seen that are tried for an end, and how often each end is chosen anew.
_SHARES, _ROUNDS = np.geomspace(1.0, 0.03, 24), 2

#: Chooses the ends for values and K.
Rule = Callable[[Array, int], tuple[float, float]]


@dataclass(frozen=True)
class Seen:
    """What was seen of a tensor.

    Attributes:
        values: Some of its values.
        low: The smallest of all.
        high: The largest.
        each: Values of one sample.
    """

    values: Array
    low: float
    high: float
    each: int


def look(source: gs.Graph, places: Sequence[QuantiserPlace], samples: Mapping[str, Array]) -> dict[str, Seen]:
    """What the float network holds where ranges are to be chosen, by place; and at entrances, by their own names.

    Args:
        source: The float network, in which no quantiser was put.
        places: All of them.
        samples: Inputs (N, ...).
    """
    known = source.tensors()
    asked: dict[str, str] = {}
    for place in places:
        if place.ranged:
            asked[place.output] = place.output if place.output in known else place.root
        if place.entrance:
            asked[place.entrance] = place.entrance
    if not asked:
        return {}
    network, names = with_outputs(source, list(dict.fromkeys(asked.values()))), set(asked.values())
    parts: dict[str, list[tuple[Array, float, float, int]]] = {name: [] for name in names}
    count = len(next(iter(samples.values())))
    for first in range(count):
        found = network.run({n: v[first : first + 1] for n, v in samples.items()}, sorted(names))
        for name in names:
            flat = found[name].ravel()
            few = flat[:: max(1, flat.size * count // _VALUES)].astype(np.float32)
            parts[name].append((few, float(flat.min()), float(flat.max()), flat.size))
    return {key: _joined(parts[name]) for key, name in asked.items()}


def _joined(parts: Sequence[tuple[Array, float, float, int]]) -> Seen:
    values, lows, highs, sizes = zip(*parts, strict=True)
    return Seen(np.concatenate(values), min(lows), max(highs), sizes[0])


def ranged(
    places: Sequence[QuantiserPlace], seen: Mapping[str, Seen], levels: Mapping[str, int], rule: Rule
) -> list[QuantiserPlace]:
    """``places`` with the ranges that ``rule`` chooses for K ``levels`` each, by the tensor that holds the activation."""
    return [_ranged(place, seen, levels[place.output], rule) for place in places]


def _ranged(place: QuantiserPlace, seen: Mapping[str, Seen], levels: int, rule: Rule) -> QuantiserPlace:
    if place.entrance in seen:
        argument = seen[place.entrance]
        place = replace(place, reach=(argument.low, argument.high))
    return place.between(*rule(seen[place.output].values, levels)) if place.ranged else place


def largest(values: Array, _levels: int) -> tuple[float, float]:
    """Nothing is clipped."""
    return _with_zero(float(values.min(initial=0)), float(values.max(initial=0)))


def percentile(values: Array, _levels: int, share: float = 0.999) -> tuple[float, float]:
    """The outermost 0.1 % are clipped."""
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return _with_zero(float(low), float(high))


def least_squares(values: Array, levels: int) -> tuple[float, float]:
    """The ends between which ``levels`` equal steps come nearest to ``values``; each in turn."""
    low, high = largest(values, levels)
    ends = [low, high]
    for _ in range(_ROUNDS):
        for which, outermost in enumerate((low, high)):
            tried = outermost * _SHARES if outermost else _SHARES[:0]
            errors = [
                _error(values, levels, (*ends[:which], float(end), *ends[which + 1 :])) for end in tried
            ]
            if errors:
                ends[which] = float(tried[int(np.argmin(errors))])
    return ends[0], ends[1]


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """What pads is a level, too."""
    low, high = min(low, 0.0), max(high, 0.0)
    return low, high if high > low else low + 1.0


def _error(values: Array, levels: int, ends: tuple[float, ...]) -> float:
    step = (ends[1] - ends[0]) / levels
    bottom = np.rint(ends[0] / step) * step
    nearest = np.clip(np.rint((values - bottom) / step), 0, levels) * step + bottom
    return float(np.mean((nearest - values) ** 2, dtype=np.float64))
