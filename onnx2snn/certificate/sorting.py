"""Neurons whose levels differ, sorted by what explains them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.differences import any_of, defect, places
from onnx2snn.certificate.findings import Counts, Findings, first
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.potentials import Potentials
from onnx2snn.certificate.result import Defect
from onnx2snn.graph.core import Array

_REASONS = (
    "the source's own level is not one that rounding can give to its potential",
    "with the source's own inputs the neuron answers another level, and rounding does not explain it",
    "with the source's own inputs the potential is another, by more than the rounding of weights explains",
)


@dataclass(frozen=True)
class Layer:
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


def sort_neurons(layer: Layer) -> Findings:
    """Ambiguous, propagated, unexplained; equal levels that the layer alone would not answer are no longer exact.

    1. *ambiguous*: with the ANN's inputs it answers the same other level, and rounding explains it.
    2. *propagated*: with the ANN's inputs it answers the ANN's level, or another that rounding explains.
    3. *unexplained*: with the ANN's inputs it answers a level that rounding does not explain.
    """
    differs, off = layer.found != layer.expected, layer.alone != layer.expected
    bad, defects = _unexplained(layer, off)
    ambiguous = differs & off & ~bad & (layer.found == layer.alone)
    propagated = differs & ~bad & ~ambiguous
    counts = Counts(
        0, -int((bad & ~differs).sum()), int(ambiguous.sum()), int(propagated.sum()), int(bad.sum())
    )
    return Findings(layers={layer.name: counts}, defects=first(defects))


def _unexplained(layer: Layer, off: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], list[Defect]]:
    """Which of those that are ``off`` rounding does not explain, some potentials at a time."""
    bad, defects = np.zeros(off.shape, bool), list[Defect]()
    some = np.flatnonzero(any_of(off))
    if not some.size:
        return bad, defects
    potentials = layer.potentials(some)
    for at in layer.judge.parts(potentials.source.shape):
        here = off[some][at]
        if not here.any():
            continue
        p = potentials.part(at)
        levels = [k[some][at].astype(np.int64) for k in (layer.expected, layer.alone)]
        verdicts = layer.judge.explained(p, *levels)
        wrong = here & ~np.logical_and.reduce(verdicts)
        if wrong.any():
            whole = bad[some]
            whole[at] = wrong
            bad[some] = whole
            defects += _defects(layer, (some, at), p, verdicts, wrong)
    return bad, defects


def _defects(
    layer: Layer,
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
