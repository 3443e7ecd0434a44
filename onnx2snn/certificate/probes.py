"""The affine maps of both networks, compared synapse by synapse on patterns of levels, whatever the data.

Two affine maps are equal if they agree on a basis. A pattern in which each sum meets about one level that is not zero shows
single weights; patterns that share the inputs out among them leave out no synapse at no place. So both networks' maps are
evaluated in float64 on such patterns, and may differ by the rounding of constants alone: that of one or a few weights, not
of a whole sum. Patterns that are full, and silence, complete them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.compare import Comparison, Levels, given
from onnx2snn.certificate.neurons import missteps
from onnx2snn.certificate.outputs import OutputJudge
from onnx2snn.certificate.pairing import Pair
from onnx2snn.certificate.potentials import Path
from onnx2snn.certificate.result import Defect, MapCheck
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph import Array

#: Patterns among which inputs are shared out: at most, at least, and as the work allows (multiply-accumulates a layer).
MOST, LEAST, WORK = 128, 8, 5e8
#: Patterns in which every input takes part.
FULL = 4
#: Numbers of a pattern that are computed on at a time.
BLOCK = 1 << 22

Found = tuple[MapCheck, list[Defect]]


def check_network(comparison: Comparison, inputs: Mapping[str, Array], levels: Levels) -> list[Found]:
    """Every layer and output, for the sizes of one sample (1, ...)."""
    example = given(inputs, levels, np.array([0]))
    layers = [_layer(comparison, p, comparison.path(p, inputs, levels), example) for p in comparison.pairs]
    outputs = [
        _output(comparison, name, comparison.readout(name, inputs, levels), example) for name in comparison.source.outputs
    ]
    return layers + outputs


def _layer(comparison: Comparison, p: Pair, path: Path, example: Mapping[str, Array]) -> Found:
    judge = comparison.judge(p)
    _check_shapes(path, p.name)
    tops = {f"level/{q.source}": comparison.source.activations[q.source].staircase.levels for q in comparison.pairs}
    tally = _Tally(p.name)
    for block in _blocks(path, example, tops):
        potentials = path(block)
        u, v = judge.positions(potentials)
        tally.add(u, v, judge.margins(potentials).maps, rigorous=potentials.magnitude is not None)
    staircase = comparison.source.activations[p.source].staircase
    steps = missteps(p.neuron, staircase)
    for step in steps[:3]:
        reason = "at this potential (in units of θ) the neuron answers another level than the activation"
        tally.defects.append(
            Defect(p.name, None, step.channel, step.expected, step.found, step.potential, None, 0.0, reason)
        )
    return tally.check(len(steps)), tally.defects


def _output(comparison: Comparison, name: str, path: Path, example: Mapping[str, Array]) -> Found:
    judge, tally = OutputJudge(comparison.timesteps), _Tally(name)
    _check_shapes(path, name)
    tops = {f"level/{p.source}": comparison.source.activations[p.source].staircase.levels for p in comparison.pairs}
    for block in _blocks(path, example, tops):
        potentials = path(block)
        bound = judge.maps(potentials)
        tally.add(potentials.source, potentials.spiking, bound, rigorous=potentials.magnitude is not None)
        ours, theirs = comparison.tails[name]
        if ours.model is not None and theirs.model is not None:
            answers = ours.answer(potentials.source), theirs.answer(potentials.source)
            tally.add(*answers, np.zeros_like(answers[0]), rigorous=True)
    return tally.check(0), tally.defects


def _check_shapes(path: Path, name: str) -> None:
    if not path.same_shape:
        raise InvalidModelError(
            "this layer has another shape than in the source", node=name, remedy="convert the source again"
        )


class _Tally:
    """Differences of one layer or output, as patterns are looked at."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._probes = self._differing = 0
        self._largest = 0.0
        self._rigorous = True
        self.defects: list[Defect] = []

    def add(self, source: Array, spiking: Array, bound: Array, *, rigorous: bool) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.where((source == spiking) | (np.isnan(source) & np.isnan(spiking)), 0.0, np.abs(source - spiking))
            apart = np.nan_to_num(apart, nan=np.inf)
            share = np.where(apart == 0, 0.0, apart / bound)
        bad = ~(apart <= bound)
        self._probes += len(source)
        self._differing += int(bad.sum())
        self._largest = max(self._largest, float(share.max(initial=0)))
        self._rigorous &= rigorous
        for at in np.argwhere(bad)[: 3 - len(self.defects)]:
            index = tuple(int(i) for i in at)
            reason = "for the same levels the synapses bring another potential (in units of θ), by more than the rounding of weights"
            values = (float(source[index]), float(spiking[index]), None, None, float(np.broadcast_to(bound, bad.shape)[index]))
            self.defects.append(Defect(self._name, None, index[1:], *values, reason))

    def check(self, thresholds: int) -> MapCheck:
        return MapCheck(self._name, self._probes, self._differing, self._largest, thresholds, self._rigorous)


def _blocks(path: Path, example: Mapping[str, Array], tops: Mapping[str, int]) -> list[dict[str, Array]]:
    """Patterns (P, ...) by input: silence, full ones, and those among which inputs are shared out."""
    work = max(path.size * max(path.fan_in, 1), 1)
    shares = int(np.clip(WORK // work, LEAST, min(MOST, max(path.fan_in, LEAST))))
    draws = np.random.default_rng(0)
    patterns = {name: _patterns(example[name], tops.get(name), shares, draws, path.linear) for name in path.reads}
    total = len(next(iter(patterns.values()), ()))
    size = max(path.size, *(value[0].size for value in patterns.values()), 1)
    step = max(1, BLOCK // size)
    return [{n: v[first : first + step] for n, v in patterns.items()} for first in range(0, total, step)]


def _patterns(example: Array, top: int | None, shares: int, draws: np.random.Generator, linear: bool) -> Array:
    """(P, ...): silence, full ones, shares; unless all is linear, the shares with the other sign, which maxima let through."""
    shape = example.shape[1:]
    if example.dtype.kind != "f" and top is None:
        return np.repeat(example, 1 + FULL + (1 if linear else 2) * shares, axis=0)  # indices and the like: as they are

    def values(rows: int) -> NDArray[np.float64]:
        drawn = draws.normal(0, 1, (rows, *shape)).astype(np.float32) if top is None else draws.integers(1, top + 1, (rows, *shape))
        return np.asarray(drawn, np.float64)

    full = values(FULL) * (draws.random((FULL, *shape)) < 0.5)
    count = int(np.prod(shape))
    owner = draws.permutation(count) % shares
    sparse = np.zeros((shares, count))
    sparse[owner, np.arange(count)] = values(1).ravel()
    sparse = sparse.reshape(shares, *shape)
    return np.concatenate([np.zeros((1, *shape)), full, sparse, *([] if linear else [-sparse])])
