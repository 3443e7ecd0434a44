"""What rounding to grids made of a network, judged before anybody gets it: it has to convert, and to answer nearly as it did."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.analysis.non_spiking import non_spiking, obstacles
from onnx2snn.graph.core import Array
from onnx2snn.model.reference import make_runner
from onnx2snn.operators.linear import is_neuron
from onnx2snn.units import percent

#: A network is not rounded to grids where that multiplies its error by more: 24 bits are too few for what lies between products
#: and quotients of many bits. A proof is worth more than a part of one.
WORTH, WORTH_PROVED = 1.25, 2.0
#: Where there is nothing else to compare it with than itself, its answers may move by so much of their standard deviation where
#: weights have changed by more than a 32nd: with more bits, what moves is neurons at their thresholds, as between runtimes.
MOVED, COARSE = 0.1, 2.0**-5
#: Samples whose answers are compared.
SAMPLES = 256


@dataclass
class Difference:
    """Σ (found − expected)² beside what was expected.

    Attributes:
        wrong: Of the differences.
        power: Σ expected².
        total: Σ expected.
        values: How many.
    """

    wrong: float = 0.0
    power: float = 0.0
    total: float = 0.0
    values: int = 0

    def add(self, expected: Array, found: Array) -> None:
        """Further values; of another shape (what data selects may be more, or less), none of them is as expected."""
        wide = expected.astype(np.float64)
        if found.shape != wide.shape:
            found = np.zeros_like(wide)
        self.wrong += float(np.sum((found - wide) ** 2))
        self.power += float(np.sum(wide**2))
        self.total += float(np.sum(wide))
        self.values += wide.size

    @property
    def signal_to_noise(self) -> float:
        """In decibels; infinite without a difference."""
        if self.wrong == 0 or self.power == 0:
            return float("inf")
        return float(10 * np.log10(self.power / self.wrong))

    @property
    def relative(self) -> float:
        """Root mean square difference over the standard deviation of what was expected."""
        if not self.values:
            return 0.0
        variance = self.power / self.values - (self.total / self.values) ** 2
        return float(np.sqrt(self.wrong / self.values / variance)) if variance > 0 else float(self.wrong > 0)


def obstacle_in(graph: gs.Graph) -> str | None:
    """The first operator of a recognised graph that keeps it from converting, by name; None where nothing does."""
    if not any(map(is_neuron, graph.nodes)):
        return graph.outputs[0].name
    return next((one.name for one in obstacles(non_spiking(graph, recognise_checked(graph).rejected))), None)


def moved(
    before: onnx.ModelProto, after: onnx.ModelProto, batches: Iterable[Mapping[str, Array]]
) -> float | None:
    """How far the answers of a network are from what they were, of the output that moved farthest; None without samples."""
    ran, runs = make_runner(before), make_runner(after)
    found: dict[str, Difference] = {}
    seen = 0
    for inputs in batches:
        expected, answers = ran(inputs), runs(inputs)
        for name, value in expected.items():
            if value.dtype.kind == "f":
                found.setdefault(name, Difference()).add(value, answers[name].astype(np.float64))
        seen += len(next(iter(inputs.values())))
        if seen >= SAMPLES:
            break
    return max((one.relative for one in found.values()), default=None if not seen else 0.0)


@dataclass(frozen=True)
class Product:
    """What came of rounding a network to grids.

    Attributes:
        exact: Every layer is proved.
        weights: The largest change of a layer's weights, over their root mean square.
        obstacle: The operator that keeps it from converting, where the network itself converts.
        error: The error of its outputs, over their standard deviation; None where there was nothing to measure it on.
        before: That of the network as it was; None: the error is from what that answers.
    """

    exact: bool
    weights: float
    obstacle: str | None
    error: float | None
    before: float | None = None

    @property
    def fault(self) -> str:
        """Why the network stays better as it is, in words; empty where it does not."""
        if self.obstacle is not None:
            return f"on grids it would not convert: '{self.obstacle}' would be no neuron"
        if self.error is None or self.error <= self._most:
            return ""
        return f"on grids, on which sums have 24 bits, its outputs would be off by {percent(self.error)}"

    @property
    def _most(self) -> float:
        if self.before is not None:
            return (WORTH_PROVED if self.exact else WORTH) * self.before
        return MOVED if self.weights > COARSE else math.inf
