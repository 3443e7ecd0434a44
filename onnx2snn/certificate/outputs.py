"""Outputs: how far apart they are, and what rounding may do to them where all levels before them are equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.differences import any_of, defect, difference, largest_of, places
from onnx2snn.certificate.findings import Findings, Numbers, first, worst
from onnx2snn.certificate.judge import CONSTANTS, UNBOUNDED
from onnx2snn.certificate.potentials import Potentials, Wide
from onnx2snn.certificate.rounding import EXACT, UNIT, UNIT64, coarse, gamma
from onnx2snn.certificate.tails import Tail
from onnx2snn.data import Batch
from onnx2snn.errors import InvalidModelError
from onnx2snn.evaluation.work import predicted_classes, right_answers
from onnx2snn.graph.core import Array


def has_samples(values: Array, samples: int) -> bool:
    """Whether an output's first axis is the batch: some are the same for every batch, or flat."""
    return values.ndim > 0 and len(values) == samples


def by_sample(values: Array, samples: int) -> Array:
    """``values`` (N, ...), or (1, ...) where they are no answer to each sample."""
    return values if has_samples(values, samples) else values[None]


def errors_of(batch: Batch, expected: Mapping[str, Array], found: Mapping[str, Array]) -> Findings:
    """Errors of outputs, and classes, whatever their cause; the first output is the one that says the class."""
    largest, total, outputs = np.zeros(len(batch)), Fraction(0), {}
    for name in expected:
        if expected[name].shape != found[name].shape:
            raise InvalidModelError(
                f"output '{name}' of the spiking network has another shape",
                found=f"{found[name].shape}, expected {expected[name].shape}",
                remedy="convert the source again",
            )
        error = by_sample(difference(expected[name], found[name]), len(batch))
        error = error.reshape(len(error), -1)
        largest[: len(error)] = np.maximum(largest[: len(error)], error.max(axis=1, initial=0))
        outputs[name] = Numbers(error.size, float(error.max(initial=0)))
        total += sum((Fraction(e) for e in error.sum(axis=1).tolist() if np.isfinite(e)), Fraction(0))
    findings = Findings(
        samples=len(batch),
        outputs=outputs,
        total_error=total,
        worst=worst((float(e), batch.start + i) for i, e in enumerate(largest) if e > 0),
    )
    name = next(iter(expected))
    if not has_samples(expected[name], len(batch)):
        return findings
    return _with_classes(findings, batch, expected[name], found[name])


def _with_classes(findings: Findings, batch: Batch, expected: Array, found: Array) -> Findings:
    ann, snn = predicted_classes(expected), predicted_classes(found)
    if ann is None or snn is None:
        return findings
    findings = replace(findings, classed=len(batch), same_class=int((ann == snn).sum()))
    right = right_answers(expected, batch), right_answers(found, batch)
    if right[0] is None or right[1] is None:
        return findings
    return replace(findings, labelled=len(batch), right=(right[0], right[1]))


@dataclass(frozen=True)
class Readout:
    """One output of a batch, where the SNN's levels are the ANN's.

    Attributes:
        name: The output.
        start: Position of the first sample in the data.
        samples: N.
        expected: What the ANN answers, (N, ...), or of any shape where it is no answer to each sample.
        found: What the SNN answers.
        tail: From its first jump on.
        timesteps: T.
        unit: Unit roundoff of the source's numbers.
        potentials: Both networks' values, by rows.
    """

    name: str
    start: int
    samples: int
    expected: Array
    found: Array
    tail: Tail
    timesteps: int
    unit: float
    potentials: Callable[[NDArray[np.int64]], Potentials]

    def misfits(self) -> Misfits | None:
        """Numbers that differ by more than the rounding of the readout explains; None where none differs at all."""
        off = by_sample(difference(self.expected, self.found), self.samples)
        rows = np.flatnonzero(any_of(off > 0))
        if not rows.size:
            return None
        if not has_samples(self.expected, self.samples):
            return self._as_a_whole(off)
        potentials = self.potentials(rows)
        bound = allowed(potentials, self.timesteps, self.unit)
        fits = self._fits(potentials, bound, off[rows], (self.expected[rows], self.found[rows]))
        return Misfits(rows, ~fits, bound, off[rows])

    def _as_a_whole(self, off: Wide) -> Misfits:
        """Of an output that is none of each sample: all samples make it, and the first stands for them."""
        potentials = self.potentials(np.arange(self.samples))
        bound = allowed(potentials, self.timesteps, self.unit)
        fits = self._fits(potentials, bound, off[0], (self.expected, self.found))
        return Misfits(np.zeros(1, np.int64), ~fits[None], bound[None], off)

    def _fits(self, p: Potentials, bound: Wide, off: Wide, answers: tuple[Array, Array]) -> NDArray[np.bool_]:
        if self.tail.model is None:
            return np.asarray(off <= bound)
        return np.logical_and(*(self.tail.accepts(p.source, bound, answer) for answer in answers))


@dataclass(frozen=True)
class Misfits:
    """Where an output differs.

    Attributes:
        rows: Samples in which any number differs (n,).
        bad: Numbers that differ by more than is allowed (n, ...).
        bound: What is allowed, (n, ...), of the output or of the scores in front of its jump.
        off: The differences (n, ...).
    """

    rows: NDArray[np.int64]
    bad: NDArray[np.bool_]
    bound: Wide
    off: Wide

    def excess(self, samples: int) -> Wide:
        """By sample (N,): how many numbers do not fit, and, as a share of one, how far off they are."""
        count = np.zeros(samples)
        far = np.where(self.bad, self.off, 0.0).reshape(len(self.rows), -1).sum(axis=1)
        count[self.rows] = self.bad.reshape(len(self.rows), -1).sum(axis=1) + far / (1 + far)
        return count


def readout_defects(readout: Readout) -> Findings:
    """Numbers that differ by more than the rounding of the readout explains."""
    misfits = readout.misfits()
    if misfits is None or not misfits.bad.any():
        return Findings()
    defects = []
    for at in places(misfits.bad):
        where = (int(misfits.rows[at[0]]), *at[1:])
        bound = misfits.bound
        limit = bound[at] if bound.shape == misfits.bad.shape else bound[at[0]].max()
        reason = "with equal levels the readout answers another value than the source's file"
        values = {"ann": readout.expected[where], "snn": readout.found[where], "bound": limit}
        defects.append(defect(readout.name, readout.start + where[0], where[1:], reason, **values))
    unexplained = Numbers(unexplained=int(misfits.bad.sum()))
    return Findings(outputs={readout.name: unexplained}, defects=first(defects))


def allowed(p: Potentials, timesteps: int, unit: float = UNIT) -> Wide:
    """How far what both networks answer may be apart, (N, ...): the rounding of both, and of constants in conversion."""
    if p.magnitude is None:
        return _measured(p)
    n = p.rounding.terms
    narrow = 2 * coarse(unit, p.rounding.operators)  # both networks end in a cast to the output's type
    source = np.where(p.magnitude <= p.rounding.quantum / unit, 0.0, gamma(n + 1) + narrow)
    spiking = np.where(p.magnitude <= EXACT * p.spiking_quantum, 0.0, gamma(n + 2 * timesteps + 6))
    return np.asarray((source + spiking) * p.magnitude + allowed_exactly(p))


def allowed_exactly(p: Potentials) -> Wide:
    """How far they may be apart in exact arithmetic, (N, ...): the rounding of constants in conversion."""
    if p.magnitude is None:
        return _measured(p)
    share = (CONSTANTS + p.rounding.constants) * UNIT + 2 * (p.rounding.terms + 4) * UNIT64
    return np.asarray(share * p.magnitude + (0.0 if p.ties is None else p.ties))


def _measured(p: Potentials) -> Wide:
    return np.broadcast_to(UNBOUNDED * largest_of(p.source), p.source.shape)
