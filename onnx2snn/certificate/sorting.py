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
    bad = np.zeros(off.shape, bool)
    some = np.flatnonzero(any_of(off))
    if not some.size:
        return bad, []
    potentials = layer.potentials(some)
    expected, answered = layer.expected[some].astype(np.int64), layer.alone[some].astype(np.int64)
    verdicts = layer.judge.explained(potentials, expected, answered)
    bad[some] = off[some] & ~np.logical_and.reduce(verdicts)
    return bad, _defects(layer, some, potentials, verdicts, bad[some])


def _defects(
    layer: Layer,
    some: NDArray[np.int64],
    potentials: Potentials,
    verdicts: list[NDArray[np.bool_]],
    bad: NDArray[np.bool_],
) -> list[Defect]:
    """The first unexplained neurons; potential, threshold and bound in units of z."""
    if not bad.any():
        return []
    expected, answered = layer.expected[some], layer.alone[some]
    staircase, margins = layer.judge.activation.staircase, layer.judge.margins(potentials)
    edges = staircase.lower_edges(np.maximum(expected, answered))
    bounds = [m * staircase.threshold for m in (margins.source, margins.spiking, margins.maps)]
    found = []
    for at in places(bad):
        which = next(i for i, fine in enumerate(verdicts) if not fine[at])
        found.append(
            defect(
                layer.name, layer.samples[some[at[0]]], at[1:], _REASONS[which],
                ann=expected[at], snn=answered[at], potential=float(np.float32(potentials.source[at])),
                threshold=float(np.broadcast_to(edges, bad.shape)[at]), bound=bounds[which][at],
            )
        )  # fmt: skip
    return found
