"""One batch through both networks, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.by_sample import BySample, apart, together
from onnx2snn.certificate.cuts import cut_spiking
from onnx2snn.certificate.differences import Levels, Mask, any_of, defect, given, places, unequal
from onnx2snn.certificate.findings import Counts, Findings, first
from onnx2snn.certificate.forcing import ForcedNetwork
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.outputs import Readout, errors_of, has_samples, readout_defects
from onnx2snn.certificate.pairing import Pair, pair
from onnx2snn.certificate.potentials import Path, Potentials, broken, together_again
from onnx2snn.certificate.reconstruction import Hidden
from onnx2snn.certificate.sorting import Layer, sort_neurons
from onnx2snn.certificate.source import Answer, Source
from onnx2snn.data import Batch
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.errors import InvalidModelError, Onnx2SnnError
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel
from onnx2snn.operators.signals import Precision
from onnx2snn.runtime import SpikingSession

#: A tensor, in the source and in the spiking network.
Tensors: TypeAlias = tuple[str, str]

#: Samples at a time inside of the networks.
CHUNK = 64


class Answers(Protocol):
    """Whatever runs the spiking network, and shows the levels of its neurons."""

    @property
    def timesteps(self) -> int:
        """T."""
        ...

    def levels(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Levels (N, ...) by layer, and outputs by name."""
        ...


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
        self._file, self._execution, self._backend = file, execution, backend
        table = read_layer_table(converted.structure)
        self.timesteps = int(table["timesteps"])
        names = {p.name: p.source for p in self.pairs}
        self.spiking = cut_spiking(converted, names, bias=str(table.get("bias", "once")))
        self.neurons = {p.name: int(e["neurons"]) for p, e in zip(self.pairs, table["layers"], strict=True)}
        self.precision = Precision(self.timesteps, self.source.unit)
        cut = self.source.cut
        self._before = {p.source: cut.layers_before(cut.potentials[p.source]) for p in self.pairs}
        self.fused = execution == "fused"
        self.converted = converted
        self._by_sample = BySample(())
        self._forced: ForcedNetwork | None = None
        self._paths: dict[tuple[str, str], Path] = {}
        self._ranks: dict[str, int] = {}

    @cached_property
    def session(self) -> Answers:
        """What runs the spiking network, made when first asked for."""
        return SpikingSession(
            self._file, execution=self._execution, backend=self._backend, chunk=CHUNK, count="levels"
        )

    def __call__(self, batch: Batch) -> Findings:
        """Compare both networks on ``batch``."""
        answer = self.answer(batch.inputs)
        snn = self.snn_levels(batch.inputs, answer.levels)
        same = self._with_the_source_s_levels(batch, answer, snn)
        if self.source.unread:
            recovered = self._recovered(batch, answer, same.outputs)
            if recovered is not answer:
                answer, same = recovered, self._with_the_source_s_levels(batch, recovered, snn)
        found = {name: snn[name] for name in self.source.outputs}
        findings = errors_of(batch, answer.outputs, found) + self._equal(batch, answer, same.differing)
        if same.forced is not None:
            findings += self._explain(batch, np.flatnonzero(same.rows), answer.levels, snn, same.forced)
        for name in self.source.outputs:
            findings += readout_defects(self._readout(name, batch, answer, same.outputs))
        return findings

    def _with_the_source_s_levels(self, batch: Batch, answer: Answer, snn: Mapping[str, Array]) -> _Same:
        """What the spiking network answers where each layer gets the source's levels; as it answered where they are its own."""
        differing = {p.source: unequal(snn[p.name], answer.levels[p.source]) for p in self.pairs}
        rows = np.zeros(len(batch), bool)
        for mask in differing.values():
            if mask is not None:
                rows |= any_of(mask)
        outputs = {name: snn[name] for name in self.source.outputs}
        if not rows.any():
            return _Same(differing, rows, None, outputs)
        rows = _in_whole_batches(np.flatnonzero(rows), len(batch), self.source.batch or 1)
        forced = self._forced_answer(batch.inputs, answer.levels, np.flatnonzero(rows))
        apart = {name: has_samples(value, len(batch)) for name, value in outputs.items()}
        everything = forced
        if not all(apart.values()):  # all samples make such an output
            everything = self._forced_answer(batch.inputs, answer.levels, np.arange(len(batch)))
        outputs = {
            name: _replaced(value, rows, forced[name]) if apart[name] else everything[name]
            for name, value in outputs.items()
        }
        return _Same(differing, rows, forced, outputs)

    def _recovered(self, batch: Batch, answer: Answer, outputs: Mapping[str, Array]) -> Answer:
        """The answer, its hidden levels found again in those samples whose outputs are not those of the levels that were read."""
        excess = self._excess(batch, answer, outputs)
        levels = dict(answer.levels)
        for sample in np.flatnonzero(excess > 0):
            inputs = {n: v[sample : sample + 1] for n, v in batch.inputs.items()}
            one = Batch(batch.start + int(sample), inputs, None)
            written = {n: v[sample : sample + 1] for n, v in answer.outputs.items()}
            found = self._hidden(one, written).explained(
                {n: k[sample : sample + 1] for n, k in answer.levels.items()}
            )
            for name, k in (found or {}).items():
                if not np.array_equal(levels[name][sample], k[0]):
                    levels[name] = (
                        levels[name].copy() if levels[name] is answer.levels[name] else levels[name]
                    )
                    levels[name][sample] = k[0]
        unchanged = all(levels[name] is k for name, k in answer.levels.items())
        return answer if unchanged else replace(answer, levels=levels)

    def _hidden(self, one: Batch, written: Mapping[str, Array]) -> Hidden:
        """What is known of the sample that is ``one``."""
        hidden = [p for p in self.pairs if p.source in self.source.unread]
        of = {p.source: p for p in hidden}

        def many(levels: Mapping[str, Array]) -> tuple[Batch, NDArray[np.int64]]:
            rows = np.arange(len(next(iter(levels.values()))))
            return Batch(
                one.start, {n: np.repeat(v, len(rows), axis=0) for n, v in one.inputs.items()}, None
            ), rows

        def reachable(name: str, levels: dict[str, Array]) -> tuple[Array, Array]:
            batch, rows = many(levels)
            p = of[name]
            return self.judge(p).alternatives(
                self._evaluate(self.layer_tensors(p), batch.inputs, levels, rows)
            )

        def answered(levels: dict[str, Array]) -> dict[str, Array]:
            batch, rows = many(levels)
            forced = self._forced_answer(batch.inputs, levels, rows)
            return {p.source: forced[p.name] for p in hidden}

        def excess(levels: dict[str, Array]) -> NDArray[np.float64]:
            batch, rows = many(levels)
            answer = Answer(levels, {}, {n: np.repeat(v, len(rows), axis=0) for n, v in written.items()})
            return self._excess(batch, answer, self._forced_answer(batch.inputs, levels, rows))

        return Hidden([p.source for p in hidden], reachable, answered, excess)

    def _excess(self, batch: Batch, answer: Answer, outputs: Mapping[str, Array]) -> NDArray[np.float64]:
        """By sample, how far the file's outputs are from those of its levels; 0 where rounding explains that."""
        total = np.zeros(len(batch))
        for name in self.source.outputs:
            if not has_samples(answer.outputs[name], len(batch)):
                continue
            misfits = self._readout(name, batch, answer, outputs).misfits()
            if misfits is not None:
                total += misfits.excess(len(batch))
        return total

    def answer(self, inputs: Mapping[str, Array]) -> Answer:
        """What the source answers, sample by sample: (N, ...), where several rows belong to one too."""
        given_answer = self.source(inputs)
        samples = len(next(iter(inputs.values())))
        self._ranks = {name: k.ndim for name, k in given_answer.levels.items()}
        levels = {name: apart(k, samples) for name, k in given_answer.levels.items()}
        off = {
            name: None if mask is None else apart(mask, samples)
            for name, mask in given_answer.off_grid.items()
        }
        self._by_sample = BySample(self.source.growing)
        outputs = self._by_sample.outputs(given_answer.outputs, samples)
        folded = {name: k.shape[1:] for name, k in levels.items() if k.ndim != self._ranks[name]}
        folded |= self._by_sample.shapes(given_answer.outputs, samples)
        for cut in (self.source.cut, self.spiking):
            cut.rows.update(folded)
            cut.joint.update(set(self.source.outputs) - self.source.growing)
        return replace(given_answer, levels=levels, off_grid=off, outputs=outputs)

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
        samples = len(next(iter(inputs.values())))
        found |= self._by_sample.outputs({name: found[name] for name in self.source.outputs}, samples)
        for p in self.pairs:
            found[p.name] = apart(found[p.name], samples)
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
        """An output, in both."""
        return output, output

    def path(self, tensors: Tensors, inputs: Mapping[str, Array], levels: Levels) -> Path:
        """What lies before these tensors, made when first asked for; sizes are those of the data."""
        if tensors not in self._paths:
            example = given(inputs, levels, np.arange(self.source.batch or 1))
            self._paths[tensors] = Path(
                self.source.cut, self.spiking, tensors, example, precision=self.precision
            )
        return self._paths[tensors]

    def _evaluate(
        self, tensors: Tensors, inputs: Mapping[str, Array], levels: Levels, rows: NDArray[np.int64]
    ) -> Potentials:
        path, batch = self.path(tensors, inputs, levels), self.source.batch or 1
        if batch == 1:
            return together_again([path(given(inputs, levels, some)) for some in path.blocks(rows)])
        count, numbers = len(next(iter(inputs.values()))), np.unique(rows // batch)
        within = [np.minimum(np.arange(n * batch, (n + 1) * batch), count - 1) for n in numbers]
        whole = together_again([path(given(inputs, levels, some)) for some in within])
        return whole.at(np.searchsorted(numbers, rows // batch) * batch + rows % batch)

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

    def _forced_answer(
        self, inputs: Mapping[str, Array], ann: Levels, rows: NDArray[np.int64]
    ) -> dict[str, Array]:
        """What every layer answers in ``rows``, given the source's levels."""
        if self._forced is None:
            self._forced = ForcedNetwork(self.converted, self.pairs, fused=self.fused)
        some = {name: value[rows] for name, value in inputs.items()}
        held = {p.name: together(ann[p.source][rows], self._ranks.get(p.source, 0)) for p in self.pairs}
        answers = self._forced.levels(some, held)
        outputs = {name: answers.pop(name) for name in self.source.outputs}
        apart_again = {name: apart(k, len(rows)) for name, k in answers.items()}
        return apart_again | self._by_sample.outputs(outputs, len(rows))

    def _explain(
        self,
        batch: Batch,
        rows: NDArray[np.int64],
        ann: Levels,
        snn: dict[str, Array],
        forced: Mapping[str, Array],
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

    def _readout(self, name: str, batch: Batch, answer: Answer, found: Mapping[str, Array]) -> Readout:
        """With equal levels (forced where they were not) an output may differ by the readout's rounding only."""
        potentials = partial(self._evaluate, self.readout_tensors(name), batch.inputs, answer.levels)
        return Readout(
            name, batch.start, len(batch), answer.outputs[name], found[name], self.precision, potentials
        )


@dataclass(frozen=True)
class _Same:
    """The spiking network on the source's levels.

    Attributes:
        differing: By source tensor, where its own levels are others; None where nowhere.
        rows: Samples with any such level.
        forced: What each layer, and each output, answers in these; None if there are none.
        outputs: In all samples.
    """

    differing: Mapping[str, Mask | None]
    rows: Mask
    forced: Mapping[str, Array] | None
    outputs: Mapping[str, Array]


def _in_whole_batches(rows: NDArray[np.int64], count: int, batch: int) -> Mask:
    """Which of so many samples share a batch with any of ``rows``: a network that fixes its batch may tell places in it apart."""
    found = np.zeros(count, bool)
    found[rows] = True
    starts = np.arange(0, count, batch)
    return np.repeat(np.logical_or.reduceat(found, starts), batch)[:count]


def _replaced(values: Array, rows: NDArray[np.bool_], others: Array) -> Array:
    """``values`` with other values in some rows."""
    result: Array = values.copy()
    result[rows] = others
    return result
