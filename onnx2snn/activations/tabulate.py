"""Functions of one tensor that take finitely many values, as tables (METHOD 11).

A tensor is *made of* another if nothing but entrywise operators lies between. Where a chain of them ends in a quantiser, or takes
values of one grid only, it is a step function of what it is made of:

1. *behind a quantiser*: its levels are presented to the chain, one in the middle of each step; steps are those of that quantiser;
2. *in front of the first quantiser*: steps are found by bisection (:mod:`.bisection`).
3. *compared with constants alone*: steps are at these (:mod:`.compared_places`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.bisection import KeptSteps, bisected
from onnx2snn.activations.chains import Chain, ChainEvaluation, Single
from onnx2snn.activations.compared_places import MOST_PLACES, compared_with, stepped
from onnx2snn.activations.findings import Found, Recognition, Rejected, rejected
from onnx2snn.activations.grids import (
    SAMPLES,
    Grid,
    Parts,
    changes_of,
    lines_of,
    middles_of,
    of_grid,
    of_lines,
)
from onnx2snn.activations.made_of import MadeOf
from onnx2snn.activations.neuron import Staircase
from onnx2snn.activations.rationals import NotPiecewiseLinearError
from onnx2snn.activations.tables import Table, Wide
from onnx2snn.graph.core import is_float, signals
from onnx2snn.graph.walks import backward
from onnx2snn.operators.linear import MOVEMENT, ORDER_PRESERVING, is_linear

#: A function of more values is no list of them.
MOST_VALUES = 4096
_KEPT = KeptSteps()


@dataclass(frozen=True)
class Tabulated:
    """A function of one tensor: ``output`` = Σ parts(``root``) + ``shift``, a part being α·k.

    Attributes:
        parts: Rising steps, and falling ones with a scale of the other sign; one where all rise or all fall; none of a constant.
        shift: o.
        root: The potential.
        output: The tensor of the source.
        nodes: The nodes that compute it, in topological order.
        first: The quantiser whose levels it is a function of; None where it is one of the potential.
    """

    parts: Parts
    shift: NDArray[np.float64]
    root: gs.Tensor
    output: gs.Tensor
    nodes: tuple[gs.Node, ...]
    first: Found | None = None

    @property
    def timesteps(self) -> int:
        """T."""
        return _timesteps(self.parts)


def tabulate(graph: gs.Graph, recognition: Recognition) -> tuple[list[Tabulated], dict[str, Rejected]]:
    """The functions of one tensor that are no staircase of a line of it; and those that might have been, with the reason."""
    search = _TableSearch(graph, recognition)
    made: list[Tabulated] = []
    failed: dict[str, Rejected] = {}
    for end in search.ends():
        found = search.tabulated_or_rejected(end)
        if isinstance(found, Rejected):
            failed[end.name] = found
        elif found is not None:
            made.append(found)
    return made, failed


def unchanged(graph: gs.Graph, recognition: Recognition) -> list[Found]:
    """Quantisers that give back what they are given, at every level that can reach them: exporters write one behind each move."""
    search = _TableSearch(graph, recognition)
    return [one for one in recognition.found if search.changes_nothing(one)]


class _TableSearch:
    def __init__(self, graph: gs.Graph, recognition: Recognition) -> None:
        self._graph = graph
        self._found = {id(one.output): one for one in recognition.found}
        self._levels = {id(one.output): one for one in recognition.inner} | self._found
        self._outputs = {id(tensor) for tensor in graph.outputs}
        self._made_of = MadeOf(graph, self._levels)

    def ends(self) -> list[gs.Tensor]:
        """Tensors that something else reads than entrywise operators that are a part of another such function."""
        ends: list[gs.Tensor] = []

        def goes_on(node: gs.Node, needed: list[bool]) -> bool:
            """Whether what ``node`` reads is needed; notes what ends there."""
            if not self._made_of.is_entrywise(node):
                return False
            tensor = node.outputs[0]
            if not any(needed) and not self._is_read_outside(tensor):
                return False
            if not self._bends(tensor):  # a line of what ended before it
                return id(tensor) not in self._found
            is_end = id(tensor) in self._found or not is_linear(node) or self._joins(node)
            ends.extend([tensor] if is_end else [])
            return not is_end

        backward(self._graph.nodes, goes_on)
        return ends[::-1]

    def _is_read_outside(self, tensor: gs.Tensor) -> bool:
        return id(tensor) in self._outputs or not all(map(self._made_of.is_entrywise, tensor.outputs))

    def _bends(self, tensor: gs.Tensor) -> bool:
        """Whether ``tensor`` is no line of what it is made of, nor a staircase of one."""
        if not is_float(tensor):
            return False
        found = self._found.get(id(tensor))
        last = tensor if found is None else found.root
        nearest = self._made_of.path(last)[0]
        nodes = self._made_of.between(nearest, last).nodes
        return any(not is_linear(node) or self._joins(node) for node in nodes)

    @staticmethod
    def _joins(node: gs.Node) -> bool:
        """Whether ``node`` reads several functions of one tensor: thresholds one by one, say."""
        return len({id(t) for t in signals(node)}) > 1

    def _presented_to(self, end: gs.Tensor) -> Found | None:
        """The first staircase of the chain, if ``end`` is made of its root alone; None if there is none."""
        for tensor in self._made_of.path(end)[-2::-1]:
            found = self._levels.get(id(tensor))
            if found is not None and tensor is not end:
                nodes = self._made_of.between(found.root, end).nodes
                return found if all(map(self._made_of.is_entrywise, nodes)) else None
        return None

    def changes_nothing(self, found: Found) -> bool:
        """Whether ``found`` answers what it is given, on all values that are moved or compared in front of it."""
        tensor = found.root
        while tensor.inputs and _copies(tensor.inputs[0]):
            tensor = tensor.inputs[0].inputs[0]
        before = self._found.get(id(self._made_of.path(tensor)[0]))
        if before is None or before is found or not is_float(tensor):
            return False
        given = ChainEvaluation(self._made_of.between(before.root, tensor), tensor, self._made_of.opsets)
        again = ChainEvaluation(
            self._made_of.between(found.root, found.output), found.output, self._made_of.opsets
        )
        if given.channels > 1 or again.channels > 1:
            return False
        values = given.run(given.gathered(middles_of(before.staircase)).astype(np.float32))[1]
        return bool(np.array_equal(again.run(values)[1], values))

    def tabulated_or_rejected(self, end: gs.Tensor) -> Tabulated | Rejected | None:
        """As :meth:`tabulated`, or why not."""
        try:
            return self.tabulated(end)
        except NotPiecewiseLinearError as error:
            return rejected(end.inputs[0], str(error), tuple(n.name for n in self._made_of.chain(end).nodes))

    def tabulated(self, end: gs.Tensor) -> Tabulated | None:
        """The function that ends there; None where it takes too many values."""
        found, first = self._found.get(id(end)), self._presented_to(end)
        if first is None:
            return self._in_front(end, found)
        chain = self._made_of.between(first.root, end)
        evaluation = ChainEvaluation(chain, end, self._made_of.opsets)
        answers = evaluation.run(evaluation.gathered(middles_of(first.staircase)).astype(np.float32))[1]
        grid = Grid.read(answers, few=False) if found is None else Grid.of(found.staircase, evaluation)
        parts = None if grid is None else of_grid(evaluation, grid, changes_of(grid.level(answers)), first)
        if found is None and (parts is None or _timesteps(parts) > first.staircase.timesteps + 1):
            lines = lines_of(answers)
            parts = parts if lines is None else of_lines(evaluation, lines, first)
        if parts is None:
            return None
        shift = evaluation.spread(answers[:1].astype(np.float64))[0]
        if grid is not None and found is not None:
            shift = evaluation.spread(grid.nearest(answers[:1]))[0]
        return Tabulated(parts, shift, chain.root, end, chain.nodes, first)

    def _in_front(self, end: gs.Tensor, found: Found | None) -> Tabulated | None:
        """Cases 2 and 3."""
        chain = self._made_of.chain(end)
        evaluation = ChainEvaluation(chain, end if found is None else found.root, self._made_of.opsets)
        places = compared_with(chain)
        if places is not None and len(places) * evaluation.channels > MOST_PLACES:
            places = None
        if found is None:
            values = evaluation.run((SAMPLES if places is None else places)[:, None])[1]
            grid = Grid.read(values, few=places is None)
            if grid is None or not grid.holds(values):
                return self._listed(evaluation, chain)
        else:
            grid = Grid.of(found.staircase, evaluation)
        step = grid.scale if found is None else evaluation.gathered(found.staircase.threshold[None])[0]
        key = (evaluation.key, *(a.tobytes() for a in (grid.scale, grid.shift, step)))
        steps = _KEPT.get(
            key,
            lambda: (
                bisected(evaluation, grid.level, step)
                if places is None
                else stepped(evaluation, grid.level, places)
            ),
        )
        shift = evaluation.spread((grid.shift + grid.scale * steps.start)[None])[0]
        return Tabulated(of_grid(evaluation, grid, steps, None), shift, chain.root, end, chain.nodes)

    @staticmethod
    def _listed(evaluation: ChainEvaluation, chain: Chain) -> Tabulated | None:
        """Case 2, of few values whose distances have few sizes, and none in common."""
        values = np.unique(evaluation.run(SAMPLES[:, None])[1]) if evaluation.channels == 1 else SAMPLES
        lines = lines_of(values[:, None]) if len(values) <= MOST_VALUES else None
        if lines is None:
            return None

        def level(answers: Single) -> Wide:
            place = np.clip(np.searchsorted(values, answers), 0, len(values) - 1)
            return np.where(values[place] == answers, place, np.nan)

        steps = bisected(evaluation, level, np.diff(values).min(initial=np.inf)[None])
        passed = (
            np.maximum(np.cumsum(steps.rise, axis=0), np.cumsum(steps.rise, axis=0) - steps.rise)
            + steps.start
            - 1
        )
        parts: Parts = ()
        for scale, rise in lines:
            some = replace(steps, rise=steps.rise * rise[passed[:, 0]])
            parts += of_grid(evaluation, Grid(scale, 0 * scale), some, None)
        shift = np.asarray(values[steps.start[0]], np.float64)
        return Tabulated(parts, shift, chain.root, chain.output, chain.nodes)


def _timesteps(parts: Sequence[Staircase | Table]) -> int:
    return max((part.timesteps for part in parts), default=1)


def _copies(node: gs.Node) -> bool:
    """Whether ``node`` moves entries, or picks the largest of some."""
    return not node.domain and node.op in (*MOVEMENT, *ORDER_PRESERVING) and len(signals(node)) == 1
