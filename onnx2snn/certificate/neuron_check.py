"""The neuron alone: at every threshold, the level that an IF node answers against that of the activation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.activations import NeuronParameters, Staircase, Table
from onnx2snn.activations.rules import Rules, by_rule
from onnx2snn.activations.tables import reached, smallest_reached
from onnx2snn.operators.signals import UNIT

#: Thresholds that are looked at one by one; of more levels, those around powers of two and a random choice.
MOST_LEVELS = 4096
#: Roundings that a threshold may have gone through.
_ROUNDINGS = 4


@dataclass(frozen=True)
class Misstep:
    """A potential at which a neuron answers another level than its activation.

    Attributes:
        channel: Index within the parameters, of one sample.
        potential: v, in units of the threshold θ.
        expected: The activation's level.
        found: The neuron's.
    """

    channel: tuple[int, ...]
    potential: float
    expected: int
    found: int


@dataclass(frozen=True)
class TableNeuron:
    """A neuron with a table, as its node holds it.

    Attributes:
        thresholds: float32 (2^T − 1, ...), sorted, padded with +∞.
        theta: What stands for the threshold θ of the activation.
    """

    thresholds: NDArray[np.float32]
    theta: NDArray[np.float64]


#: What a neuron of the spiking network holds.
Neuron: TypeAlias = NeuronParameters | TableNeuron


def theta_of(neuron: Neuron) -> NDArray[np.float64]:
    """What stands for the threshold θ of the activation: what the last spike takes."""
    return neuron.theta if isinstance(neuron, TableNeuron) else neuron.subtract[-1].astype(np.float64)


def generate(neuron: Neuron, v: NDArray[np.float64]) -> NDArray[np.int64]:
    """The level that the neuron's spikes carry at potentials ``v`` (N, ...), in exact arithmetic (METHOD 3)."""
    if isinstance(neuron, TableNeuron):
        return reached(neuron.thresholds, v)
    v = np.minimum(v, neuron.ceiling.astype(np.float64))
    k = np.zeros(v.shape, np.int64)
    for threshold, taken in zip(neuron.compare, neuron.subtract, strict=True):
        spikes = v >= threshold
        v = v - spikes * taken.astype(np.float64)
        k = 2 * k + spikes
    return k


def missteps(neuron: Neuron, activation: Staircase | Table) -> list[Misstep]:
    """Where the neuron is not its activation, at thresholds."""
    if isinstance(neuron, TableNeuron) and isinstance(activation, Table):
        return _misplaced(neuron, activation)
    if isinstance(neuron, TableNeuron) or isinstance(activation, Table):
        raise AssertionError("a pair is of one kind")
    return _missteps(neuron, activation)


def _misplaced(neuron: TableNeuron, table: Table) -> list[Misstep]:
    """Each threshold is the smallest number that has reached that of the activation, up to its slack."""
    expected = smallest_reached(replace(table, threshold=neuron.theta)).astype(np.float64)
    there = neuron.thresholds.astype(np.float64)
    sample = np.broadcast_shapes(expected.shape[1:], there.shape[1:])
    missing = (max(0, len(there) - len(expected)), *expected.shape[1:])
    expected = np.concatenate([expected, np.full(missing, np.inf)])
    slack = np.concatenate([table.slack, np.zeros((missing[0], *table.slack.shape[1:]))])
    aligned = [
        a.reshape(len(a), *(1,) * (len(sample) + 1 - a.ndim), *a.shape[1:]) for a in (expected, there, slack)
    ]
    expected, there, slack = (np.broadcast_to(a, (len(a), *sample)) for a in aligned)
    with np.errstate(invalid="ignore"):
        near = np.abs(expected - there) <= slack * neuron.theta
    found = []
    for at in np.argwhere(~((expected == there) | near)):
        index, level = tuple(int(i) for i in at), int(at[0])
        place = float(min(expected[index], there[index]))
        order = (level, level + 1) if expected[index] > there[index] else (level + 1, level)
        found.append(Misstep(index[1:], place, *order))
    return found


def _missteps(neuron: NeuronParameters, staircase: Staircase) -> list[Misstep]:
    """Where the neuron is not the staircase of threshold θ' = what its last spike takes, offset 0.

    Just below each threshold, just above it, and, where the threshold is a number of float32, exactly on it: there the
    rounding rule shows. "Just" is four roundings away.
    """
    theta = neuron.subtract[-1].astype(np.float64)
    rules = staircase.rounding
    held = (theta, neuron.compare[-1], neuron.ceiling, staircase.ceilings, rules)
    shape = np.broadcast_shapes(*(values.shape for values in held))
    ceilings = np.broadcast_to(staircase.ceilings, shape)
    first = by_rule(rules, floor=0.0, ceil=-1.0, half_even=-0.5, half_odd=-0.5)
    found: list[Misstep] = []
    levels = _levels(staircase.levels)
    for block in np.array_split(levels, max(1, levels.size * max(1, theta.size) // (1 << 20))):
        j = block.reshape((-1,) + (1,) * len(shape))
        edge = np.broadcast_to((j + first) * theta, (len(block), *shape))
        slack = _ROUNDINGS * UNIT * np.maximum(np.abs(edge), theta)
        sharp, everywhere = edge.astype(np.float32) == edge, np.ones(edge.shape, bool)
        on = j - 1 + _inclusive(rules, j)
        for v, expected, where in (
            (edge - slack, j - 1, everywhere),
            (edge + slack, j, everywhere),
            (edge, on, sharp),
        ):
            wanted = np.clip(np.broadcast_to(expected, edge.shape), 0, ceilings)
            wrong = (generate(neuron, v) != wanted) & where
            found += [_misstep(at, v / theta, wanted, generate(neuron, v)) for at in np.argwhere(wrong)[:3]]
    return found


def _inclusive(rules: Rules, j: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 where a potential exactly on threshold j belongs to level j, 0 where it belongs to j − 1."""
    even = (j % 2 == 0).astype(np.int64)
    return by_rule(rules, floor=np.ones_like(j), ceil=np.zeros_like(j), half_even=even, half_odd=1 - even)


def _levels(highest: int) -> NDArray[np.int64]:
    """Levels whose thresholds are looked at, one above the highest (which no potential may reach)."""
    if highest < MOST_LEVELS:
        return np.arange(1, highest + 2)
    powers = 2 ** np.arange(int(highest).bit_length())
    drawn = np.random.default_rng(0).integers(1, highest + 1, MOST_LEVELS)
    chosen = np.concatenate([powers - 1, powers, powers + 1, drawn, [highest, highest + 1]])
    return np.unique(chosen[(chosen >= 1) & (chosen <= highest + 1)])


def _misstep(
    at: NDArray[Any], potential: NDArray[Any], expected: NDArray[Any], found: NDArray[Any]
) -> Misstep:
    index = tuple(int(i) for i in at)
    return Misstep(index[1:], float(potential[index]), int(expected[index]), int(found[index]))
