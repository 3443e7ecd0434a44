"""The spiking file as it is written, in a stock runtime, beside the session that counts and shows its levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnx2snn.certificate.batch_findings import difference
from onnx2snn.certificate.forcing import counts_of
from onnx2snn.dialect.train_shapes import shapes_of
from onnx2snn.graph.core import Array
from onnx2snn.model.reference import Runner, make_runner, sampled_tensors
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime.batches import joined

#: Answers as near as this, as a share of the largest, need no explanation.
NEAR = 1e-6
#: Numbers of trains that are held at a time.
_NUMBERS = 1 << 25


def in_groups(tensors: Mapping[str, str], size: Callable[[str], int], most: int) -> list[dict[str, str]]:
    """Tensors by what they show, in groups of at most ``most`` numbers, or of one tensor; in their order."""
    groups: list[dict[str, str]] = [{}]
    held = 0
    for name, tensor in tensors.items():
        own = size(tensor)
        if groups[-1] and held + own > most:
            groups.append({})
            held = 0
        groups[-1][name] = tensor
        held += own
    return groups


def near(found: Array, expected: Array) -> bool:
    """Whether two answers are the same up to the order of sums; integers are equal."""
    if (
        expected.dtype.kind not in "fV" or found.shape != expected.shape
    ):  # what data selects may be more, or less
        return bool(np.array_equal(found, expected))
    largest = np.max(np.abs(expected[np.isfinite(expected)].astype(np.float64)), initial=0)
    return bool(np.all(difference(found, expected) <= NEAR * largest))


class SpikingNetwork(Protocol):
    """Whatever runs the spiking network, and shows the levels of its neurons."""

    @property
    def timesteps(self) -> int:
        """T."""
        ...

    def levels(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Levels (N, ...) by layer, and outputs by name."""
        ...


class Shown:
    """The file, its spike trains among its outputs: near a tie, another runtime may answer another level.

    Args:
        network: The spiking network.
        trains: By layer, the tensor that holds its train.
        timesteps: T.
        fused: Levels flow in place of trains.
        load: What loads it.
        rate: Each spike carries 1.

    Attributes:
        answers: Its outputs by name, of the last run.
    """

    def __init__(
        self,
        network: SplitModel,
        trains: Mapping[str, str],
        timesteps: int,
        *,
        fused: bool,
        load: Callable[[SplitModel], Runner],
        rate: bool = False,
    ) -> None:
        self.timesteps, self._trains, self._fused, self._rate = timesteps, dict(trains), fused, rate
        self.answers: Mapping[str, Array] = {}
        self._network, self._load = network, load
        self._infos = {value.name: value for value in network.structure.graph.value_info}
        self._shapes = shapes_of(network.structure)
        self._whole: Runner | None = None

    def levels(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Levels (N, ...) by layer, and outputs by name; the file answers anew for each part of its trains."""
        groups = self._groups(max((len(value) for value in inputs.values() if np.ndim(value)), default=1))
        levels: dict[str, Array] = {}
        for group in groups:
            answer = dict(self._runner(group, kept=len(groups) == 1)(inputs))
            for name, train in group.items():
                k = answer.pop(train)
                levels[name] = k if self._fused else self._decoded(k)
            self.answers = answer
        return levels | dict(self.answers)

    def _decoded(self, train: Array) -> Array:
        """The levels (N, ...) that a train (T·N, ...) carries."""
        if self._rate:
            return np.asarray(train.reshape(self.timesteps, -1, *train.shape[1:]).sum(axis=0))
        return counts_of(train, self.timesteps)

    def _groups(self, rows: int) -> list[dict[str, str]]:
        """Trains, by layer, that are held at a time."""

        def size(train: str) -> int:
            return rows * self.timesteps * math.prod(s or 1 for s in self._shapes.get(train, [])[1:])

        return in_groups(self._trains, size, _NUMBERS)

    def _runner(self, group: Mapping[str, str], *, kept: bool) -> Runner:
        """The file, with these trains among its outputs."""
        if kept and self._whole is not None:
            return self._whole
        opened = onnx.ModelProto()
        opened.CopyFrom(self._network.structure)
        for train in group.values():
            info = self._infos.get(train) or helper.make_tensor_value_info(train, TensorProto.FLOAT, None)
            opened.graph.output.append(info)
        run = self._load(SplitModel(opened, self._network.weights))
        self._whole = run if kept else None
        return run


class AsWritten:
    """Levels as a session has them, outputs as the file answers them.

    A session compiles the file: it adds in another order, and a potential at its threshold may fire in the one and not in the
    other. Where the answers are apart by more than an order of sums, the levels are read from the file itself.

    Args:
        session: Of the file.
        network: The file.
        trains: By layer, the tensor that holds its train.
        fused: Its bodies pass on levels in place of trains.
        axis_of: The axis of samples, of outputs that count them on another than the first.
    """

    def __init__(
        self,
        session: SpikingNetwork,
        network: SplitModel,
        trains: Mapping[str, str],
        *,
        fused: bool,
        axis_of: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._session, self._network, self._trains, self._fused = session, network, trains, fused
        self._axis_of = axis_of
        self._file = make_runner(network, axis_of=axis_of)

    @property
    def timesteps(self) -> int:
        """T."""
        return self._session.timesteps

    def levels(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Levels (N, ...) by layer, and outputs by name."""
        found, answer = self._session.levels(inputs), self._file(inputs)
        if all(near(found[name], value) for name, value in answer.items()):
            return found | answer
        return self._read(inputs)

    def _read(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """From the file, one of its batches at a time: a train holds the samples of a batch step by step."""
        samples = len(next(iter(inputs.values())))
        batch = self._file.batch or samples
        starts = range(0, samples, batch)
        rows = [np.minimum(np.arange(first, first + batch), samples - 1) for first in starts]
        parts = [self._shown.levels({name: value[some] for name, value in inputs.items()}) for some in rows]
        reached = sampled_tensors(self._network) | set(self._trains)
        whole = joined(parts, [batch] * len(parts), samples, reached, self._axis_of)
        if whole is None:
            raise AssertionError("outputs of the file were put together before")
        return whole

    @cached_property
    def _shown(self) -> Shown:
        return Shown(self._network, self._trains, self.timesteps, fused=self._fused, load=make_runner)
