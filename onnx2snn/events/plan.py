"""In which order a network is computed, by which means: synapses by events, entry by entry in loops, the rest in few pieces."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.draft import Draft, is_dialect, sizes_of
from onnx2snn.compile.spike_sums import SPIKE_SUMS, sums_of
from onnx2snn.events.channels_last import reshaped
from onnx2snn.events.entry_loops import TYPES, Group, as_operand, has_formula
from onnx2snn.events.event_synapses import followed, pool
from onnx2snn.events.pieces import Parts, Piece
from onnx2snn.events.programs import EventStep, Run, Spelled, loop
from onnx2snn.events.spike_counts import counted
from onnx2snn.graph.walks import forward
from onnx2snn.model.nodes import needed
from onnx2snn.model.subgraphs import names_read
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators import of

Array: TypeAlias = NDArray[Any]
Node: TypeAlias = onnx.NodeProto

#: Entries of a sample that a loop takes no longer for than it takes to be called.
_SMALL = 1 << 14
#: Outputs that nothing waits for: they are computed at the end, all in one piece.
_COUNTS = ("spikes/", "synops/", "sizes/")


class Planner:
    """Cuts a network into steps.

    Args:
        network: In plain operators, all types declared.
        options: Of onnxruntime's engine, by name.
    """

    def __init__(self, network: SplitModel, options: dict[str, Any]) -> None:
        draft = Draft(network)
        self._parts, self._draft = Parts(draft, options), draft
        self._infos, self._held, self._outputs = draft.infos, draft.initializers, list(draft.outputs)
        self._left = list(draft.nodes)
        self._read = {_key(node): tuple(dict.fromkeys(names_read(node))) for node in self._left}
        self._waiting = Counter(chain(*self._read.values(), self._outputs))
        self._done = {"", *self._held, *draft.inputs}
        sums = {name for node in self._left if is_dialect(node, SPIKE_SUMS) for name in node.output}
        draft.infos |= {
            name: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, [None]) for name in sums
        }
        self._summed = forward(self._left, lambda _, read: any(read), sums)
        worth = needed(self._left, [name for name in self._outputs if self._is_waited_for(name)])
        found = {_key(node): self._kernel_of(node) for node in worth}
        self._kernels = {name: step for name, step in found.items() if step is not None}
        groups = {_key(n): self._group_of(n) for n in worth if has_formula(n)}
        self._groups = {n: g for n, g in groups.items() if g is not None and n not in self._kernels}
        self._steps: list[EventStep] = []

    def steps(self) -> list[EventStep]:
        """In the order in which they run.

        1. What works entry by entry, and what follows events, as soon as it can;
        2. where they wait for something, that, in one piece; what nothing waits for (counts) comes last.
        """
        while self._left:
            if self._loop_step() or self._single_steps():
                continue
            self._piece()
        return self._steps

    def _is_waited_for(self, output: str) -> bool:
        """Whether there is a loop for it, or something that waits for it: counts that no loop takes come last."""
        return output in self._summed or not output.startswith(_COUNTS)

    def _rank(self, name: str) -> int:
        """Of a tensor; -1 where it is not known."""
        sizes = sizes_of(self._infos[name]) if name in self._infos else None
        return -1 if sizes is None else len(sizes)

    def _type(self, name: str) -> np.dtype[Any] | None:
        return TYPES.get(self._draft.type_of(name))

    def _group_of(self, node: Node) -> Group | None:
        """A group that ``node`` may stand in; None where it has to be computed otherwise."""
        names = [*node.input, *node.output]
        if any(name not in self._infos and name not in self._held for name in names):
            return None
        if any(self._type(name) is None for name in names):
            return None
        rank = self._rank(node.output[0])
        group = Group()
        single = self._is_single(node.output[0])
        for name in node.input:
            values = self._draft.value(name)
            operand = None if values is None else as_operand(values, rank)
            if operand is not None:
                group.constants[name] = operand
            elif values is None and not single and self._is_single(name):
                group.singles.add(name)
            elif values is not None or self._rank(name) != rank:
                return None
        return group if len(group.constants) + len(group.singles) < len(set(node.input)) else None

    def _is_single(self, name: str) -> bool:
        """Whether a tensor is one number, whatever the samples."""
        sizes = sizes_of(self._infos[name]) if name in self._infos else None
        return sizes is not None and all(size == 1 for size in sizes)

    def _is_ready(self, node: Node, further: Collection[str] = ()) -> bool:
        return all(name in self._done or name in further for name in self._read[_key(node)])

    def _taken(self, nodes: Sequence[Node]) -> list[str]:
        """These nodes are computed; the names of those of their results that something else reads."""
        there = {_key(node) for node in nodes}
        self._left = [node for node in self._left if _key(node) not in there]
        self._waiting -= Counter(chain(*(self._read[name] for name in there)))
        made = [name for node in nodes for name in node.output if name]
        self._done.update(made)
        return [name for name in made if name in self._waiting]

    def _loop_step(self) -> bool:
        """Whether there was something for a loop."""
        group: Group | None = None
        sizes: Any = None
        made: set[str] = set()
        read: set[str] = set()
        for node in self._left:
            own = self._groups.get(_key(node))
            there = sizes_of(self._infos[node.output[0]]) if own is not None else None
            if (
                own is None
                or not self._is_ready(node, made)
                or (group is not None and not _alike(sizes, there))
            ):
                continue
            if group is not None and not {*node.input} & (made | read):  # of as many samples, or steps
                continue
            group, sizes = group or Group(), sizes or there
            group.nodes.append(node)
            group.constants |= own.constants
            group.singles |= own.singles
            read.update(name for name in node.input if name not in own.constants and name not in own.singles)
            made.add(node.output[0])
        if group is None:
            return False
        wanted = self._taken(group.nodes)
        reads, spelled = group.spelled(wanted, lambda name: self._type(name) or np.dtype(np.float32))
        self._steps.append(
            self._step(reads, tuple(wanted), spelled, _Later(self._parts, group.nodes, wanted, reads))
        )
        return True

    def _kernel_of(self, node: Node) -> EventStep | None:
        """What computes ``node`` from its first input; None of what is left to loops over entries, and to pieces."""
        if not node.input or node.input[0] in self._held or not self._is_float(node):
            return None
        if is_dialect(node, SPIKE_SUMS):
            return self._step((node.input[0],), tuple(node.output), counted(sums_of(self._draft, node)))
        ends = (node.input[0],), (node.output[0],)
        rank = self._rank(node.input[0])
        if synapses := followed(node, self._draft.value, rank):
            return self._step(*ends, synapses, _Later(self._parts, [node], ends[1], ends[0]))
        if windows := pool(node, rank):
            return self._step(*ends, windows)
        before, sizes = (
            sizes_of(self._infos[n]) if n in self._infos else None for n in (ends[0][0], ends[1][0])
        )
        in_order = of(node).moves and of(node).plain
        if in_order and before and sizes and None not in sizes[1:] and 0 not in sizes:
            return self._step(*ends, reshaped(before[1:], sizes[1:]))
        return None

    def _step(
        self, reads: tuple[str, ...], writes: tuple[str, ...], spelled: Spelled, otherwise: Run | None = None
    ) -> EventStep:
        """A loop; of one of many entries nothing is gained where it is compiled with its neighbours."""
        step = loop(reads, writes, spelled, otherwise)
        sizes = [sizes_of(self._infos[name]) for name in (*reads, *writes)]
        known = [[1 if size is None else size for size in each[1:]] for each in sizes if each]
        small = len(known) == len(sizes) and all(math.prod(each) <= _SMALL for each in known)
        return step if small else replace(step, spelled=None)

    def _is_float(self, node: Node) -> bool:
        return node.input[0] in self._infos and self._type(node.input[0]) == np.float32

    def _single_steps(self) -> bool:
        """Whether there were synapses that are ready."""
        found = False
        for node in list(self._left):
            step = self._kernels.get(_key(node)) if self._is_ready(node) else None
            if step is not None:
                self._taken([node])
                self._steps.append(step)
                found = True
        return found

    def _piece(self) -> None:
        """What can be computed now of what a loop or synapses wait for; of all the rest where nothing of the kind is left."""
        own = [n for n in self._left if _key(n) in self._groups or _key(n) in self._kernels]
        waited = {name for node in own for name in self._read[_key(node)]}
        wanted = needed(self._left, waited, self._done) if own else self._left
        apart = {_key(node) for node in own}
        nodes: list[Node] = []
        made: set[str] = set()
        for node in wanted:
            if _key(node) not in apart and self._is_ready(node, made):
                nodes.append(node)
                made.update(node.output)
        if not nodes:
            raise AssertionError("a network is in topological order")
        piece = self._parts.piece(nodes, self._taken(nodes))
        self._steps.append(EventStep(piece.reads, piece.writes, piece))


class _Later:
    """A piece that is made when it is first needed."""

    def __init__(
        self, parts: Parts, nodes: Sequence[Node], wanted: Sequence[str], reads: Sequence[str]
    ) -> None:
        self._make: Callable[[], Piece] = lambda: parts.piece(nodes, wanted, reads)
        self._piece: Piece | None = None

    def __call__(self, *values: Array) -> Sequence[Array]:
        if self._piece is None:
            self._piece = self._make()
        return self._piece(*values)


def _key(node: Node) -> str:
    """Its first output, of those that have a name."""
    return next(name for name in node.output if name)


def _alike(one: tuple[int | None, ...], other: tuple[int | None, ...] | None) -> bool:
    """Whether two tensors are of one size, as far as is known."""
    if other is None or len(one) != len(other):
        return False
    return all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))
