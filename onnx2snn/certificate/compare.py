"""One batch through both networks, level by level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.as_written import AsWritten, SpikingNetwork
from onnx2snn.certificate.batch_findings import (
    Findings,
    Lazy,
    Levels,
    compact,
)
from onnx2snn.certificate.classify import equal_levels, explained
from onnx2snn.certificate.cut_networks import CutNetworks
from onnx2snn.certificate.forcing import ForcedNetwork
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.levels_of_source import on_levels_of_source
from onnx2snn.certificate.normalised_source import NormalisedSource
from onnx2snn.certificate.outputs import (
    BySample,
    Readout,
    apart,
    errors_of,
    has_samples,
    in_whole_batches,
    must_be_of_samples,
    readout_defects,
    together,
)
from onnx2snn.certificate.pairing import Pair
from onnx2snn.certificate.potentials import broken
from onnx2snn.certificate.reconstruction import recovered_levels
from onnx2snn.certificate.samples_in_front import in_front
from onnx2snn.certificate.source_network import Answer
from onnx2snn.data import Batch
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.errors import InvalidModelError, Onnx2SnnError
from onnx2snn.graph.core import Array
from onnx2snn.model.weights import SplitModel
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.providers import Provider
from onnx2snn.units import steps_to_answer

#: Samples at a time, at most.
CHUNK = 64
#: Neurons of all layers whose levels are held at a time.
MOST = 1 << 25
#: Levels of one layer, from which on a session is not kept.
LARGE = 1 << 22
#: Numbers of the largest train that a network which runs as a whole may hold; layers with more a sample run one by one.
TRAIN = 1 << 24


class Comparison(CutNetworks):
    """Both networks, loaded side by side.

    Args:
        model: The source.
        converted: The spiking network.
        file: Its bytes or its path, for a session.
        execution: Of the spiking network.
        backend: What runs it.
        providers: Execution providers of onnxruntime; none: the CPU.
        compiled: ``file`` was made of ``converted``, and runs as it is.
        normalised: The source, where it has been normalised before.

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
        providers: Sequence[Provider] = (),
        compiled: bool = False,
        normalised: NormalisedSource | None = None,
    ) -> None:
        super().__init__(model, converted, normalised)
        self.trains = {p.name: p.train for p in self.pairs}
        self._file, self._execution = file, execution
        self._backend, self._providers = backend, providers
        table = read_layer_table(converted.structure)
        self.steps = steps_to_answer(self.timesteps, table.get("depth"))
        self.neurons = {p.name: int(e["neurons"]) for p, e in zip(self.pairs, table["layers"], strict=True)}
        self.fused = execution == "fused"
        self._as_written = not compiled and (execution, backend) == ("spiking", "onnxruntime")
        self._bodies_pass_levels = table.get("execution") == "fused"
        self.converted = converted
        self._by_sample = BySample(())
        self._ranks: dict[str, int] = {}

    def judge(self, p: Pair) -> Judge:
        """As :meth:`CutNetworks.judge`."""
        return replace(super().judge(p), kernels=self._execution == "int8")

    @property
    def rows(self) -> int:
        """Samples at a time: whole batches, and no more levels than are held at once; of what data selects, each has its own."""
        batch = self.source.batch or 1
        if self.in_batches and batch == 1:
            return 1
        fit = min(
            MOST // max(sum(self.neurons.values()), 1),
            TRAIN // max(self.timesteps * max(self.neurons.values(), default=0), 1),
        )
        return batch * max(1, min(CHUNK, fit) // batch)

    def rows_of(self, most: int | None) -> int:
        """Likewise, no more than ``most`` where it is given, but for a batch that the source fixes."""
        batch = self.source.batch or 1
        return self.rows if most is None else min(self.rows, batch * max(1, most // batch))

    @cached_property
    def session(self) -> SpikingNetwork:
        """What runs the spiking network, made when first asked for: the file itself, or another way."""
        session = SpikingSession(
            self._file,
            execution=self._execution,
            backend=self._backend,
            providers=self._providers,
            chunk=CHUNK,
            count="levels",
        )
        if not self._as_written:
            return session
        axes = self.source.sample_axes
        return AsWritten(session, self.converted, self.trains, fused=self._bodies_pass_levels, axis_of=axes)

    def __call__(self, batch: Batch, answer: Answer | None = None) -> Findings:
        """Compare both networks on ``batch``.

        Args:
            batch: What both are given.
            answer: Of the source, where it is known.
        """
        answer = answer or self.answer(batch.inputs)
        snn = self.snn_levels(batch.inputs, answer.levels)
        same = on_levels_of_source(self, batch, answer, snn)
        if self.source.unread:
            recovered = recovered_levels(self, batch, answer, same.outputs)
            if recovered is not answer:
                answer, same = recovered, on_levels_of_source(self, batch, recovered, snn)
        found = {name: snn[name] for name in self.source.outputs}
        findings = errors_of(batch, answer.outputs, found, same.rows) + equal_levels(
            self, batch, answer, same.differing
        )
        if same.rows.any():
            findings += explained(self, batch, np.flatnonzero(same.rows), answer.levels, snn)
        for name in self.source.outputs:
            findings += readout_defects(self._readout(name, batch, answer, same.outputs))
        return findings

    def excess(self, batch: Batch, answer: Answer, outputs: Mapping[str, Array]) -> NDArray[np.float64]:
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
        levels = {name: compact(apart(k, samples), self.timesteps) for name, k in given_answer.levels.items()}
        if self.source.batch is not None:  # it is evaluated whole, batch by batch
            for p in self.pairs:
                must_be_of_samples(p.name, levels[p.source], samples)
        off = {
            name: None if mask is None else apart(mask, samples)
            for name, mask in given_answer.off_grid.items()
        }
        self._by_sample = BySample(self.source.growing)
        outputs = self._by_sample.outputs(given_answer.outputs, samples)
        folded = {name: k.shape[1:] for name, k in levels.items() if k.ndim != self._ranks[name]}
        folded |= self._by_sample.shapes(given_answer.outputs, samples)
        if any(self.spiking.rows.get(name) not in (None, shape) for name, shape in folded.items()):
            self.forget_paths()
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
            found = in_front(self._levels(inputs, ann), self.source.sample_axes)
        except Onnx2SnnError:
            raise
        except Exception as error:  # the runtimes' errors share no base class
            raise broken(error) from error
        samples = len(next(iter(inputs.values())))
        found |= self._by_sample.outputs({name: found[name] for name in self.source.outputs}, samples)
        for p in self.pairs:
            if found[p.name].size > LARGE:  # what a runtime keeps of maps as large is let go with it
                self.__dict__.pop("session", None)
            found[p.name] = compact(apart(found[p.name], samples), self.timesteps)
            if found[p.name].shape != ann[p.source].shape:
                raise InvalidModelError(
                    f"this layer has another shape than the activation '{p.source}' of the source",
                    node=p.name,
                    found=f"{found[p.name].shape[1:]}, expected {ann[p.source].shape[1:]}",
                    remedy="convert the source again",
                )
        return found

    def _levels(self, inputs: Mapping[str, Array], ann: Levels) -> dict[str, Array]:
        train = max(k[:1].size for k in ann.values()) * self.timesteps
        bodies = self._execution in ("spiking", "fused") and self._backend == "onnxruntime"
        if train <= TRAIN or not bodies or "session" in vars(self):
            return self.session.levels(inputs)
        held = self._held(ann, np.arange(len(next(iter(inputs.values())))))
        return self._forced_network.layer_by_layer(inputs, {p.name: held[p.name].shape for p in self.pairs})

    def forced_levels(
        self, name: str, inputs: Mapping[str, Array], ann: Levels, rows: NDArray[np.int64]
    ) -> Array:
        """What a layer answers in ``rows``, given the source's levels."""
        count = len(next(iter(inputs.values())))
        whole = np.flatnonzero(in_whole_batches(rows, count, self.unit(count) if self.in_batches else 1))
        some, held = {n: value[whole] for n, value in inputs.items()}, self._held(ann, whole)
        found = apart(self._forced_network.layer(name, some, held, held[name].shape), len(whole))
        return found if len(whole) == len(rows) else found[np.searchsorted(whole, rows)]

    def forced_outputs(
        self, names: Sequence[str], inputs: Mapping[str, Array], ann: Levels, rows: NDArray[np.int64]
    ) -> dict[str, Array]:
        """Some outputs in ``rows``, given the source's levels."""
        some = {n: value[rows] for n, value in inputs.items()}
        found = self._forced_network.outputs(names, some, self._held(ann, rows))
        return self._by_sample.outputs(in_front(found, self.source.sample_axes), len(rows))

    def _held(self, ann: Levels, rows: NDArray[np.int64]) -> Mapping[str, Array]:
        """Levels by IF node, in the rows of the network, each looked up when it is read."""
        of = {p.name: p.source for p in self.pairs}
        return Lazy(of, lambda name: together(ann[of[name]][rows], self._ranks.get(of[name], 0)))

    @cached_property
    def _forced_network(self) -> ForcedNetwork:
        return ForcedNetwork(self.converted, self.pairs, fused=self.fused)

    def _readout(self, name: str, batch: Batch, answer: Answer, found: Mapping[str, Array]) -> Readout:
        """With equal levels (forced where they were not) an output may differ by the readout's rounding only."""
        potentials = partial(self.evaluate, self.readout_tensors(name), batch.inputs, answer.levels)
        return Readout(
            name, batch.start, len(batch), answer.outputs[name], found[name], self.precision, potentials
        )
