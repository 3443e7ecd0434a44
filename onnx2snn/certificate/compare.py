"""One batch through both networks, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.cuts import cut_spiking
from onnx2snn.certificate.differences import Levels, Mask, any_of, defect, given, places, unequal
from onnx2snn.certificate.findings import Counts, Findings, first
from onnx2snn.certificate.forcing import ForcedNetwork
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.outputs import Readout, errors_of, readout_defects
from onnx2snn.certificate.pairing import Pair, pair
from onnx2snn.certificate.potentials import Path, Potentials, broken
from onnx2snn.certificate.sorting import Layer, sort_neurons
from onnx2snn.certificate.source import Answer, Source
from onnx2snn.certificate.tails import tails_of
from onnx2snn.data import Batch
from onnx2snn.dialect import read_layer_table
from onnx2snn.errors import InvalidModelError, Onnx2SnnError
from onnx2snn.graph import Array
from onnx2snn.runtime import SpikingSession
from onnx2snn.weights import SplitModel

#: A tensor, in the source and in the spiking network.
Tensors: TypeAlias = tuple[str, str]

#: Samples at a time inside of the networks.
CHUNK = 64


class Comparison:
    """Both networks, loaded side by side.

    Args:
        model: The source.
        converted: The spiking network.
        file: Its bytes or its path, for a session.
        execution: Of the spiking network.
        backend: What runs it.

    Raises:
        InvalidModelError: the one was not made from the other.
    """

    def __init__(
        self,
        model: SplitModel,
        converted: SplitModel,
        file: str | bytes,
        *,
        execution: str,
        backend: str,
    ) -> None:
        self.source = Source(model)
        staircases = {name: one.staircase for name, one in self.source.activations.items()}
        self.pairs: tuple[Pair, ...] = pair(converted, staircases, self.source.outputs)
        self.session = SpikingSession(file, execution=execution, backend=backend, chunk=CHUNK, count="levels")
        self.timesteps = self.session.timesteps
        table = read_layer_table(converted.structure)
        names = {p.name: p.source for p in self.pairs}
        self.spiking = cut_spiking(converted, names, bias=str(table.get("bias", "once")))
        self.neurons = {p.name: int(e["neurons"]) for p, e in zip(self.pairs, table["layers"], strict=True)}
        self.tails = {o: tails_of(self.source.cut, self.spiking, o) for o in self.source.outputs}
        cut = self.source.cut
        self._before = {p.source: cut.layers_before(cut.potentials[p.source]) for p in self.pairs}
        self._fused = execution == "fused"
        self.converted = converted
        self._forced: ForcedNetwork | None = None
        self._paths: dict[tuple[str, str], Path] = {}

    def __call__(self, batch: Batch) -> Findings:
        """Compare both networks on ``batch``."""
        answer = self.source(batch.inputs)
        snn = self.snn_levels(batch.inputs, answer.levels)
        differing = {p.source: unequal(snn[p.name], answer.levels[p.source]) for p in self.pairs}
        rows = np.zeros(len(batch), bool)
        for mask in differing.values():
            if mask is not None:
                rows |= any_of(mask)
        given_levels = {name: snn[name] for name in self.source.outputs}
        findings = errors_of(batch, answer.written, given_levels) + self._equal(batch, answer, differing)
        if rows.any():
            forced = self._forced_answer(batch, np.flatnonzero(rows), answer.levels)
            findings += self._explain(batch, np.flatnonzero(rows), answer.levels, snn, forced)
            given_levels = {
                name: _replaced(value, rows, forced[name]) for name, value in given_levels.items()
            }
        return findings + self._readouts(batch, answer, given_levels)

    def snn_levels(self, inputs: Mapping[str, Array], ann: Levels) -> dict[str, Array]:
        """Levels by IF node, and outputs, of the spiking network.

        Raises:
            InvalidModelError: it cannot be computed, or a layer has another shape than its activation.
        """
        try:
            found = self.session.levels(inputs)
        except Onnx2SnnError:
            raise
        except Exception as error:  # the runtimes' errors share no base class
            raise broken(error) from error
        for p in self.pairs:
            if found[p.name].shape != ann[p.source].shape:
                raise InvalidModelError(
                    f"this layer has another shape than the activation '{p.source}' of the source",
                    node=p.name,
                    found=f"{found[p.name].shape[1:]}, expected {ann[p.source].shape[1:]}",
                    remedy="convert the source again",
                )
        return found

    def layer_tensors(self, p: Pair) -> Tensors:
        """The potentials of a layer, in the source and in the spiking network."""
        return self.source.cut.potentials[p.source], self.spiking.potentials[p.source]

    def readout_tensors(self, output: str) -> Tensors:
        """An output, or what its first jump reads, in both."""
        return self.tails[output][0].before, self.tails[output][1].before

    def path(self, tensors: Tensors, inputs: Mapping[str, Array], levels: Levels) -> Path:
        """What lies before these tensors, made when first asked for; sizes are those of the data."""
        if tensors not in self._paths:
            example = given(inputs, levels, np.array([0]))
            self._paths[tensors] = Path(self.source.cut, self.spiking, tensors, example)
        return self._paths[tensors]

    def _evaluate(
        self, tensors: Tensors, inputs: Mapping[str, Array], levels: Levels, rows: NDArray[np.int64]
    ) -> Potentials:
        return self.path(tensors, inputs, levels)(given(inputs, levels, rows))

    def judge(self, p: Pair) -> Judge:
        """Of one layer."""
        return Judge(self.source.activations[p.source], p.neuron, self.timesteps)

    def _equal(self, batch: Batch, answer: Answer, differing: Mapping[str, Mask | None]) -> Findings:
        """Count equal levels, and activations of the source that hold no level at all."""
        layers, defects = {}, []
        for p in self.pairs:
            unlike, off, size = differing[p.source], answer.off_grid[p.source], answer.levels[p.source].size
            if off is None:
                layers[p.name] = Counts(size, size - (0 if unlike is None else int(unlike.sum())))
                continue
            bad = off if unlike is None else off & ~unlike
            good = ~off if unlike is None else ~(off | unlike)
            layers[p.name] = Counts(size, int(good.sum()), unexplained=int(bad.sum()))
            for at in places(off):
                level = float(answer.levels[p.source][at])
                reason = "the source's activation holds a value that is none of its levels"
                defects.append(defect(p.name, batch.start + at[0], at[1:], reason, ann=level, snn=level))
        return Findings(layers=layers, defects=first(defects))

    def _forced_answer(self, batch: Batch, rows: NDArray[np.int64], ann: Levels) -> dict[str, Array]:
        """What every layer answers in ``rows``, given the source's levels."""
        if self._forced is None:
            self._forced = ForcedNetwork(self.converted, self.pairs, fused=self._fused)
        inputs = {name: value[rows] for name, value in batch.inputs.items()}
        return self._forced.levels(inputs, {p.name: ann[p.source][rows] for p in self.pairs})

    def _explain(
        self,
        batch: Batch,
        rows: NDArray[np.int64],
        ann: Levels,
        snn: dict[str, Array],
        forced: dict[str, Array],
    ) -> Findings:
        """Sort the neurons whose levels differ, by what they answer when every layer gets the ANN's levels."""
        held = {name: k[rows] for name, k in ann.items()}
        inputs = {name: value[rows] for name, value in batch.inputs.items()}
        differing = {p.source: any_of(snn[p.name][rows] != held[p.source]) for p in self.pairs}
        findings = Findings()
        for p in self.pairs:
            before = np.zeros(len(rows), bool)
            for name in self._before[p.source]:
                before |= differing[name]
            found = snn[p.name][rows]
            alone = _replaced(found, before, forced[p.name][before])
            potentials = partial(self._evaluate, self.layer_tensors(p), inputs, held)
            layer = Layer(p.name, batch.start + rows, held[p.source], found, alone, self.judge(p), potentials)
            findings += sort_neurons(layer)
        return findings

    def _readouts(self, batch: Batch, answer: Answer, found: Mapping[str, Array]) -> Findings:
        """With equal levels (forced where they were not) outputs may differ by the readout's rounding only."""
        findings = Findings()
        for name in self.source.outputs:
            potentials = partial(self._evaluate, self.readout_tensors(name), batch.inputs, answer.levels)
            tail = self.tails[name][0]
            readout = Readout(
                name, batch.start, answer.outputs[name], found[name], tail, self.timesteps, potentials
            )
            findings += readout_defects(readout)
        return findings


def _replaced(values: Array, rows: NDArray[np.bool_], others: Array) -> Array:
    """``values`` with other values in some rows."""
    result: Array = values.copy()
    result[rows] = others
    return result
