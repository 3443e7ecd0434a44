"""How passes are applied: each once, or several until nothing changes; and how it is known whether one changed anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import is_
from typing import Any, NamedTuple, TypeAlias

import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import forget
from onnx2snn.graph.core import Pass, is_constant, tidy

#: Rounds after which passes that still change the graph are taken to undo each other.
MAX_ROUNDS = 16


@dataclass(frozen=True)
class Fixpoint:
    """Passes that are repeated until none of them changes the graph; itself a pass.

    One that has seen the graph as it is does not run again: a second run of a pass changes nothing, so it has seen what it left.
    """

    passes: tuple[Pass, ...]

    def __init__(self, *passes: Pass) -> None:
        object.__setattr__(self, "passes", passes)

    @property
    def __name__(self) -> str:
        """Those of its passes."""
        return ", ".join(one.__name__ for one in self.passes)

    def __call__(self, graph: gs.Graph) -> gs.Graph:
        """Pure, as every pass."""
        return apply_owned(graph.copy(), [self])


#: Told of each pass that ran, and of the graph behind it.
Watcher: TypeAlias = Callable[[Pass, gs.Graph], None]


def apply_owned(graph: gs.Graph, passes: Iterable[Pass], watcher: Watcher | None = None) -> gs.Graph:
    """Apply passes one after the other to a graph that nobody else holds: without a copy for each of them."""
    forget(graph)
    run = _Run(graph, watcher)
    for one in passes:
        run.apply(one)
    return run.graph


class _Run:
    """A graph on its way through passes.

    Attributes:
        graph: As it is.
        changes: How often it was changed.
    """

    def __init__(self, graph: gs.Graph, watcher: Watcher | None) -> None:
        self.graph = graph
        self.changes = 0
        self._watcher = watcher
        self._state = state_of(graph)

    def apply(self, one: Pass) -> None:
        if isinstance(one, Fixpoint):
            self._settle(one)
            return
        function: Pass = getattr(one, "__wrapped__", one)
        graph = function(self.graph)
        if not state_of(graph).equals(self._state):
            self.changes += 1
            self.graph = tidy(graph)
            forget(self.graph)
            self._state = state_of(self.graph)
        if self._watcher is not None:
            self._watcher(one, self.graph)

    def _settle(self, fixpoint: Fixpoint) -> None:
        seen: dict[Pass, int] = {}
        for _ in range(MAX_ROUNDS):
            before = self.changes
            for one in fixpoint.passes:
                if seen.get(one) != self.changes:
                    self.apply(one)
                    seen[one] = self.changes
            if self.changes == before:
                return
        raise AssertionError(f"these passes undo each other: {fixpoint.__name__}")


class State(NamedTuple):
    """What passes may change of a graph.

    Attributes:
        things: Nodes, tensors and attributes, in order.
        facts: What is said of them.
    """

    things: list[Any]
    facts: list[Any]

    def equals(self, other: State) -> bool:
        """Whether the same is said of the same things."""
        same = len(self.things) == len(other.things) and all(map(is_, self.things, other.things))
        return same and self.facts == other.facts


def state_of(graph: gs.Graph) -> State:
    """What ``graph`` is: as long as that stays, nothing was changed."""
    things: list[Any] = [*graph.inputs, *graph.outputs]
    facts: list[Any] = [len(graph.inputs), *map(_said, graph.inputs), *map(_said, graph.outputs)]
    for node in graph.nodes:
        inputs, outputs, attrs = node.inputs, node.outputs, node.attrs
        things.append(node)
        things.extend(inputs)
        facts.extend(id(t.values) for t in inputs if is_constant(t))  # not held: replaced weights are let go
        things.extend(outputs)
        facts += (node.op, node.domain, node.name, len(inputs), len(outputs), *attrs)
        facts.extend(map(_said, outputs))
        for value in attrs.values():
            if isinstance(value, (int, float, str, list)):
                facts.append(value if not isinstance(value, list) else tuple(value))
            else:
                things.append(value)
    return State(things, facts)


def _said(tensor: gs.Tensor) -> tuple[Any, ...] | None:
    if is_constant(tensor):
        return None
    shape = tensor.shape
    return tensor.name, tensor.dtype, None if shape is None else tuple(shape)
