"""One batch through both networks, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.certificate.cuts import cut_spiking
from onnx2snn.certificate.findings import MOST_DEFECTS, Counts, Findings, first, worst
from onnx2snn.certificate.forcing import ForcedNetwork
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.outputs import OutputJudge
from onnx2snn.certificate.pairing import Pair, pair
from onnx2snn.certificate.potentials import Path
from onnx2snn.certificate.result import Defect
from onnx2snn.certificate.source import Source
from onnx2snn.certificate.tails import tail_of
from onnx2snn.data import Batch
from onnx2snn.dialect import read_layer_table
from onnx2snn.errors import InvalidModelError
from onnx2snn.evaluation.work import predicted_classes
from onnx2snn.graph import Array
from onnx2snn.runtime import SpikingSession

Levels = dict[str, NDArray[np.int64]]
Mask = NDArray[np.bool_]

#: Samples at a time inside of the networks.
CHUNK = 64

_REASONS = (
    "the source's own level is not one that rounding can give to its potential",
    "with the source's own inputs the neuron answers another level, and rounding does not explain it",
    "with the source's own inputs the potential is another, by more than the rounding of weights explains",
)


class Comparison:
    """Both networks, loaded side by side.

    Args:
        model: The source.
        converted: The spiking network.
        execution: Of the spiking network.
        backend: What runs it.

    Raises:
        InvalidModelError: the one was not made from the other.
    """

    def __init__(self, model: onnx.ModelProto, converted: onnx.ModelProto, *, execution: str, backend: str) -> None:
        self.source = Source(model)
        staircases = {name: one.staircase for name, one in self.source.activations.items()}
        self.pairs: tuple[Pair, ...] = pair(converted, staircases, self.source.outputs)
        self.session = SpikingSession(
            converted.SerializeToString(), execution=execution, backend=backend, chunk=CHUNK
        )
        self.timesteps = self.session.timesteps
        table = read_layer_table(converted)
        names = {p.name: p.source for p in self.pairs}
        self.spiking = cut_spiking(converted, names, bias=str(table.get("bias", "once")))
        self.neurons = {p.name: int(e["neurons"]) for p, e in zip(self.pairs, table["layers"], strict=True)}
        self._before = {p.source: self.source.cut.layers_before(self.source.cut.potentials[p.source]) for p in self.pairs}
        self.tails = {o: (tail_of(self.source.cut, o), tail_of(self.spiking, o)) for o in self.source.outputs}
        self._fused = execution == "fused"
        self._converted = converted
        self._forced: ForcedNetwork | None = None
        self._paths: dict[tuple[str, str], Path] = {}

    def __call__(self, batch: Batch) -> Findings:
        """Compare both networks on ``batch``."""
        answer = self.source(batch.inputs)
        ann = answer.levels
        snn = self.snn_levels(batch.inputs, ann)
        found = self._outputs_alone(batch, answer.written, snn)
        parts = [self._equal_levels(batch, ann, snn, answer.on_grid)]
        rows = np.zeros(len(batch), bool)
        for p in self.pairs:
            rows |= _any(snn[p.name] != ann[p.source])
        forced: dict[str, Array] = {}
        if rows.any():
            explained, forced = self._explain(batch, np.flatnonzero(rows), ann, snn)
            parts.append(explained)
        parts.append(self._outputs_given_levels(batch, np.flatnonzero(rows), ann, answer.outputs, snn, forced))
        return sum(parts, found)

    def snn_levels(self, inputs: Mapping[str, Array], ann: Levels) -> dict[str, Array]:
        """Levels by IF node, and outputs, of the spiking network.

        Raises:
            InvalidModelError: a layer has another shape than its activation.
        """
        found = self.session.levels(inputs)
        for p in self.pairs:
            if found[p.name].shape != ann[p.source].shape:
                raise InvalidModelError(
                    f"this layer has another shape than the activation '{p.source}' of the source",
                    node=p.name,
                    found=f"{found[p.name].shape[1:]}, expected {ann[p.source].shape[1:]}",
                    remedy="convert the source again",
                )
        return found

    def path(self, p: Pair, inputs: Mapping[str, Array], levels: Levels) -> Path:
        """What lies before the potentials of a layer."""
        tensors = self.source.cut.potentials[p.source], self.spiking.potentials[p.source]
        return self._path(tensors, inputs, levels)

    def readout(self, output: str, inputs: Mapping[str, Array], levels: Levels) -> Path:
        """What lies before an output, or before its first jump."""
        tensors = self.tails[output][0].before, self.tails[output][1].before
        return self._path(tensors, inputs, levels)

    def _path(self, tensors: tuple[str, str], inputs: Mapping[str, Array], levels: Levels) -> Path:
        """Made when first asked for; sizes are those of the data."""
        if tensors not in self._paths:
            example = given(inputs, levels, np.array([0]))
            self._paths[tensors] = Path(self.source.cut, self.spiking, tensors, example)
        return self._paths[tensors]

    def judge(self, p: Pair) -> Judge:
        """Of one layer."""
        return Judge(self.source.activations[p.source], p.neuron, self.timesteps)

    def _equal_levels(self, batch: Batch, ann: Levels, snn: dict[str, Array], on_grid: dict[str, Mask]) -> Findings:
        """Count equal levels, and activations of the source that hold no level at all."""
        layers, defects = {}, []
        for p in self.pairs:
            same, sound = snn[p.name] == ann[p.source], on_grid[p.source]
            exact = int((same & sound).sum())
            layers[p.name] = Counts(same.size, exact, unexplained=int((same & ~sound).sum()))
            for at in _some(~sound):
                values = {"ann": float(ann[p.source][at]), "snn": float(snn[p.name][at])}
                reason = "the source's activation holds a value that is none of its levels"
                defects.append(_defect(p.name, batch, at, values, reason))
        return Findings(layers=layers, defects=first(tuple(defects)))

    def _explain(
        self, batch: Batch, rows: NDArray[np.int64], ann: Levels, snn: dict[str, Array]
    ) -> tuple[Findings, dict[str, Array]]:
        """Sort the neurons whose levels differ, by what they answer when every layer gets the ANN's levels."""
        if self._forced is None:
            self._forced = ForcedNetwork(self._converted, self.pairs, fused=self._fused)
        inputs = {name: value[rows] for name, value in batch.inputs.items()}
        held = {name: k[rows] for name, k in ann.items()}
        forced = self._forced.levels(inputs, {p.name: held[p.source] for p in self.pairs})
        differing = {p.source: snn[p.name][rows] != held[p.source] for p in self.pairs}
        part = replace(batch, inputs=inputs)
        findings = Findings()
        for p in self.pairs:
            found = snn[p.name][rows]
            before = np.zeros(len(rows), bool)
            for name in self._before[p.source]:
                before |= _any(differing[name])
            alone = np.where(before.reshape((-1,) + (1,) * (found.ndim - 1)), forced[p.name], found)
            findings += self._sort(part, rows, p, held, found, alone)
        return findings, forced

    def _sort(
        self, part: Batch, rows: NDArray[np.int64], p: Pair, ann: Levels, found: Array, alone: Array
    ) -> Findings:
        """One layer: exact, ambiguous, propagated or unexplained."""
        expected = ann[p.source]
        differs, off = found != expected, alone != expected
        bad, defects = np.zeros(off.shape, bool), ()
        some = np.flatnonzero(_any(off))
        if some.size:
            potentials = self.path(p, part.inputs, ann)(given(part.inputs, ann, some))
            judge = self.judge(p)
            answered = alone[some].astype(np.int64)
            verdicts = judge.explained(potentials, expected[some], answered)
            bad[some] = off[some] & ~np.logical_and.reduce(verdicts)
            u, v = judge.positions(potentials)
            margins = judge.margins(potentials)
            for at in _some(bad[some]):
                which = next(i for i, ok in enumerate(verdicts) if not ok[at])
                threshold = self.source.activations[p.source].staircase.lower_edges(np.maximum(answered, expected[some]))
                bound = (margins.source, margins.spiking, margins.maps)[which]
                values = {
                    "ann": float(expected[some][at]),
                    "snn": float(answered[at]),
                    "potential": float(np.float32(potentials.source[at])),
                    "threshold": float(np.broadcast_to(threshold, off[some].shape)[at]),
                    "bound": _times(bound, judge, at),
                }
                sample = part.start + int(rows[some[at[0]]])
                defects += (Defect(**_EMPTY | values, layer=p.name, sample=sample, neuron=at[1:], reason=_REASONS[which]),)
        ambiguous = differs & off & ~bad & (found == alone)
        propagated = differs & ~bad & ~ambiguous
        counts = Counts(
            0, -int((bad & ~differs).sum()), int(ambiguous.sum()), int(propagated.sum()), int(bad.sum())
        )
        return Findings(layers={p.name: counts}, defects=first(defects))

    def _outputs_alone(self, batch: Batch, expected: dict[str, Array], found: dict[str, Array]) -> Findings:
        """Errors of outputs and classes, whatever their cause."""
        largest, total, values = np.zeros(len(batch)), Fraction(0), 0
        for name in self.source.outputs:
            if expected[name].shape != found[name].shape:
                raise InvalidModelError(
                    f"output '{name}' of the spiking network has another shape",
                    found=f"{found[name].shape}, expected {expected[name].shape}",
                    remedy="convert the source again",
                )
            error = difference(expected[name], found[name]).reshape(len(batch), -1)
            largest = np.maximum(largest, error.max(axis=1, initial=0))
            values += error.size
            total += sum((Fraction(e) for e in error.sum(axis=1).tolist() if np.isfinite(e)), Fraction(0))
        findings = Findings(
            samples=len(batch),
            values=values,
            total_error=total,
            largest_error=float(largest.max(initial=0)),
            worst=worst(tuple((float(e), batch.start + i) for i, e in enumerate(largest) if e > 0)),
        )
        name = self.source.outputs[0]
        right, snn = predicted_classes(expected[name]), predicted_classes(found[name])
        if right is None or snn is None:
            return findings
        findings = replace(findings, classed=len(batch), same_class=int((right == snn).sum()))
        if batch.labels is None:
            return findings
        correct = int((right == batch.labels).sum()), int((snn == batch.labels).sum())
        return replace(findings, labelled=len(batch), right=correct)

    def _outputs_given_levels(
        self, batch: Batch, rows: NDArray[np.int64], ann: Levels, expected: dict[str, Array],
        found: dict[str, Array], forced: dict[str, Array],
    ) -> Findings:  # fmt: skip
        """With equal levels (forced where they were not) outputs may differ by the readout's rounding only."""
        findings = Findings()
        for name in self.source.outputs:
            answered = found[name].copy()
            if rows.size:
                answered[rows] = forced[name]
            off = difference(expected[name], answered)
            some = np.flatnonzero(_any(off > 0))
            if not some.size:
                continue
            potentials = self.readout(name, batch.inputs, ann)(given(batch.inputs, ann, some))
            allowed, tail = OutputJudge(self.timesteps).allowed(potentials), self.tails[name][0]
            if tail.model is None:
                bad = ~(off[some] <= allowed)
            else:
                answers = expected[name][some], answered[some]
                bad = ~np.logical_and(*(tail.accepts(potentials.source, allowed, a) for a in answers))
            defects = []
            for at in _some(bad):
                where = (int(some[at[0]]), *at[1:])
                values = {"ann": float(expected[name][where]), "snn": float(answered[where])}
                values["bound"] = float(allowed[at]) if allowed.shape == bad.shape else float(allowed[at[0]].max())
                reason = "with equal levels the readout answers another value"
                defects.append(_defect(name, batch, where, values, reason))
            findings += Findings(unexplained_outputs=int(bad.sum()), defects=first(tuple(defects)))
        return findings


_EMPTY: dict[str, Any] = {"potential": None, "threshold": None, "bound": 0.0}


def given(inputs: Mapping[str, Array], levels: Levels, rows: NDArray[np.int64]) -> dict[str, Array]:
    """Network inputs and ``level/<layer>`` of some samples."""
    return {name: value[rows] for name, value in inputs.items()} | {f"level/{n}": k[rows].astype(np.float64) for n, k in levels.items()}


def difference(a: Array, b: Array) -> NDArray[np.float64]:
    """|a − b|; 0 where both are the same infinity or no number, infinite where only one is."""
    with np.errstate(invalid="ignore"):
        error = np.abs(a.astype(np.float64) - b.astype(np.float64))
    same = (a == b) | (np.isnan(a.astype(np.float64)) & np.isnan(b.astype(np.float64)))
    return np.where(same, 0.0, np.nan_to_num(error, nan=np.inf))


def _any(mask: Mask) -> Mask:
    """By sample."""
    return mask.reshape(len(mask), -1).any(axis=1)


def _some(mask: Mask) -> list[tuple[int, ...]]:
    return [tuple(int(i) for i in at) for at in np.argwhere(mask)[:MOST_DEFECTS]]


def _times(bound: NDArray[np.float64], judge: Judge, at: tuple[int, ...]) -> float:
    """A margin in units of z."""
    theta = judge.activation.staircase.threshold
    return float(np.broadcast_to(bound * theta, bound.shape)[at])


def _defect(layer: str, batch: Batch, at: tuple[int, ...], values: dict[str, float], reason: str) -> Defect:
    return Defect(**_EMPTY | values, layer=layer, sample=batch.start + at[0], neuron=at[1:], reason=reason)
