"""The neurons' equations in plain ONNX operators, unrolled over time: the one place where a neuron is written down.

    integration, t = 0 … S−1:   v ← 2·v + I(t)
    bias, once:                 v ← v + bias
    saturation:                 v ← min(v, ceiling)
    generation,  t = 0 … T−1:   s(t) = [v ≥ compare(t)];   v ← v − s(t)·subtract(t)

METHOD 3 and 11; Datta et al., arXiv 2312.06900, section 4. What is written goes to a :class:`Nodes`: the body of a function, or
a graph that is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto


class Nodes(Protocol):
    """Where nodes are written."""

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node of the default domain; the name of its one output."""
        ...

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """A constant; its name."""
        ...


def rows_of(nodes: Nodes, tensor: str, steps: int) -> list[str]:
    """``tensor`` (steps, ...) by its first axis."""
    return [nodes.add("Gather", [tensor, nodes.constant(t, np.int64)], axis=0) for t in range(steps)]


def integrated(
    nodes: Nodes, currents: Sequence[str], bias: str, form: str, live: Sequence[str] | None = None
) -> str:
    """The potential v after the currents of each time step, with its bias (METHOD 4).

    Args:
        nodes: Where it is written.
        currents: I(t), (N, ...) each.
        bias: In the form ``form``.
        form: ``once``, ``per-step`` or ``paper``.
        live: 1 for steps in which there is a current at all, 0 for others; None: there is one in each.
    """
    if form == "paper":
        gains = [nodes.constant(2.0**bit) for bit in reversed(range(len(currents)))]
        currents = [nodes.add("Mul", [gain, current]) for gain, current in zip(gains, currents, strict=True)]
    v = ""
    for t, current in enumerate(currents):
        if v and form != "paper":
            v = nodes.add("Add", [v, v])
        v = nodes.add("Add", [v, current]) if v else current
        if form != "once":
            share = nodes.add("Mul", [bias, live[t]]) if live else bias
            v = nodes.add("Add", [v, share])
    return nodes.add("Add", [v, bias]) if form == "once" else v


def fired(
    nodes: Nodes, v: str, compare: Sequence[str], subtract: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Spikes (N, ...) of each time step of generation, with soft reset; and v in front of each."""
    spikes, course = [], []
    for t, (threshold, taken) in enumerate(zip(compare, subtract, strict=True)):
        course.append(v)
        spikes.append(spike(nodes, v, threshold))
        if t + 1 < len(compare):
            v = nodes.add("Sub", [v, nodes.add("Mul", [spikes[-1], taken])])
    return spikes, course


def spike(nodes: Nodes, v: str, threshold: str) -> str:
    """A one where v reaches ``threshold``, a zero elsewhere."""
    return nodes.add("Cast", [nodes.add("GreaterOrEqual", [v, threshold])], to=TensorProto.FLOAT)


def level(nodes: Nodes, spikes: Sequence[str]) -> str:
    """The level k = Σ 2^(T−1−t)·s(t)."""
    k = spikes[0]
    for s in spikes[1:]:
        k = nodes.add("Add", [nodes.add("Add", [k, k]), s])
    return k


class Search:
    """The thresholds of a neuron that has a table of them: a binary search, one step after the other (METHOD 11).

        s(t) = [v ≥ thresholds[rows + p + 2^(T−1−t) − 1]];   p ← p + 2^(T−1−t)·s(t);   p = 0 at first

    Args:
        nodes: Where it is written.
        thresholds: Rows of ``limit`` − 1 thresholds one after the other, sorted; (R,).
        rows: Where the row of each neuron starts, int64, broadcasts to v.
        limit: int64, 2 to the power of the bits that rows are made for; steps of more bits are silent. None: of all bits.
    """

    def __init__(self, nodes: Nodes, thresholds: str, rows: str, limit: str | None = None) -> None:
        self._nodes, self._thresholds, self._rows, self._limit = nodes, thresholds, rows, limit
        self._found = ""

    def threshold(self, weight: int) -> str:
        """Of the spike that carries ``weight``."""
        nodes = self._nodes
        place = nodes.constant(weight - 1, np.int64)
        if self._found:
            place = nodes.add("Add", [self._found, place])
        if self._limit is None:
            return nodes.add("Gather", [self._thresholds, nodes.add("Add", [self._rows, place])], axis=0)
        inside = nodes.add("Less", [nodes.add("Add", [place, nodes.constant(1, np.int64)]), self._limit])
        last = nodes.add("Sub", [self._limit, nodes.constant(2, np.int64)])
        place = nodes.add("Add", [self._rows, nodes.add("Min", [place, last])])
        held = nodes.add("Gather", [self._thresholds, place], axis=0)
        return nodes.add("Where", [inside, held, nodes.constant(np.inf)])

    def take(self, spikes: str, weight: int) -> None:
        """Go on behind the threshold that was reached."""
        nodes = self._nodes
        step = nodes.add(
            "Mul", [nodes.add("Cast", [spikes], to=TensorProto.INT64), nodes.constant(weight, np.int64)]
        )
        self._found = nodes.add("Add", [self._found, step]) if self._found else step


def searched(nodes: Nodes, v: str, search: Search, timesteps: int) -> tuple[list[str], list[str]]:
    """Spikes (N, ...) of each time step of a neuron with a table, and the thresholds that v was compared with."""
    spikes, thresholds = [], []
    for t in range(timesteps):
        weight = 2 ** (timesteps - 1 - t)
        thresholds.append(search.threshold(weight))
        spikes.append(spike(nodes, v, thresholds[-1]))
        if t + 1 < timesteps:
            search.take(spikes[-1], weight)
    return spikes, thresholds


def rate_fired(
    nodes: Nodes, currents: Sequence[str], bias: str, compare: Sequence[str], subtract: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Spikes of a plain integrate-and-fire neuron, which fires while it integrates, and v in front of each.

        v ← v + I(t) + bias;   s(t) = [v ≥ compare(t)];   v ← v − s(t)·subtract(t)

    A train carries the number of its spikes. With compare = θ/2 and subtract = θ this is the neuron that starts at half its
    threshold θ (Rueckauer et al., Front. Neurosci. 11:682, 2017): on a constant current it fires clip(floor(x/θ + 1/2), 0, T)
    times. Other currents may come too late: rate-coded networks of several layers are approximations.
    """
    spikes, course, left = [], [], ""
    for t, current in enumerate(currents):
        v = nodes.add("Add", [left, current]) if left else current
        v = nodes.add("Add", [v, bias])
        course.append(v)
        spikes.append(spike(nodes, v, compare[t]))
        left = nodes.add("Sub", [v, nodes.add("Mul", [spikes[-1], subtract[t]])])
    return spikes, course
