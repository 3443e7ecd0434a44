"""The source's side of a certificate: what its file answers, its own levels, and its affine maps between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import DECIDED_BY, DIVIDES_WHOLE, READING, SOURCE, SOURCE_TENSOR
from onnx2snn.activations.whole_quotients import rounds_nothing
from onnx2snn.analysis.batch_axis import NOWHERE, axes_of_outputs
from onnx2snn.certificate.as_written import near
from onnx2snn.certificate.batch_findings import compact
from onnx2snn.certificate.levels_in_file import LevelsInFile, Readings
from onnx2snn.certificate.normalised_source import NormalisedSource
from onnx2snn.certificate.reading import (
    Mask,
    ReadActivation,
    open_functions,
)
from onnx2snn.certificate.samples_in_front import in_front
from onnx2snn.certificate.shared_potentials import settled, sums_of
from onnx2snn.data import batch_of, input_specs
from onnx2snn.dialect.subnetworks import cut_source
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import Array, origin
from onnx2snn.model.reference import make_runner, sampled_tensors
from onnx2snn.model.weights import SplitModel, split_model
from onnx2snn.operators.linear import is_neuron
from onnx2snn.operators.scales import is_power_of_two


@dataclass(frozen=True)
class Answer:
    """What the source answered to a batch.

    Attributes:
        levels: By source tensor, the levels of its activations (N, ...).
        off_grid: By source tensor, where the activation holds none of its levels; None where it holds one everywhere.
        outputs: By name, what the file answers, as it is written.
        overflown: Source tensors whose activations are infinite, or no number, somewhere.
    """

    levels: dict[str, Array]
    off_grid: dict[str, Mask | None]
    outputs: dict[str, Array]
    overflown: tuple[str, ...] = ()


class SourceNetwork:
    """The source network, instrumented.

    What it answers comes from the file as it is written, run operator by operator, and so do its levels, from tensors that
    hold an activation, or need but be moved and scaled to be one. An activation that the file holds nowhere (a pass parted or
    moved operators around it) is read from the normalised form, which resumes at those that the file does hold.

    Args:
        model: The source.
        normalised: The same, where whoever asks has it.

    Raises:
        InvalidModelError: no runtime runs it.
    """

    def __init__(
        self, model: onnx.ModelProto | SplitModel, normalised: NormalisedSource | None = None
    ) -> None:
        self._model = model if isinstance(model, SplitModel) else split_model(model)
        source = normalised or NormalisedSource.of(self._model)
        self.unit, lossy = source.unit, source.lossy
        #: Samples that the file takes at a time, where it fixes that: its outputs need not grow with them (a mean of all).
        self.batch: int | None = batch_of(input_specs(self._model.structure))
        self._graph, levels = source.graph, source.levels
        inexact = _inexact(self._graph)
        self.activations = {
            node.attrs[SOURCE_TENSOR]: ReadActivation(
                node.attrs[SOURCE_TENSOR],
                node.attrs[SOURCE],
                len(origin(node)) + 2,
                exact=not lossy and _decides_exactly(node, inexact),
                unit=self.unit,
                reading=node.attrs.get(READING),
            )
            for node in levels.nodes
            if is_neuron(node)
        }
        self._sums = sums_of(self.activations)
        self._shown = {one.shown_by: one for one in self.activations.values()} | self._sums
        self.outputs = [tensor.name for tensor in self._graph.outputs]
        self._axis_of = elsewhere = source.elsewhere
        #: The axis of samples, of outputs that count them on another than the first.
        self.sample_axes = {name: elsewhere[name] for name in self.outputs if name in elsewhere}
        self.cut = cut_source(levels)
        functions = bool(self._model.structure.functions)
        self._file = make_runner(self._model, axis_of=elsewhere) if functions else None
        self._open = open_functions(self._model) if functions else self._model
        self._found: tuple[Readings, ...] = ()
        #: Outputs that have rows of each sample; known from the first batch on.
        self.growing: frozenset[str] = frozenset()
        #: Whether its batch is open, and two samples together are answered otherwise than each alone; known likewise.
        self.mixes = False

    @property
    def unread(self) -> tuple[str, ...]:
        """Activations that the file holds nowhere; known from the first batch on."""
        unread = {name for one in self._found for name in one.unread}
        return tuple(name for name, one in self.activations.items() if one.shown_by in unread)

    def __call__(self, inputs: Mapping[str, Array]) -> Answer:
        """Run the source on a batch.

        Raises:
            InvalidModelError: no runtime can compute it.
        """
        if not self._found:
            noise = {name: _noise(value, self.batch or 2) for name, value in inputs.items()}
            self.growing = self._grown(noise)
            if self.batch is None:
                self.growing -= {n for n, axis in axes_of_outputs(self._graph).items() if axis == NOWHERE}
            looked = LevelsInFile(
                self._open, self._graph, self._shown, self._sums, self.unit, axis_of=self._axis_of
            )
            self._found = looked.readings(noise, whole=self.batch is not None)
        levels: dict[str, Array] = {}
        off: dict[str, Mask | None] = {}
        overflown: tuple[str, ...] = ()
        for readings in self._found:
            answer = readings.file(inputs)
            values = readings.values(inputs, answer)
            outputs = {name: answer[name] for name in self.outputs}
            del answer
            some = self._read(values)
            levels, off, overflown = levels | some[0], off | some[1], (*overflown, *some[2])
        if self._file is not None:
            outputs = self._file(inputs)
        return Answer(
            {name: levels[name] for name in self.activations},
            off,
            in_front({name: outputs[name] for name in self.outputs}, self.sample_axes),
            overflown,
        )

    def _grown(self, noise: Mapping[str, Array]) -> frozenset[str]:
        """Outputs that are half as long for half the samples; of a fixed batch, those that it divides."""
        file = self._file or make_runner(self._open)
        answer = in_front(file(noise), self.sample_axes)
        if self.batch is not None:
            reached = sampled_tensors(self._open)
            rows = {n: len(answer[n]) if answer[n].ndim else 0 for n in self.outputs if n in reached}
            return frozenset(name for name, count in rows.items() if count and not count % self.batch)
        try:
            half, other = (file({name: value[i : i + 1] for name, value in noise.items()}) for i in (0, 1))
        except InvalidModelError:  # it names its batch inside
            return frozenset(self.outputs)
        both = [(name, answer[name], half[name]) for name in self.outputs]
        self.mixes = not all(_are_both(two, one, other[name]) for name, two, one in both)
        return frozenset(n for n, two, one in both if two.ndim and one.ndim and len(two) == 2 * len(one) > 0)

    def _read(
        self, values: dict[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Mask | None], tuple[str, ...]]:
        """Levels, where there is none, and who holds no number; each of ``values`` is let go when it is read."""
        left = Counter(activation.shown_by for activation in self.activations.values())
        levels = self._settled(values)
        off: dict[str, Mask | None] = {}
        overflown = []
        for name, activation in self.activations.items():
            tensor = activation.shown_by
            if tensor not in values:
                continue
            shown = values[tensor]
            k, off[name] = activation.levels(shown)
            if off[name] is not None and shown.dtype.kind == "f" and not np.isfinite(shown).all():
                overflown.append(name)
            levels[name] = compact(levels.get(name, k), int(activation.staircase.levels).bit_length())
            left[tensor] -= 1
            if not left[tensor]:
                values.pop(tensor)
        return levels, off, tuple(overflown)

    def _settled(self, values: dict[str, Array]) -> dict[str, Array]:
        """Levels of neurons that share a potential, as the file's sum of them says."""
        found: dict[str, Array] = {}
        for tensor, total in self._sums.items():
            names = [n for n, one in self.activations.items() if one.reading and one.reading.sum == tensor]
            parts = [self.activations[name] for name in names]
            z = values[parts[0].shown_by]
            levels = [part.levels(z)[0] for part in parts]
            if all(tensor not in one.unread for one in self._found):
                settled(z, parts, levels, total.levels(values[tensor])[0])
            found |= dict(zip(names, levels, strict=True))
            if all(one.shown_by != tensor for one in self.activations.values()):
                del values[tensor]
        return found


def _are_both(both: Array, one: Array, other: Array) -> bool:
    """Whether two samples are answered as each alone, one after the other; or all alike, by what no sample decides."""
    if both.ndim and one.ndim and len(both) == len(one) + len(other) and one.shape[1:] == other.shape[1:]:
        return near(both, np.concatenate([one, other]))
    return near(both, one) and near(both, other)


def _noise(value: Array, count: int) -> Array:
    """So many samples like ``value`` (N, ...): normal numbers, pixels or codes of 8 bits, or what other integers there are."""
    shape, random = (count, *value.shape[1:]), np.random.default_rng(0)
    if value.dtype.kind == "f":
        return random.normal(0, 1, shape).astype(value.dtype)
    if value.dtype.kind in "iu" and value.dtype.itemsize == 1:
        return random.integers(0, 256, shape).astype(np.uint8).astype(value.dtype)
    return np.resize(value, shape)


def _inexact(graph: gs.Graph) -> frozenset[str]:
    """Names of the user's nodes that may round."""
    return frozenset(name for node in graph.nodes if not rounds_nothing(node) for name in origin(node))


def _decides_exactly(node: gs.Node, inexact: frozenset[str]) -> bool:
    """Whether thresholds are where exact arithmetic has them: powers of two, or multiples that a rounded quotient counts.

    Args:
        node: A neuron.
        inexact: Names of the user's nodes that may round.
    """
    if not inexact.isdisjoint(node.attrs.get(DECIDED_BY, origin(node))):
        return False
    return is_power_of_two(node.attrs[SOURCE].threshold) or bool(node.attrs.get(DIVIDES_WHOLE))
