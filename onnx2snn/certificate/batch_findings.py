"""What was found on some samples, which adds up in any order to the same bits; and what comparing arrays needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.certificate import Defect
from onnx2snn.graph.core import Array

MOST_DEFECTS, MOST_WORST = 10, 5


@dataclass(frozen=True)
class Counts:
    """Neurons of one layer; see :class:`onnx2snn.certificate.LayerCounts`."""

    levels_compared: int = 0
    exact: int = 0
    ambiguous: int = 0
    propagated: int = 0
    unexplained: int = 0
    ann_exact: int = 0
    snn_exact: int = 0

    def __add__(self, other: Counts) -> Counts:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Counts(*(a + b for a, b in pairs))


@dataclass(frozen=True)
class OutputNumbers:
    """Numbers of one output.

    Attributes:
        values: How many were compared.
        largest: Their largest difference.
        unexplained: How many differ by more than rounding explains.
    """

    values: int = 0
    largest: float = 0.0
    unexplained: int = 0

    def __add__(self, other: OutputNumbers) -> OutputNumbers:
        return OutputNumbers(
            self.values + other.values,
            max(self.largest, other.largest),
            self.unexplained + other.unexplained,
        )


@dataclass(frozen=True)
class Findings:
    """The part of a certificate that depends on data.

    Attributes:
        samples: Number of samples.
        layers: By IF node.
        outputs: By name.
        classed: Samples whose first output is a class or scores.
        same_class: Those of them that both networks put into the same class.
        labelled: Those of them that came with a true class.
        right: How many of those ANN and SNN answered right.
        total_error: The exact sum of their differences.
        worst: (largest output error, sample), the five largest.
        defects: The first ten by sample.
        alike: Samples in which all levels are equal.
        alike_error: The largest output error of those.
    """

    samples: int = 0
    layers: Mapping[str, Counts] = field(default_factory=dict)
    outputs: Mapping[str, OutputNumbers] = field(default_factory=dict)
    classed: int = 0
    same_class: int = 0
    labelled: int = 0
    right: tuple[int, int] = (0, 0)
    total_error: Fraction = Fraction(0)
    worst: tuple[tuple[float, int], ...] = ()
    defects: tuple[Defect, ...] = ()
    alike: int = 0
    alike_error: float = 0.0

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            samples=self.samples + other.samples,
            layers=_added(self.layers, other.layers, Counts()),
            outputs=_added(self.outputs, other.outputs, OutputNumbers()),
            classed=self.classed + other.classed,
            same_class=self.same_class + other.same_class,
            labelled=self.labelled + other.labelled,
            right=(self.right[0] + other.right[0], self.right[1] + other.right[1]),
            alike=self.alike + other.alike,
            alike_error=max(self.alike_error, other.alike_error),
            total_error=self.total_error + other.total_error,
            worst=worst(self.worst + other.worst),
            defects=first(self.defects + other.defects),
        )

    @property
    def unexplained(self) -> int:
        """Neurons and output numbers that rounding does not explain."""
        return sum(o.unexplained for o in self.outputs.values()) + sum(
            c.unexplained for c in self.layers.values()
        )

    @property
    def values(self) -> int:
        """Numbers in all outputs."""
        return sum(numbers.values for numbers in self.outputs.values())

    @property
    def largest_error(self) -> float:
        """The largest difference of any of them."""
        return max((numbers.largest for numbers in self.outputs.values()), default=0.0)

    def to_state(self) -> dict[str, Any]:
        """Everything, exactly, as JSON can hold it."""
        return dataclasses.asdict(self) | {"total_error": str(self.total_error)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Findings:
        """The inverse of :meth:`to_state`."""
        parsed: dict[str, Any] = {
            **state,
            "layers": {name: Counts(**counts) for name, counts in state["layers"].items()},
            "outputs": {name: OutputNumbers(**numbers) for name, numbers in state["outputs"].items()},
            "right": tuple(state["right"]),
            "total_error": Fraction(state["total_error"]),
            "worst": tuple((float(error), int(sample)) for error, sample in state["worst"]),
            "defects": tuple(Defect(**d | {"neuron": tuple(d["neuron"])}) for d in state["defects"]),
        }
        return cls(**parsed)


def _added(one: Mapping[str, Any], other: Mapping[str, Any], nothing: Any) -> dict[str, Any]:
    """Sums by name."""
    return {n: one.get(n, nothing) + other.get(n, nothing) for n in dict.fromkeys([*one, *other])}


def worst(found: Iterable[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    """The largest errors, the earlier sample first where equal."""
    return tuple(sorted(found, key=lambda one: (-one[0], one[1]))[:MOST_WORST])


def first(found: Iterable[Defect]) -> tuple[Defect, ...]:
    """The defects of the earliest samples, in the order in which layers and neurons were looked at."""
    return tuple(
        sorted(found, key=lambda defect: -1 if defect.sample is None else defect.sample)[:MOST_DEFECTS]
    )


#: Levels (N, ...) by source tensor: whole numbers.
Levels: TypeAlias = Mapping[str, Array]
Mask: TypeAlias = NDArray[np.bool_]


def given(inputs: Mapping[str, Array], levels: Levels, rows: NDArray[np.int64]) -> Mapping[str, Array]:
    """Network inputs and ``level/<layer>`` of some samples, each taken when it is read."""
    of = {f"level/{name}": name for name in levels} | {name: name for name in inputs}

    def value(name: str) -> Array:
        return (inputs if name in inputs else levels)[of[name]][rows]

    return Lazy(of, value)


def first_batch(inputs: Mapping[str, Array], levels: Levels, batch: int | None) -> Mapping[str, Array]:
    """As :func:`given`, of the first samples: one, or a batch that the network fixes, filled up with the last of them."""
    rows = np.arange(batch or 1)
    return given(inputs, levels, np.minimum(rows, len(next(iter(inputs.values()))) - 1))


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
    held = np.min_scalar_type(most)
    # Older versions of NumPy take no bound beyond a type.
    wide: Array = levels.astype(np.promote_types(levels.dtype, held), copy=False)
    return np.clip(wide, 0, most).astype(held)


def difference(a: Array, b: Array) -> NDArray[np.float64]:
    """|a − b|; 0 where both are the same infinity or no number, infinite where only one is; of text, 0 where it is the same."""
    if a.dtype.kind in "OSU":
        return np.where(a == b, 0.0, np.inf)
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


def replaced(values: Array, rows: Mask, others: Array) -> Array:
    """``values`` with other values in some rows."""
    result: Array = values.copy()
    result[rows] = others
    return result
