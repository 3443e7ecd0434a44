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


class Appending(Protocol):
    """Where nodes are written."""

    def add(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node of the default domain; the name of its one output."""
        ...

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """A constant; its name."""
        ...


class Nodes(Appending, Protocol):
    """Where tables are looked up, too."""

    def look_up(self, table: str, places: str) -> str:
        """The entries of ``table`` (R,) at ``places`` (N, ...), int64."""
        ...


def rows_of(nodes: Nodes, tensor: str, steps: int) -> list[str]:
    """``tensor`` (steps, ...) by its first axis."""
    return [nodes.add("Gather", [tensor, nodes.constant(t, np.int64)], axis=0) for t in range(steps)]


def integrated(
    nodes: Nodes, currents: Sequence[str], bias: str, form: str, live: Sequence[str] | None = None
) -> tuple[str, list[str]]:
    """The potential v after the currents of each time step and its bias; and v behind each step, without it (METHOD 4).

    Args:
        nodes: Where it is written.
        currents: I(t), (N, ...) each.
        bias: In the form ``form``.
        form: ``once``, ``per-step`` or ``paper``.
        live: 1 for steps in which there is a current at all, 0 for others; None: there is one in each.
    """
    v, course = "", []
    for t, current in enumerate(currents):
        gain = nodes.constant(2.0 ** (len(currents) - 1 - t)) if form == "paper" else ""
        share = nodes.add("Mul", [bias, live[t]]) if live and form != "once" else bias
        v = accumulated(nodes, v, current, share, gain=gain, form=form)
        course.append(v)
    return (nodes.add("Add", [v, bias]) if form == "once" else v), course


def accumulated(nodes: Nodes, v: str, current: str, bias: str, *, form: str, gain: str = "") -> str:
    """The potential ``v`` after one more time step; "" stands for a potential of zero."""
    if form == "paper":
        current = nodes.add("Mul", [current, gain])
    elif v:
        v = nodes.add("Add", [v, v])
    v = nodes.add("Add", [v, current]) if v else current
    return v if form == "once" else nodes.add("Add", [v, bias])


def fired(
    nodes: Nodes, v: str, compare: Sequence[str], subtract: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Spikes (N, ...) of each time step of generation, with soft reset; and v in front of each."""
    spikes, course = [], []
    for t, (threshold, taken) in enumerate(zip(compare, subtract, strict=True)):
        course.append(v)
        spikes.append(spike(nodes, v, threshold))
        if t + 1 < len(compare):
            v = reset(nodes, v, spikes[-1], taken)
    return spikes, course


def spike(nodes: Nodes, v: str, threshold: str) -> str:
    """A one where v reaches ``threshold``, a zero elsewhere."""
    return nodes.add("Cast", [nodes.add("GreaterOrEqual", [v, threshold])], to=TensorProto.FLOAT)


def reset(nodes: Nodes, v: str, spikes: str, taken: str) -> str:
    """What is left of v: soft reset, by subtraction."""
    return nodes.add("Sub", [v, nodes.add("Mul", [spikes, taken])])


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

    Attributes:
        found: The place p that has been found so far, int64, broadcasts to v; "" for the start of the row.
    """

    def __init__(
        self, nodes: Nodes, thresholds: str, rows: str, limit: str | None = None, found: str = ""
    ) -> None:
        self._nodes, self._thresholds, self._rows, self._limit = nodes, thresholds, rows, limit
        self.found = found

    def threshold(self, weight: str) -> str:
        """Of the spike that carries ``weight``, int64."""
        nodes, one = self._nodes, self._nodes.constant(1, np.int64)
        place = nodes.add("Add", [self.found, weight]) if self.found else weight
        if self._limit is None:
            place = nodes.add("Sub", [nodes.add("Add", [self._rows, place]), one])
            return self._at(place)
        inside = nodes.add("Less", [place, self._limit])
        last = nodes.add("Sub", [self._limit, one])
        place = nodes.add("Sub", [nodes.add("Add", [self._rows, nodes.add("Min", [place, last])]), one])
        held = self._at(place)
        return nodes.add("Where", [inside, held, nodes.constant(np.inf)])

    def _at(self, place: str) -> str:
        """The first threshold of a row is a constant, no bigger than the rows."""
        if self.found:
            return self._nodes.look_up(self._thresholds, place)
        return self._nodes.add("Gather", [self._thresholds, place], axis=0)

    def take(self, spikes: str, weight: str) -> None:
        """Go on behind the thresholds that were reached."""
        nodes = self._nodes
        step = nodes.add("Mul", [nodes.add("Cast", [spikes], to=TensorProto.INT64), weight])
        self.found = nodes.add("Add", [self.found, step]) if self.found else step


def searched(nodes: Nodes, v: str, search: Search, timesteps: int) -> tuple[list[str], list[str]]:
    """Spikes (N, ...) of each time step of a neuron with a table, and the thresholds that v was compared with."""
    spikes, thresholds = [], []
    for t in range(timesteps):
        weight = nodes.constant(2 ** (timesteps - 1 - t), np.int64)
        thresholds.append(search.threshold(weight))
        spikes.append(spike(nodes, v, thresholds[-1]))
        if t + 1 < timesteps:
            search.take(spikes[-1], weight)
    return spikes, thresholds


def rate_fired(
    nodes: Nodes, currents: Sequence[str], bias: str, compare: Sequence[str], subtract: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Spikes of a plain integrate-and-fire neuron, which fires while it integrates; and v in front of each.

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
        left = reset(nodes, v, spikes[-1], subtract[t])
    return spikes, course
