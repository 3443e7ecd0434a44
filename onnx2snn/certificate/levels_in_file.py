"""Where the source's file holds its levels: in which of its tensors, and by which way from these to the others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.certificate.as_written import in_groups
from onnx2snn.certificate.reading import (
    ReadActivation,
    holds_others,
    moves,
    origins,
    own_name,
    read_alike,
    responses,
    resumed,
    with_tensors,
    written_codes,
    written_tensors,
)
from onnx2snn.graph.core import Array
from onnx2snn.model.reference import Runner, make_runner
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.signals import UNIT
from onnx2snn.operators.tensor_sizes import sizes_of

#: Numbers of activations that are held at a time.
MOST = 1 << 25
#: Numbers of a sample of an input, from which on one is enough to try where levels are.
LARGE = 1 << 18


@dataclass(frozen=True)
class Readings:
    """How levels are read from the file, once the sizes of its tensors are known.

    Attributes:
        file: The file as it is, run for its outputs and for those of its tensors that hold levels.
        direct: Activations that the file holds under their names.
        moved: What makes further activations of tensors of the file; None if there are none.
        tensors: Those tensors.
        rest: From all of these to the activations that the file holds nowhere, by the normalised form; None if there are none.
        unread: These activations.
    """

    file: Runner
    direct: tuple[str, ...]
    moved: Runner | None
    tensors: tuple[str, ...]
    rest: Runner | None
    unread: tuple[str, ...]

    def values(self, inputs: Mapping[str, Array], answer: Mapping[str, Array]) -> dict[str, Array]:
        """Activations by name."""
        values = {name: answer[name] for name in self.direct}
        if self.moved is not None:
            values.update(self.moved({**inputs, **_in_float32(answer, self.tensors)}))
        if self.rest is not None:
            values.update(self.rest({**inputs, **_in_float32(values, values)}))
        return values


class LevelsInFile:
    """Looks, with samples of noise, which tensors of the file hold what the normalised form does.

    Args:
        file: The source, its local functions written out.
        graph: The normalised form.
        shown: Activations by the tensor of the normalised form that shows them, sums of them too.
        sums: These sums.
        unit: Unit roundoff of the file's floats.
        axis_of: The axis of samples, of tensors that count them on another than the first.
    """

    def __init__(
        self,
        file: SplitModel,
        graph: gs.Graph,
        shown: Mapping[str, ReadActivation],
        sums: Mapping[str, ReadActivation],
        unit: float,
        *,
        axis_of: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._open, self._graph, self._shown, self._sums, self._unit = file, graph, shown, sums, unit
        self._axis_of = axis_of

    def readings(self, noise: Mapping[str, Array], *, whole: bool) -> tuple[Readings, ...]:
        """How all activations are read, some at a time where they are large.

        Args:
            noise: Samples of the sizes of the data.
            whole: The file takes no other number of samples.
        """
        codes = written_codes(self._open) if self._unit > UNIT else frozenset()
        found = origins(self._graph, self._shown, written_tensors(self._open), codes)
        if not whole and any(value[0].size > LARGE for value in noise.values()):
            noise = {name: value[:1] for name, value in noise.items()}
        groups = self._groups(found, noise)
        if len(groups) > 1:
            parts = tuple(self._parts(some, ()) for some in groups)
            if all(self._all_held(noise, one) for one in parts):
                return parts
        everything = self._parts(found, ())
        values = everything.values(noise, everything.file(noise))
        kept = {name: found[name] for name in self._held(noise, values)}
        if len(kept) == len(self._shown):
            return (everything,)
        return (self._parts(kept, tuple(name for name in self._shown if name not in kept)),)

    def _groups(self, found: Mapping[str, str], noise: Mapping[str, Array]) -> list[dict[str, str]]:
        """Activations that are read at a time: all of them, unless they are large and each is read by itself."""
        if self._sums or len(found) < len(self._shown):
            return [dict(found)]
        sizes = sizes_of(self._open, {name: value.shape for name, value in noise.items()})
        return in_groups(found, lambda tensor: math.prod(sizes.get(tensor, ())), MOST)

    def _all_held(self, noise: Mapping[str, Array], readings: Readings) -> bool:
        """Whether the file holds all of a group."""
        values = readings.values(noise, readings.file(noise))
        return len(self._held(noise, values, alone=True)) == len(values)

    def _held(
        self, noise: Mapping[str, Array], values: Mapping[str, Array], *, alone: bool = False
    ) -> list[str]:
        """Those of the file's tensors that the normalised form would make of what the file holds before them.

        Args:
            noise: Inputs.
            values: Of the activations that are looked at.
            alone: The others are not looked at: the normalised form makes what these need.
        """
        if not values:
            return []
        fits, given = values, _in_float32(values, values)
        if alone:
            own = make_runner(responses(self._graph, values))({**noise, **given})
            return [name for name in values if self._holds(name, values[name], own[own_name(name)])]
        if len(values) < len(self._shown):
            normalised = make_runner(resumed(self._graph, (), self._shown))(noise)
            fits = {n: v for n, v in values.items() if v.shape == normalised[n].shape}
            given = normalised | _in_float32(fits, fits)
        own = make_runner(responses(self._graph, self._shown))({**noise, **given})
        return [name for name in fits if self._holds(name, fits[name], own[own_name(name)])]

    def _parts(self, found: Mapping[str, str], unread: tuple[str, ...]) -> Readings:
        moved = {name: tensor for name, tensor in found.items() if name != tensor}
        return Readings(
            make_runner(with_tensors(self._open, dict.fromkeys(found.values())), axis_of=self._axis_of),
            tuple(name for name in found if name not in moved),
            make_runner(moves(self._graph, moved)) if moved else None,
            tuple(dict.fromkeys(moved.values())),
            make_runner(resumed(self._graph, found, unread)) if unread else None,
            unread,
        )

    def _holds(self, name: str, value: Array, normalised: Array) -> bool:
        if not value.ndim:  # one number for all samples
            return False
        activation = self._shown[name]
        (own, off), (other, _) = activation.levels(value), activation.levels(normalised)
        return read_alike(own, other) and not holds_others(off)


def _in_float32(values: Mapping[str, Array], names: Iterable[str]) -> dict[str, Array]:
    return {name: np.asarray(values[name], np.float32) for name in names}
