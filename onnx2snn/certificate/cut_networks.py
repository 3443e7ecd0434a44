"""Source and spiking network, cut at the same layers: what both make of the same levels, made and evaluated when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.batch_findings import Levels, Mask, any_of, first_batch, given
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.normalised_source import NormalisedSource
from onnx2snn.certificate.pairing import Pair, pair
from onnx2snn.certificate.potentials import Path, Potentials, together_again
from onnx2snn.certificate.samples_in_front import path_in_front
from onnx2snn.certificate.source_network import SourceNetwork
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.dialect.subnetworks import cut_spiking
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.parts import Span
from onnx2snn.operators.signals import Precision

#: A tensor, in the source and in the spiking network.
Tensors: TypeAlias = tuple[str, str]

#: Axes that any tensor may have.
_RANK = 8


class CutNetworks:
    """Both networks, between levels.

    Args:
        model: The source.
        converted: The spiking network.
        normalised: The source, where it has been normalised before.

    Raises:
        InvalidModelError: the one was not made from the other.
    """

    def __init__(self, model: SplitModel, converted: SplitModel, normalised: NormalisedSource | None) -> None:
        self.source = SourceNetwork(model, normalised)
        staircases = {name: one.staircase for name, one in self.source.activations.items()}
        self.pairs: tuple[Pair, ...] = pair(converted, staircases, self.source.outputs)
        table = read_layer_table(converted.structure)
        self.timesteps = int(table["timesteps"])
        names = {p.name: p.source for p in self.pairs}
        self.spiking = cut_spiking(converted, names, bias=str(table.get("bias", "once")))
        self.precision = Precision(self.timesteps, self.source.unit)
        cut = self.source.cut
        self.before = {p.source: cut.layers_before(cut.potentials[p.source]) for p in self.pairs}
        self._keeps = bool(table.get("non_spiking"))
        self._paths: dict[Tensors, Path] = {}

    @property
    def mixes(self) -> bool:
        """Whether operators that were kept take samples of an open batch together: then one at a time is compared."""
        return self._keeps and self.source.mixes

    @property
    def in_batches(self) -> bool:
        """Whether operators that were kept may mix the samples that are given at a time."""
        return self._keeps and (self.source.batch is not None or self.source.mixes)

    def unit(self, samples: int) -> int:
        """How many of so many samples are evaluated together, at least: a batch that is fixed; all, where they are mixed."""
        return samples if self.mixes else self.source.batch or 1

    def layer_tensors(self, p: Pair) -> Tensors:
        """The potentials of a layer, in the source and in the spiking network."""
        return self.source.cut.potentials[p.source], self.spiking.potentials[p.source]

    def readout_tensors(self, output: str) -> Tensors:
        """An output, in both."""
        return output, output

    def path(self, tensors: Tensors, inputs: Mapping[str, Array], levels: Levels) -> Path:
        """What lies before these tensors, made when first asked for; sizes are those of the data."""
        if tensors not in self._paths:
            example = first_batch(inputs, levels, self.source.batch)
            models, apart = self.before_tensors(tensors), self.source.cut.by_samples(tensors[0])
            axis = self.source.sample_axes.get(tensors[0], 0)
            known: dict[str, Any] = {"precision": self.precision, "by_samples": apart}
            known["axes"] = () if axis else self._axes(tensors, levels)
            self._paths[tensors] = path_in_front(models, example, axis, **known)
        return self._paths[tensors]

    def before_tensors(self, tensors: Tensors) -> tuple[SplitModel, SplitModel]:
        """What both networks compute between levels and these tensors."""
        return self.source.cut.before(tensors[0]), self.spiking.before(tensors[1])

    def _axes(self, tensors: Tensors, levels: Levels) -> Sequence[int]:
        """Along which these tensors may be computed in parts: where thresholds are the same; outputs behind their channels."""
        p = next((p for p in self.pairs if self.layer_tensors(p) == tensors), None)
        return range(2, _RANK) if p is None else self.judge(p).axes(levels[p.source].ndim)

    def evaluate(
        self, tensors: Tensors, inputs: Mapping[str, Array], levels: Levels, rows: NDArray[np.int64]
    ) -> Potentials:
        """What both networks make of the source's levels in some samples.

        Where a source fixes its batch, an output may hold as many numbers as its samples decide, and operators that were kept
        may mix samples: a batch at a time; the whole of an open one, where they do.
        """
        count = len(next(iter(inputs.values())))
        path, batch = self.path(tensors, inputs, levels), self.unit(count)
        if self._each_alone(tensors, count):
            return together_again([path(given(inputs, levels, some)) for some in path.blocks(rows)])
        numbers = np.unique(rows // batch)
        within = [np.minimum(np.arange(n * batch, (n + 1) * batch), count - 1) for n in numbers]
        whole = together_again([path(given(inputs, levels, some)) for some in within])
        return whole.at(np.searchsorted(numbers, rows // batch) * batch + rows % batch)

    def _each_alone(self, tensors: Tensors, samples: int) -> bool:
        """Whether samples may be evaluated in any groups."""
        output = self.source.batch == 1 and tensors[0] in self.source.outputs
        return self.unit(samples) == 1 and not (self.in_batches or output)

    def evaluate_parts(
        self,
        tensors: Tensors,
        inputs: Mapping[str, Array],
        levels: Levels,
        rows: NDArray[np.int64],
        wanted: Mask,
    ) -> Iterator[tuple[NDArray[np.int64], Span | None, Potentials]]:
        """As :meth:`evaluate`, of those of ``rows`` in which a neuron is ``wanted`` (n, ...); of large ones, some at a time.

        Which of them, and which part of each; None for all.
        """
        some = np.flatnonzero(any_of(wanted))
        if not self._each_alone(tensors, len(next(iter(inputs.values())))):
            yield some, None, self.evaluate(tensors, inputs, levels, rows[some])
            return
        path = self.path(tensors, inputs, levels)
        for one in path.blocks(some):
            for span, potentials in path.parts(given(inputs, levels, rows[one]), wanted[one]):
                yield one, span, potentials

    def judge(self, p: Pair) -> Judge:
        """Of one layer."""
        return Judge(self.source.activations[p.source], p.neuron, self.timesteps)

    def forget_paths(self) -> None:
        """They are made anew, for other sizes."""
        self._paths.clear()
