"""Hidden levels that the source's file shows nowhere, found again from what it answers.

Where an activation was read from the normalised form, the file may have rounded it the other way. Then its outputs are not those
of the levels that were read. They are explained if there are levels of these layers, each of them one that rounding can give,
with which every output is as near as its bound allows. They are looked for, neuron by neuron among the ambiguous; a sample for
which none are found is unexplained, and so is one without an ambiguous neuron.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.reading import Levels
from onnx2snn.data import Batch
from onnx2snn.graph.core import Array

if TYPE_CHECKING:
    from onnx2snn.certificate.compare import Comparison
    from onnx2snn.certificate.source_network import Answer

#: Neurons that are turned at a time, one in each trial, and trials for one sample.
TRIALS, ROUNDS = 64, 64


@dataclass(frozen=True)
class Hidden:
    """What is known of one sample.

    Attributes:
        layers: Those whose levels the file does not show, in order.
        reachable: By layer, from levels (n, ...) of all layers: the lowest and highest that rounding can give.
        answered: By layer, from levels of all layers, what it answers to them.
        excess: From levels of all layers, how far the file's outputs are from what these give, (n,): 0 where explained.
    """

    layers: Sequence[str]
    reachable: Callable[[str, dict[str, Levels]], tuple[Array, Array]]
    answered: Callable[[str, dict[str, Levels]], Array]
    excess: Callable[[dict[str, Levels]], NDArray[np.float64]]

    def explained(self, levels: dict[str, Levels]) -> dict[str, Levels] | None:
        """Levels (1, ...) with which the outputs are explained, or None."""
        best = float(self.excess(levels)[0])
        for _ in range(ROUNDS):
            if best == 0:
                return levels if self._possible(levels) else None
            trials = self._trials(levels)
            if trials is None:
                return None
            left = self.excess(trials)
            nearest = int(np.argmin(left))
            if left[nearest] >= best:
                return None
            best = float(left[nearest])
            levels = {name: k[nearest : nearest + 1] for name, k in trials.items()}
        return None

    def _trials(self, levels: dict[str, Levels]) -> dict[str, Levels] | None:
        """Levels with one ambiguous neuron turned in each, and what follows from it; None if there is none."""
        turned: list[tuple[str, tuple[int, ...], float]] = []
        for name in self.layers:
            k = levels[name]
            for bound in self.reachable(name, levels):
                at = np.argwhere(bound != k)
                turned += [(name, tuple(int(i) for i in place), float(bound[tuple(place)])) for place in at]
        if not turned:
            return None
        turned = turned[:TRIALS]
        trials = {name: np.repeat(k, len(turned), axis=0) for name, k in levels.items()}
        for row, (name, place, level) in enumerate(turned):
            trials[name][row][place[1:]] = level
        return self._followed(trials, [self.layers.index(name) for name, _, _ in turned])

    def _followed(self, trials: dict[str, Levels], turned: list[int]) -> dict[str, Levels]:
        """The layers behind a turned neuron, made of what is before them."""
        for position, name in enumerate(self.layers):
            rows = np.array([first < position for first in turned])
            if rows.any():
                trials[name][rows] = self.answered(name, trials)[rows]
        return trials

    def _possible(self, levels: dict[str, Levels]) -> bool:
        """Whether each of these levels is one that rounding can give."""
        bounds = {name: self.reachable(name, levels) for name in self.layers}
        return all(
            bool(np.all((low <= levels[name]) & (levels[name] <= high)))
            for name, (low, high) in bounds.items()
        )


def recovered_levels(
    comparison: Comparison, batch: Batch, answer: Answer, outputs: Mapping[str, Array]
) -> Answer:
    """The answer, its hidden levels found again in those samples whose outputs are not those of the levels that were read."""
    levels = dict(answer.levels)
    for sample in np.flatnonzero(comparison.excess(batch, answer, outputs) > 0):
        at = slice(sample, sample + 1)
        one = Batch(batch.start + int(sample), {n: v[at] for n, v in batch.inputs.items()}, None)
        written = {n: v[at] for n, v in answer.outputs.items()}
        found = _hidden(comparison, one, answer, written).explained(
            {n: k[at] for n, k in answer.levels.items()}
        )
        for name, k in (found or {}).items():
            if not np.array_equal(levels[name][sample], k[0]):
                levels[name] = levels[name].copy() if levels[name] is answer.levels[name] else levels[name]
                levels[name][sample] = k[0]
    unchanged = all(levels[name] is k for name, k in answer.levels.items())
    return answer if unchanged else replace(answer, levels=levels)


def _hidden(comparison: Comparison, one: Batch, answer: Answer, written: Mapping[str, Array]) -> Hidden:
    """What is known of the sample that is ``one``."""
    of = {p.source: p for p in comparison.pairs if p.source in comparison.source.unread}

    def many(levels: Mapping[str, Array]) -> tuple[Batch, NDArray[np.int64]]:
        rows = np.arange(len(next(iter(levels.values()))))
        inputs = {n: np.repeat(v, len(rows), axis=0) for n, v in one.inputs.items()}
        return Batch(one.start, inputs, None), rows

    def reachable(name: str, levels: dict[str, Levels]) -> tuple[Array, Array]:
        batch, rows = many(levels)
        p = of[name]
        potentials = comparison.evaluate(comparison.layer_tensors(p), batch.inputs, levels, rows)
        return comparison.judge(p).alternatives(potentials)

    def answered(name: str, levels: dict[str, Levels]) -> Array:
        batch, rows = many(levels)
        return comparison.forced_levels(of[name].name, batch.inputs, levels, rows)

    def excess(levels: dict[str, Levels]) -> NDArray[np.float64]:
        batch, rows = many(levels)
        outputs = {n: np.repeat(v, len(rows), axis=0) for n, v in written.items()}
        forced = comparison.forced_outputs(list(outputs), batch.inputs, levels, rows)
        return comparison.excess(batch, replace(answer, levels=levels, off_grid={}, outputs=outputs), forced)

    return Hidden(list(of), reachable, answered, excess)
