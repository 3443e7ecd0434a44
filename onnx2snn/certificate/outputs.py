"""Outputs: how far apart they are, and what rounding may do to them where all levels before them are equal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.batch_findings import (
    Findings,
    Mask,
    OutputNumbers,
    any_of,
    defect,
    difference,
    first,
    places,
    worst,
)
from onnx2snn.certificate.potentials import Potentials
from onnx2snn.data import Batch
from onnx2snn.errors import InvalidModelError
from onnx2snn.evaluation.batch_job import predicted_classes, right_answers
from onnx2snn.graph.core import Array
from onnx2snn.operators.signals import (
    CONSTANTS,
    EXACT,
    UNIT,
    UNIT64,
    Precision,
    Wide,
    coarse,
    gamma,
    integrated,
)


def has_samples(values: Array, samples: int) -> bool:
    """Whether an output has an answer to each sample; others are there once, (1, ...)."""
    return len(values) == samples


def must_be_of_samples(layer: str, levels: Array, samples: int) -> None:
    """What is judged sample by sample has as many of them."""
    if len(levels) != samples:
        raise InvalidModelError(
            "this layer has rows that belong to no one sample: an operator that was kept takes some of the batch, and levels "
            "are compared sample by sample",
            node=layer,
            found=f"{len(levels)} rows for {samples} samples",
            remedy="export it with a dynamic batch axis, of which one sample at a time is compared",
        )


def errors_of(
    batch: Batch, expected: Mapping[str, Array], found: Mapping[str, Array], unlike: Mask | None = None
) -> Findings:
    """Errors of outputs, and classes, whatever their cause; the first output is the one that says the class.

    Args:
        batch: The samples.
        expected: What the ANN answers.
        found: What the SNN answers.
        unlike: Samples in which levels differ.
    """
    largest, total, outputs = np.zeros(len(batch)), Fraction(0), {}
    for name in expected:
        if expected[name].shape != found[name].shape:
            raise InvalidModelError(
                f"output '{name}' of the spiking network has another shape",
                found=f"{found[name].shape}, expected {expected[name].shape}",
                remedy="convert the source again",
            )
        error = difference(expected[name], found[name])
        error = error.reshape(len(error), -1)
        largest[: len(error)] = np.maximum(largest[: len(error)], error.max(axis=1, initial=0))
        outputs[name] = OutputNumbers(error.size, float(error.max(initial=0)))
        total += sum((Fraction(e) for e in error.sum(axis=1).tolist() if np.isfinite(e)), Fraction(0))
    alike = np.zeros(len(batch), bool) if unlike is None else ~unlike
    findings = Findings(
        samples=len(batch),
        alike=int(alike.sum()),
        alike_error=float(largest[alike].max(initial=0)),
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


def allowed(p: Potentials, precision: Precision) -> Wide:
    """How far answers may be apart where no tie is near, (N, ...): rounding of both networks, and of constants in conversion."""
    n = p.rounding.terms
    source = np.where(_fits_source(p, precision), 0.0, gamma(n + 1) + _narrow(p, precision))
    return np.asarray((source + _of_spiking(p, precision) + _constants(p)) * p.magnitude)


def allowed_of_executions(p: Potentials, precision: Precision) -> Wide:
    """How far answers of two executions of one spiking network may be apart where no tie is near, (N, ...).

    Either integrates in an order of its own, and folds scales into constants of its own.
    """
    narrow = np.where(_fits_source(p, precision), 0.0, _narrow(p, precision))
    return np.asarray((narrow + 2 * _of_spiking(p, precision) + _constants(p)) * p.magnitude)


def _fits_source(p: Potentials, precision: Precision) -> NDArray[np.bool_]:
    """Where the source's numbers hold every sum."""
    return np.asarray(p.magnitude <= p.rounding.quantum / precision.unit)


def _narrow(p: Potentials, precision: Precision) -> float:
    """What share numbers coarser than float32 add: both networks end in a cast to the output's type."""
    return 2 * coarse(precision.unit, p.rounding.operators)


def _of_spiking(p: Potentials, precision: Precision) -> Wide:
    """What share the rounding of one spiking network may be."""
    exact = p.magnitude <= EXACT * p.spiking_quantum
    return np.where(exact, 0.0, gamma(integrated(p.rounding.terms, precision.timesteps)))


def allowed_exactly(p: Potentials) -> Wide:
    """How far they may be apart in exact arithmetic, (N, ...): the rounding of constants in conversion, and ties."""
    return np.asarray(_constants(p) * p.magnitude + (0.0 if p.reach is None else p.reach))


def _constants(p: Potentials) -> float:
    return (CONSTANTS + p.rounding.constants) * UNIT + 2 * (p.rounding.terms + 4) * UNIT64


@dataclass(frozen=True)
class Readout:
    """One output of a batch, where the SNN's levels are the ANN's.

    Attributes:
        name: The output.
        start: Position of the first sample in the data.
        samples: N.
        expected: What the ANN answers, (N, ...), or (1, ...) where all samples make it.
        found: What the SNN answers.
        precision: Of both networks.
        potentials: Both networks' values, by rows.
        bound: How far the answers may be apart where no tie is near.
    """

    name: str
    start: int
    samples: int
    expected: Array
    found: Array
    precision: Precision
    potentials: Callable[[NDArray[np.int64]], Potentials]
    bound: Callable[[Potentials, Precision], Wide] = allowed

    def misfits(self) -> Misfits | None:
        """Numbers that differ by more than the rounding of the readout explains; None where none differs at all."""
        off = difference(self.expected, self.found)
        rows = np.flatnonzero(any_of(off > 0))
        if not rows.size:
            return None
        apart = has_samples(self.expected, self.samples)
        potentials = self.potentials(rows if apart else np.arange(self.samples))
        if apart and potentials.source.shape != self.expected[rows].shape:
            # As many numbers as there are samples, and none of one sample: all samples make each of them.
            rows, potentials = np.arange(len(off)), self.potentials(np.arange(self.samples))
        fits, bound = self._fits(potentials, off[rows], (self.expected[rows], self.found[rows]))
        return Misfits(rows, ~fits, bound, off[rows])

    def _fits(self, p: Potentials, off: Wide, answers: tuple[Array, Array]) -> tuple[NDArray[np.bool_], Wide]:
        """Where two answers may both be given: each of them, where ties are near; and how far they may be apart."""
        bound = self.bound(p, self.precision)
        if p.ranking is not None:
            return np.logical_and(*map(p.ranking.allows, answers)), bound
        fits = np.asarray(off <= bound)
        if p.reach is None:
            return fits, bound
        reach = bound + p.reach
        return fits | np.logical_and(*(difference(a, p.source) <= reach for a in answers)), reach


@dataclass(frozen=True)
class Misfits:
    """Where an output differs.

    Attributes:
        rows: Samples in which any number differs (n,).
        bad: Numbers that differ by more than is allowed (n, ...).
        bound: What is allowed (n, ...).
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
        limit = bound[at]
        reason = "with equal levels the readout answers another value than the source's file"
        values = {"ann": readout.expected[where], "snn": readout.found[where], "bound": limit}
        defects.append(defect(readout.name, readout.start + where[0], where[1:], reason, **values))
    unexplained = OutputNumbers(unexplained=int(misfits.bad.sum()))
    return Findings(outputs={readout.name: unexplained}, defects=first(defects))


class BySample:
    """Outputs of one network, sample by sample.

    1. Rows of each sample: (N·S, ...) becomes (N, S, ...).
    2. What does not grow with the samples (a mean of all, anchors, a shape) is there once: (1, ...).

    Args:
        growing: Names of the outputs that have rows of each sample.
    """

    def __init__(self, growing: Collection[str]) -> None:
        self._growing = growing

    def outputs(self, values: Mapping[str, Array], samples: int) -> dict[str, Array]:
        """(N, ...) or (1, ...) of outputs, by name."""
        return {n: apart(v, samples) if n in self._growing else v[None] for n, v in values.items()}

    def shapes(self, values: Mapping[str, Array], samples: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one sample of the outputs that are reshaped so."""
        found = {n: v.shape[1:] for n, v in self.outputs(values, samples).items()}
        return {
            n: shape for n, shape in found.items() if shape != values[n].shape[1:] or n not in self._growing
        }


def apart(values: Array, samples: int) -> Array:
    """Case 1; as it is, where each sample has one row, or no whole number of them."""
    if len(values) == samples or not len(values) or len(values) % samples:
        return values
    return values.reshape(samples, -1, *values.shape[1:])


def together(values: Array, rank: int) -> Array:
    """The rows that :func:`apart` took apart, of a tensor of ``rank``."""
    return values if values.ndim == rank else values.reshape(-1, *values.shape[2:])


def in_whole_batches(rows: NDArray[np.int64], count: int, batch: int) -> NDArray[np.bool_]:
    """Which of so many samples share a batch with any of ``rows``: a network that fixes its batch may tell places in it apart."""
    found = np.zeros(count, bool)
    found[rows] = True
    starts = np.arange(0, count, batch)
    return np.repeat(np.logical_or.reduceat(found, starts), batch)[:count]
