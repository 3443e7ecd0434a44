"""Neurons whose levels differ, sorted by what explains them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

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
from onnx2snn.operators.parts import Span, within

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
        potentials: Both networks' potentials where neurons are wanted (n, ...): of which of the above, and of which part.
    """

    name: str
    samples: NDArray[np.int64]
    expected: NDArray[np.float32]
    found: Array
    alone: Array
    judge: Judge
    potentials: Callable[[Mask], Iterator[tuple[NDArray[np.int64], Span | None, Potentials]]]


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

    potentials = partial(comparison.evaluate_parts, tensors, batch.inputs, ann, rows)
    expected, judge = ann[p.source][rows], comparison.judge(p)
    return JudgedLayer(p.name, batch.start + rows, expected, found, alone, judge, potentials)


def sort_neurons(layer: JudgedLayer) -> Findings:
    """Ambiguous, propagated, unexplained; equal levels that the layer alone would not answer are no longer exact.

    1. *ambiguous*: with the ANN's inputs it answers the same other level, and rounding explains it.
    2. *propagated*: with the ANN's inputs it answers the ANN's level, or another that rounding explains.
    3. *unexplained*: with the ANN's inputs it answers a level that rounding does not explain.
    """
    differs, off = layer.found != layer.expected, layer.alone != layer.expected
    alike = layer.found == layer.alone
    ambiguous, differing = int((differs & alike).sum()), int(differs.sum())
    counts = Counts(ambiguous=ambiguous, propagated=differing - ambiguous)
    defects = list[Defect]()
    for rows, span, potentials in layer.potentials(off) if off.any() else ():
        for at in layer.judge.parts(potentials.source.shape):
            one = _Part.of(layer, rows, within(span, at), potentials.part(at))
            if one.off.any():
                counts += one.counts(alike[one.at])
                defects += one.defects()
    return Findings(layers={layer.name: counts}, defects=first(defects))


@dataclass(frozen=True)
class _Part:
    """Some neurons of a layer, some of which are ``off``: they answer another level on the ANN's than the ANN.

    Attributes:
        layer: It.
        at: Their places: samples, and slices of a sample's axes.
        potentials: Of both networks.
        expected: The ANN's levels.
        answered: What they answer where the layers before them hold the ANN's levels.
        off: Where these differ.
        verdicts: What rounding explains of it, by criterion.
    """

    layer: JudgedLayer
    at: Any
    potentials: Potentials
    expected: NDArray[np.int64]
    answered: NDArray[np.int64]
    off: Mask
    verdicts: list[Mask]

    @classmethod
    def of(cls, layer: JudgedLayer, rows: NDArray[np.int64], part: tuple[slice, ...], p: Potentials) -> _Part:
        """Those at a ``part`` of some rows."""
        at: Any = (rows[part[0]] if part else rows, *part[1:])
        expected, answered = (k[at].astype(np.int64) for k in (layer.expected, layer.alone))
        off = expected != answered
        verdicts = layer.judge.explained(p, expected, answered) if off.any() else []
        return cls(layer, at, p, expected, answered, off, verdicts)

    @property
    def wrong(self) -> Mask:
        """Which of those that are off rounding does not explain."""
        explained: Mask = np.logical_and.reduce(self.verdicts)
        return self.off & ~explained

    def counts(self, alike: Mask) -> Counts:
        """What they change in the counts of the layer, in which none is unexplained.

        Args:
            alike: Where the spiking network answered the same on its own levels.
        """
        wrong, truth = self.wrong, self.layer.judge.level(self.potentials)
        found = self.layer.found[self.at]
        differs = found != self.expected
        ambiguous = differs & alike & ~wrong
        return Counts(
            0,
            -int((wrong & ~differs).sum()),
            -int((wrong & differs & alike).sum()),
            -int((wrong & differs & ~alike).sum()),
            int(wrong.sum()),
            ann_exact=int((ambiguous & (truth == self.expected)).sum()),
            snn_exact=int((ambiguous & (truth == found)).sum()),
        )

    def defects(self) -> list[Defect]:
        """The first unexplained neurons; potential, threshold and bound in units of z."""
        wrong = self.wrong
        if not wrong.any():
            return []
        staircase, p = self.layer.judge.activation.staircase, self.potentials
        margins = self.layer.judge.margins(p)
        edges = np.broadcast_to(staircase.lower_edges(np.maximum(self.expected, self.answered)), wrong.shape)
        bounds = [m * staircase.threshold for m in (margins.source, margins.spiking, margins.maps)]
        begin = [one.start or 0 for one in self.at[1:]] + [0] * (wrong.ndim - len(self.at))
        found = []
        for at in places(wrong):
            which = next(i for i, fine in enumerate(self.verdicts) if not fine[at])
            neuron = tuple(int(i) + first for i, first in zip(at[1:], begin, strict=True))
            values = {"ann": self.expected[at], "snn": self.answered[at], "bound": bounds[which][at]}
            z = {"potential": float(np.float32(p.source[at])), "threshold": float(edges[at])}
            sample = self.layer.samples[self.at[0][at[0]]]
            found.append(defect(self.layer.name, sample, neuron, _REASONS[which], **values, **z))
        return found
