"""What was found on some samples; findings on disjoint samples add up, in any order, to the same bits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from onnx2snn.certificate.result import Defect

MOST_DEFECTS, MOST_WORST = 10, 5


@dataclass(frozen=True)
class Counts:
    """Neurons of one layer; see :class:`onnx2snn.certificate.LayerCounts`."""

    levels_compared: int = 0
    exact: int = 0
    ambiguous: int = 0
    propagated: int = 0
    unexplained: int = 0

    def __add__(self, other: Counts) -> Counts:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Counts(*(a + b for a, b in pairs))


@dataclass(frozen=True)
class Findings:
    """The part of a certificate that depends on data.

    Attributes:
        samples: Number of samples.
        layers: By IF node.
        unexplained_outputs: Numbers in outputs that differ by more than rounding explains.
        classed: Samples whose first output is a class or scores.
        same_class: Those of them that both networks put into the same class.
        labelled: Those of them that came with a true class.
        right: How many of those ANN and SNN answered right.
        values: Numbers in all outputs.
        total_error: The exact sum of their differences.
        largest_error: The largest.
        worst: (largest output error, sample), the five largest.
        defects: The first ten by sample.
    """

    samples: int = 0
    layers: Mapping[str, Counts] = field(default_factory=dict)
    unexplained_outputs: int = 0
    classed: int = 0
    same_class: int = 0
    labelled: int = 0
    right: tuple[int, int] = (0, 0)
    values: int = 0
    total_error: Fraction = Fraction(0)
    largest_error: float = 0.0
    worst: tuple[tuple[float, int], ...] = ()
    defects: tuple[Defect, ...] = ()

    def __add__(self, other: Findings) -> Findings:
        names = list(dict.fromkeys([*self.layers, *other.layers]))
        nothing = Counts()
        return Findings(
            samples=self.samples + other.samples,
            layers={n: self.layers.get(n, nothing) + other.layers.get(n, nothing) for n in names},
            unexplained_outputs=self.unexplained_outputs + other.unexplained_outputs,
            classed=self.classed + other.classed,
            same_class=self.same_class + other.same_class,
            labelled=self.labelled + other.labelled,
            right=(self.right[0] + other.right[0], self.right[1] + other.right[1]),
            values=self.values + other.values,
            total_error=self.total_error + other.total_error,
            largest_error=max(self.largest_error, other.largest_error),
            worst=worst(self.worst + other.worst),
            defects=first(self.defects + other.defects),
        )

    @property
    def unexplained(self) -> int:
        """Neurons and output numbers that rounding does not explain."""
        return self.unexplained_outputs + sum(counts.unexplained for counts in self.layers.values())

    def to_state(self) -> dict[str, Any]:
        """Everything, exactly, as JSON can hold it."""
        return dataclasses.asdict(self) | {"total_error": str(self.total_error)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Findings:
        """The inverse of :meth:`to_state`."""
        parsed: dict[str, Any] = {
            **state,
            "layers": {name: Counts(**counts) for name, counts in state["layers"].items()},
            "right": tuple(state["right"]),
            "total_error": Fraction(state["total_error"]),
            "worst": tuple((float(error), int(sample)) for error, sample in state["worst"]),
            "defects": tuple(Defect(**d | {"neuron": tuple(d["neuron"])}) for d in state["defects"]),
        }
        return cls(**parsed)


def worst(found: Iterable[tuple[float, int]]) -> tuple[tuple[float, int], ...]:
    """The largest errors, the earlier sample first where equal."""
    return tuple(sorted(found, key=lambda one: (-one[0], one[1]))[:MOST_WORST])


def first(found: Iterable[Defect]) -> tuple[Defect, ...]:
    """The defects of the earliest samples, in the order in which layers and neurons were looked at."""
    return tuple(
        sorted(found, key=lambda defect: -1 if defect.sample is None else defect.sample)[:MOST_DEFECTS]
    )
