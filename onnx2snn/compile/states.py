"""What a network of one time step remembers: its states, their sizes, and the clock that all of them follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2snn.compile.counts import TALLY
from onnx2snn.compile.draft import Draft, Place, is_dialect, sizes_of
from onnx2snn.compile.known_sizes import BATCH
from onnx2snn.model.weights import weights_as_inputs

#: Of a tensor; None for a size that is open.
Sizes: TypeAlias = Sequence[int | str | None]


class States:
    """States before and behind a time step.

    Args:
        draft: Where they are written.
        table: The network's layer table.

    Attributes:
        before: What the graph reads.
        outputs: What it writes for them, and what else is told of the step.
    """

    def __init__(self, draft: Draft, table: Mapping[str, Any]) -> None:
        self._draft, self._batch = draft, _batch_of(draft, table)
        self.before: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def get(self, name: str, kind: int, sizes: Sizes) -> str:
        """A state before the step."""
        self.before.append(_info(name, kind, sizes))
        return name

    def set(self, name: str, made: str) -> None:
        """The state behind the step."""
        info = onnx.ValueInfoProto()
        info.CopyFrom(next(held for held in self.before if held.name == name))
        info.name = f"next/{name}"
        self._draft.at(name).add("Identity", [made], output=info.name)
        self.outputs.append(info)

    def tell(self, name: str, kind: int, sizes: Sizes) -> None:
        """A further output."""
        self.outputs.append(_info(name, kind, sizes))

    @property
    def one_a_sample(self) -> Sizes:
        """The sizes of one number a sample."""
        return [self._batch]

    def of_train(self, *names: str) -> Sizes:
        """Of one time step of a train: what the first of ``names`` declares that declares anything.

        Raises:
            ValueError: none does.
        """
        for name in names:
            info = self._draft.infos.get(name)
            found = None if info is None else sizes_of(info)
            if found:
                return [self._batch, *found[1:]]
        return [self._batch, *self.of_analog(names[0])[1:]]

    def of_analog(self, name: str) -> Sizes:
        """Of an analog value, as declared; the network's inputs hold a sample a row, and counts have one number for each.

        Raises:
            ValueError: nothing is.
        """
        maker = self._draft.producer(name)
        if maker is not None and is_dialect(maker, TALLY):
            return self.one_a_sample
        info = self._draft.infos.get(name) or self._inferred.get(name)
        found = None if info is None else sizes_of(info)
        if found is None:
            raise ValueError(f"the size of '{name}' is not declared")
        if name in self._draft.inputs and found[:1] == (None,):
            return [BATCH, *found[1:]]
        return list(found)

    @cached_property
    def _inferred(self) -> dict[str, onnx.ValueInfoProto]:
        """What follows from the sizes that are declared."""
        model = weights_as_inputs(self._draft.network.structure)
        return {info.name: info for info in onnx.shape_inference.infer_shapes(model).graph.value_info}


class Clock:
    """Which step of its phase it is, and which stages hold a sample.

    Args:
        draft: Where it is written.
        states: It has two, ``time`` and ``filled``.
        steps: T.
        depth: Of the network.

    Attributes:
        step: Of the phase, int64; ``first`` and ``last``: whether it is the one or the other.
    """

    def __init__(self, draft: Draft, states: States, steps: int, depth: int) -> None:
        at = draft.at("clock")
        time = states.get("time", TensorProto.INT64, [])
        states.set("time", at.add("Add", [time, at.constant(1, np.int64)]))
        self.step = at.add("Mod", [time, at.constant(steps, np.int64)])
        self.first = at.add("Equal", [self.step, at.constant(0, np.int64)])
        self.last = at.add("Equal", [self.step, at.constant(steps - 1, np.int64)])
        places = at.constant([place == 0 for place in range(depth + 1)], np.bool_)
        entering = at.add("And", ["enters", places])
        self._filled = at.add("Or", [states.get("filled", TensorProto.BOOL, [depth + 1]), entering])
        before = at.add("Slice", [self._filled, at.constant([0], np.int64), at.constant([depth], np.int64)])
        moved = at.add("Concat", [at.constant([False], np.bool_), before], axis=0)
        stays = at.add("And", [at.add("Not", [self.last]), self._filled])
        states.set("filled", at.add("Or", [at.add("And", [self.last, moved]), stays]))
        at.add("And", [self.last, self.holds(at, depth)], output="answered")
        states.tell("answered", TensorProto.BOOL, [])

    def holds(self, at: Place, stage: int) -> str:
        """Whether a stage holds a sample."""
        return at.add("Gather", [self._filled, at.constant(stage, np.int64)], axis=0)


def is_open(sizes: Sizes) -> bool:
    """Whether a size is open."""
    return None in sizes


def _info(name: str, kind: int, sizes: Sizes) -> onnx.ValueInfoProto:
    named = [f"{name}/{place}" if size is None else size for place, size in enumerate(sizes)]
    return helper.make_tensor_value_info(name, kind, named)


def _batch_of(draft: Draft, table: Mapping[str, Any]) -> int | str | None:
    """Rows of one time step of a train; None where a sample has several, which stand in its first axis."""
    for layer in table["layers"]:
        info = draft.infos.get(layer["output"])
        if info is None or len(layer["shape"]) >= len(sizes_of(info) or ()):
            return None
    fixed = {sizes[0] for info in draft.inputs.values() if (sizes := sizes_of(info))}
    return next(iter(fixed - {None}), BATCH)
