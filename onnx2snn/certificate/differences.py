"""Small things that comparing arrays needs, and what they are called in a defect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.findings import MOST_DEFECTS
from onnx2snn.certificate.result import Defect
from onnx2snn.graph.core import Array

#: Levels (N, ...) by source tensor: whole numbers.
Levels: TypeAlias = Mapping[str, Array]
Mask: TypeAlias = NDArray[np.bool_]


def given(inputs: Mapping[str, Array], levels: Levels, rows: NDArray[np.int64]) -> Mapping[str, Array]:
    """Network inputs and ``level/<layer>`` of some samples, each made when it is read."""
    of = {f"level/{name}": name for name in levels} | {name: name for name in inputs}

    def value(name: str) -> Array:
        return levels[of[name]][rows].astype(np.float64) if name not in inputs else inputs[name][rows]

    return Lazy(of, value)


class Lazy(Mapping[str, Array]):
    """Arrays by name, each made when it is asked for: all of them at once may not fit."""

    def __init__(self, names: Iterable[str], make: Callable[[str], Array]) -> None:
        self._names, self._make = dict.fromkeys(names), make

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def compact(levels: Array, timesteps: int) -> Array:
    """Levels of so many bits, in as few bytes as hold them."""
    most = 2**timesteps - 1
    return np.clip(levels, 0, most).astype(np.min_scalar_type(most))


def difference(a: Array, b: Array) -> NDArray[np.float64]:
    """|a − b|; 0 where both are the same infinity or no number, infinite where only one is."""
    one, other = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = np.abs(one - other)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return np.where(same, 0.0, np.nan_to_num(error, nan=np.inf))


def unequal(a: Array, b: Array) -> Mask | None:
    """Where they differ (or either is no number); None where they do not."""
    mask = a != b
    return mask if mask.any() else None


def any_of(mask: Mask) -> Mask:
    """By sample: whether any is."""
    return np.asarray(mask.reshape(len(mask), -1).any(axis=1))


def places(mask: Mask) -> list[tuple[int, ...]]:
    """The first places where ``mask`` is true, as many as defects are shown."""
    return [tuple(int(i) for i in at) for at in np.argwhere(mask)[:MOST_DEFECTS]] if mask.any() else []


def defect(
    layer: str, sample: int | None, neuron: tuple[int, ...], reason: str, *, ann: float, snn: float,
    potential: float | None = None, threshold: float | None = None, bound: float = 0.0,
) -> Defect:  # fmt: skip
    """A defect in plain numbers."""
    found = None if sample is None else int(sample)
    return Defect(layer, found, neuron, float(ann), float(snn), potential, threshold, float(bound), reason)
