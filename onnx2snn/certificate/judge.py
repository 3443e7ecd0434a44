"""What rounding may do to one layer, and what it may not.

Potentials are compared in units of θ: u = (z + δ)/θ of the source, v/θ' of the spiking network. With the same levels before
them, three things must hold wherever two levels differ:

1. *the source's level*: some number within E of u has it, E = γ_n·M + the roundings of the activation's own operators
   (where the source computes in float16 or bfloat16, each operator's result is rounded to that, too);
2. *the spiking network's level*: some number within E' of v/θ' has it, E' = γ_(n + 2T + 6)·M: integration rounds twice a step;
3. *the maps agree*: |u − v/θ'| ≤ W = m·u·M: conversion rounded each constant a few times, and did nothing else.

M = (Σ|w|·|x| + |δ|)/θ. Where all numbers are multiples of one power of two and sums stay below 2²⁴ of it, float32 is exact
and E (or E') is zero, unless the activation's own operators divide by other numbers: then no difference is excused.
Where operators with jumps lie before the layer, their reach is added to all three.

An execution through 8-bit kernels rounds θ once more, to a kernel's multiplier: W is added to E', unless θ has so few bits that
its multiplier is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.neuron_check import Neuron, generate, theta_of
from onnx2snn.certificate.potentials import Potentials
from onnx2snn.certificate.reading import ReadActivation
from onnx2snn.operators.signals import (
    ANY,
    CONSTANTS,
    EXACT,
    UNIT,
    UNIT64,
    Wide,
    coarse,
    gamma,
    integrated,
    quanta,
)

#: Parameters that have one for each threshold, or time step, along their first axis.
_IN_ROWS = ("compare", "positions", "slack", "strict", "subtract", "thresholds")
#: Potentials that are judged together.
BLOCK = 1 << 20


def _is_short(thresholds: Wide) -> NDArray[np.bool_]:
    """Where 1/θ is a number of float32: θ is a power of two."""
    return np.asarray(np.frexp(thresholds)[0] == 0.5)


@dataclass(frozen=True)
class Margins:
    """How far things may be apart, (N, ...), in units of θ.

    Attributes:
        source: E.
        spiking: E'.
        maps: W.
    """

    source: Wide
    spiking: Wide
    maps: Wide


@dataclass(frozen=True)
class Judge:
    """One layer of neurons and its activation.

    Attributes:
        activation: Of the source.
        neuron: Of the spiking network.
        timesteps: T.
        kernels: The spiking network is executed through 8-bit kernels.
    """

    activation: ReadActivation
    neuron: Neuron
    timesteps: int
    kernels: bool = False

    def axes(self, rank: int) -> list[int]:
        """The axes of potentials (N, ...) along which thresholds are the same."""
        held = [*vars(self.activation.staircase).items(), *vars(self.neuron).items()]
        sizes = [np.shape(a)[name in _IN_ROWS :] for name, a in held if isinstance(a, np.ndarray)]
        return [
            a
            for a in range(1, rank)
            if all(s[a - rank :][:1] in ((), (1,)) for s in sizes if len(s) >= rank - a)
        ]

    @property
    def parameters(self) -> tuple[Wide, ...]:
        """What potentials are put in units of thresholds by, of each channel or neuron."""
        staircase = self.activation.staircase
        return staircase.threshold, staircase.offset, staircase.reach, theta_of(self.neuron)

    def parts(self, shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
        """Where in potentials (N, ...) so few stand that a dozen of their copies fit; thresholds are the same in each."""
        axis = max(self.axes(len(shape)), key=lambda a: shape[a], default=0)
        step = max(1, BLOCK * shape[axis] // max(math.prod(shape), 1))
        return [(*(slice(None),) * axis, slice(i, i + step)) for i in range(0, shape[axis], step)]

    def positions(self, p: Potentials) -> tuple[Wide, Wide]:
        """Where both potentials stand: u and v/θ', (N, ...)."""
        staircase = self.activation.staircase
        u = (p.source + staircase.offset) / staircase.threshold
        return u, p.spiking / theta_of(self.neuron)

    def margins(self, p: Potentials) -> Margins:
        """E, E' and W."""
        staircase, n = self.activation.staircase, p.rounding.terms
        m = (p.magnitude + np.abs(staircase.offset)) / staircase.threshold
        own = (self.activation.operators + 2) * 2 * self.activation.unit * (m + staircase.reach)
        with np.errstate(invalid="ignore"):  # a quotient of silence is no number, in both networks
            share = coarse(self.activation.unit, p.rounding.operators)
            narrow = share * m if share else 0.0  # M may be infinite
        exact_source, exact_spiking = self._exact(p)
        maps = (CONSTANTS + p.rounding.constants) * UNIT + 2 * (n + 4) * UNIT64
        again = maps * m * ~_is_short(np.asarray(staircase.threshold)) if self.kernels else 0.0
        reach = 0.0 if p.reach is None else p.reach / staircase.threshold
        return Margins(
            reach + np.where(exact_source, 0.0, gamma(n + 1) * m + narrow + own),
            reach + np.where(exact_spiking, 0.0, gamma(integrated(n, self.timesteps)) * m) + again,
            reach + maps * m,
        )

    def _exact(self, p: Potentials) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where float32 rounds nothing, in the source and in the spiking network."""
        staircase = self.activation.staircase
        own = np.minimum(quanta(np.asarray(staircase.offset)), quanta(np.asarray(staircase.threshold)))
        held = np.minimum(p.rounding.quantum, own)
        magnitude = p.magnitude + np.abs(staircase.offset)
        whole = self.activation.exact
        source = (2 * (magnitude + staircase.threshold) <= held / self.activation.unit) & whole
        scale = theta_of(self.neuron) / staircase.threshold
        spiking = magnitude * scale <= EXACT * np.minimum(p.spiking_quantum, ANY)
        return source, spiking & (np.asarray(p.spiking_quantum) > 0)

    def alternatives(self, p: Potentials) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The lowest and the highest level that rounding can give to the source's potentials (criterion 1), (N, ...)."""
        staircase, reach = (
            self.activation.staircase,
            self.margins(p).source * self.activation.staircase.threshold,
        )
        return staircase.level_range(p.source - reach, p.source + reach)

    def level(self, p: Potentials) -> NDArray[np.int64]:
        """The level that the source's potentials have in exact arithmetic, of which float64 stands in the place, (N, ...)."""
        return self.activation.staircase.level_range(p.source, p.source)[0]

    def agrees(self, p: Potentials) -> NDArray[np.bool_]:
        """Criterion 3, (N, ...)."""
        u, v = self.positions(p)
        return np.abs(u - v) <= self.margins(p).maps

    def explained(
        self, p: Potentials, source: NDArray[np.int64], spiking: NDArray[np.int64]
    ) -> list[NDArray[np.bool_]]:
        """Criteria 1 to 3 for the levels that both networks answered, (N, ...)."""
        lowest, highest = self.alternatives(p)
        theirs = [lowest <= source, source <= highest]
        reach = self.margins(p).spiking * theta_of(self.neuron)
        ours = [
            generate(self.neuron, p.spiking - reach) <= spiking,
            spiking <= generate(self.neuron, p.spiking + reach),
        ]
        return [np.logical_and(*theirs), np.logical_and(*ours), self.agrees(p)]
