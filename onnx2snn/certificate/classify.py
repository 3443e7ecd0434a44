"""Neurons whose levels differ, sorted by what explains them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.batch_findings import (
    Counts,
    Findings,
    Levels,
    Mask,
    any_of,
    defect,
    first,
    places,
    replaced,
    unequal,
)
from onnx2snn.certificate.certificate import Defect
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.pairing import Pair
from onnx2snn.certificate.potentials import Potentials
from onnx2snn.data import Batch
from onnx2snn.graph.core import Array

if TYPE_CHECKING:
    from onnx2snn.certificate.compare import Comparison
    from onnx2snn.certificate.source_network import Answer

#: Neurons of one layer that are explained at a time.
BLOCK = 1 << 22
OFF_GRID = "the source's activation holds a value that is none of its levels"
OVERFLOWN = "the source's activation is no number: what lies in front of it overflows"
_REASONS = (
    "the source's own level is not one that rounding can give to its potential",
    "with the source's own inputs the neuron answers another level, and rounding does not explain it",
    "with the source's own inputs the potential is another, by more than the rounding of weights explains",
)


@dataclass(frozen=True)
class JudgedLayer:
    """One layer, in samples in which some neuron of the network differs.

    Attributes:
        name: The IF node.
        samples: Positions in the data (n,).
        expected: The ANN's levels (n, ...).
        found: The SNN's.
        alone: What the SNN's neurons answer where the layers before them hold the ANN's levels.
        judge: Of the layer.
        potentials: Both networks' potentials, by rows of the above.
    """

    name: str
    samples: NDArray[np.int64]
    expected: NDArray[np.float32]
    found: Array
    alone: Array
    judge: Judge
    potentials: Callable[[NDArray[np.int64]], Potentials]


def equal_levels(
    comparison: Comparison, batch: Batch, answer: Answer, differing: Mapping[str, Mask | None]
) -> Findings:
    """Count equal levels, and activations of the source that hold no level at all."""
    layers, defects = {}, []
    for p in comparison.pairs:
        unlike, off, size = differing[p.source], answer.off_grid[p.source], answer.levels[p.source].size
        if off is None:
            layers[p.name] = Counts(size, size - (0 if unlike is None else int(unlike.sum())))
            continue
        bad = off if unlike is None else off & ~unlike
        good = ~off if unlike is None else ~(off | unlike)
        layers[p.name] = Counts(size, int(good.sum()), unexplained=int(bad.sum()))
        for at in places(off):
            level = float(answer.levels[p.source][at])
            reason = OVERFLOWN if p.source in answer.overflown else OFF_GRID
            defects.append(defect(p.name, batch.start + at[0], at[1:], reason, ann=level, snn=level))
    return Findings(layers=layers, defects=first(defects))


def explained(
    comparison: Comparison, batch: Batch, rows: NDArray[np.int64], ann: Levels, snn: Mapping[str, Array]
) -> Findings:
    """The neurons whose levels differ in ``rows``, sorted by what they answer when every layer gets the ANN's levels."""
    differing = {
        p.source: unequal(snn[p.name], ann[p.source]) is not None
        and any_of(snn[p.name][rows] != ann[p.source][rows])
        for p in comparison.pairs
    }
    findings = Findings()
    for p in comparison.pairs:
        before = np.zeros(len(rows), bool)
        for name in comparison.before[p.source]:
            before |= differing[name]
        count = max(1, BLOCK // max(comparison.neurons[p.name], 1))
        for start in range(0, len(rows), count):
            some = slice(start, start + count)
            found = snn[p.name][rows[some]]
            findings += sort_neurons(
                _layer(comparison, p, batch, rows[some], ann, found, before=before[some])
            )
    return findings


def _layer(  # noqa: PLR0917 - what tells one layer in some samples
    comparison: Comparison,
    p: Pair,
    batch: Batch,
    rows: NDArray[np.int64],
    ann: Levels,
    found: Array,
    *,
    before: Mask,
) -> JudgedLayer:
    """One layer in some samples, in front of which there may be other levels ``before``."""
    alone = found
    if before.any():
        forced = comparison.forced_levels(p.name, batch.inputs, ann, rows[before])
        alone = replaced(found, before, forced)
    tensors = comparison.layer_tensors(p)

    def potentials(some: NDArray[np.int64]) -> Potentials:
        return comparison.evaluate(tensors, batch.inputs, ann, rows[some])

    expected, judge = ann[p.source][rows], comparison.judge(p)
    return JudgedLayer(p.name, batch.start + rows, expected, found, alone, judge, potentials)


def sort_neurons(layer: JudgedLayer) -> Findings:
    """Ambiguous, propagated, unexplained; equal levels that the layer alone would not answer are no longer exact.

    1. *ambiguous*: with the ANN's inputs it answers the same other level, and rounding explains it.
    2. *propagated*: with the ANN's inputs it answers the ANN's level, or another that rounding explains.
    3. *unexplained*: with the ANN's inputs it answers a level that rounding does not explain.
    """
    differs, off = layer.found != layer.expected, layer.alone != layer.expected
    bad, truth, defects = _unexplained(layer, off)
    ambiguous = differs & off & ~bad & (layer.found == layer.alone)
    propagated = differs & ~bad & ~ambiguous
    counts = Counts(
        0,
        -int((bad & ~differs).sum()),
        int(ambiguous.sum()),
        int(propagated.sum()),
        int(bad.sum()),
        ann_exact=int((ambiguous & (truth == layer.expected)).sum()),
        snn_exact=int((ambiguous & (truth == layer.found)).sum()),
    )
    return Findings(layers={layer.name: counts}, defects=first(defects))


def _unexplained(
    layer: JudgedLayer, off: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], list[Defect]]:
    """Which of those that are ``off`` rounding does not explain, and their levels in exact arithmetic, some at a time."""
    bad, truth, defects = np.zeros(off.shape, bool), np.full(off.shape, -1), list[Defect]()
    some = np.flatnonzero(any_of(off))
    if not some.size:
        return bad, truth, defects
    potentials = layer.potentials(some)
    for at in layer.judge.parts(potentials.source.shape):
        here = off[some][at]
        if not here.any():
            continue
        p = potentials.part(at)
        levels = [k[some][at].astype(np.int64) for k in (layer.expected, layer.alone)]
        verdicts = layer.judge.explained(p, *levels)
        _put(truth, some, at, layer.judge.level(p))
        wrong = here & ~np.logical_and.reduce(verdicts)
        if wrong.any():
            _put(bad, some, at, wrong)
            defects += _defects(layer, (some, at), p, verdicts, wrong)
    return bad, truth, defects


def _put(held: Array, rows: NDArray[np.int64], at: tuple[slice, ...], values: Array) -> None:
    """``values`` at a part of some rows, in place."""
    part = held[rows]
    part[at] = values
    held[rows] = part


def _defects(
    layer: JudgedLayer,
    where: tuple[NDArray[np.int64], tuple[slice, ...]],
    p: Potentials,
    verdicts: list[NDArray[np.bool_]],
    bad: NDArray[np.bool_],
) -> list[Defect]:
    """The first unexplained neurons; potential, threshold and bound in units of z."""
    some, part = where
    expected, answered = (k[some][part].astype(np.int64) for k in (layer.expected, layer.alone))
    staircase, margins = layer.judge.activation.staircase, layer.judge.margins(p)
    edges = np.broadcast_to(staircase.lower_edges(np.maximum(expected, answered)), bad.shape)
    bounds = [m * staircase.threshold for m in (margins.source, margins.spiking, margins.maps)]
    begin = np.array([one.start or 0 for one in part] + [0] * (bad.ndim - len(part)))
    found = []
    for at in places(bad):
        which = next(i for i, fine in enumerate(verdicts) if not fine[at])
        sample, *neuron = (int(i) for i in begin + at)
        values = {"ann": expected[at], "snn": answered[at], "bound": bounds[which][at]}
        z = {"potential": float(np.float32(p.source[at])), "threshold": float(edges[at])}
        name, position = layer.name, layer.samples[some[sample]]
        found.append(defect(name, position, tuple(neuron), _REASONS[which], **values, **z))
    return found
