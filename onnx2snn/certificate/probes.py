"""The affine maps of both networks, compared synapse by synapse on patterns of levels, whatever the data.

Two affine maps are equal if they agree on a basis. A pattern in which each sum meets about one level that is not zero shows
single weights; patterns that share the inputs out among them leave out no synapse at no place. So both networks' maps are
evaluated in float64 on such patterns, and may differ by the rounding of constants alone: that of one or a few weights, not
of a whole sum. Patterns that are full, and silence, complete them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from onnx2snn.certificate.compare import Comparison
from onnx2snn.certificate.differences import Levels, defect, difference, given, places
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.neurons import missteps
from onnx2snn.certificate.outputs import allowed_exactly
from onnx2snn.certificate.pairing import Pair
from onnx2snn.certificate.potentials import Path
from onnx2snn.certificate.result import Defect, MapCheck
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import Array

#: Patterns among which inputs are shared out: at most, at least, and as the work allows (multiply-accumulates a layer).
MOST, LEAST, WORK = 16, 8, 5e8
#: Patterns in which every input takes part.
FULL = 4
#: Numbers of a pattern that are computed on at a time.
BLOCK = 1 << 22

Found = tuple[MapCheck, list[Defect]]


def check_network(comparison: Comparison, inputs: Mapping[str, Array], levels: Levels) -> list[Found]:
    """Every layer and output, for the sizes of one sample (1, ...).

    Raises:
        InvalidModelError: a layer has another shape than in the source.
    """
    example = given(inputs, levels, np.array([0]))
    activations = comparison.source.activations
    tops = {f"level/{name}": activation.staircase.levels for name, activation in activations.items()}
    found = []
    for p in comparison.pairs:
        path = _sound(comparison.path(comparison.layer_tensors(p), inputs, levels), p.name)
        found.append(_layer(comparison.judge(p), p, path, _blocks(path, example, tops)))
    for name in comparison.source.outputs:
        path = _sound(comparison.path(comparison.readout_tensors(name), inputs, levels), name)
        found.append(_output(name, path, _blocks(path, example, tops)))
    return found


def _sound(path: Path, name: str) -> Path:
    if not path.same_shape:
        raise _other_shape(name)
    return path


def _other_shape(name: str) -> InvalidModelError:
    return InvalidModelError(
        "this layer has another shape than in the source", node=name, remedy="convert the source again"
    )


def _layer(judge: Judge, p: Pair, path: Path, blocks: Iterable[Mapping[str, Array]]) -> Found:
    tally = _Tally(p.name)
    for potentials in map(path, blocks):
        bound = judge.margins(potentials).maps
        tally.add(*judge.positions(potentials), bound, rigorous=not potentials.measured)
    steps = missteps(p.neuron, judge.activation.staircase)
    reason = "at this potential (in units of θ) the neuron answers another level than the activation"
    for s in steps[:3]:
        tally.defects.append(
            defect(p.name, None, s.channel, reason, ann=s.expected, snn=s.found, potential=s.potential)
        )
    return tally.check(len(steps)), tally.defects


def _output(name: str, path: Path, blocks: Iterable[Mapping[str, Array]]) -> Found:
    tally = _Tally(name)
    for p in map(path, blocks):
        tally.add(p.source, p.spiking, allowed_exactly(p), rigorous=not p.measured)
    return tally.check(0), tally.defects


class _Tally:
    """Differences of one layer or output, as patterns are looked at."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._probes = self._differing = 0
        self._largest = 0.0
        self._rigorous = True
        self.defects: list[Defect] = []

    def add(self, source: Array, spiking: Array, bound: Array, *, rigorous: bool) -> None:
        apart = difference(source, spiking)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(apart == 0, 0.0, apart / bound)
        bad = (apart > 0) & ~(apart <= bound)  # what is no number in either has no bound
        self._probes += len(source)
        self._differing += int(bad.sum())
        self._largest = max(self._largest, float(share.max(initial=0)))
        self._rigorous &= rigorous
        reason = "for the same levels the synapses bring another potential (in units of θ) than rounded weights explain"
        for at in places(bad)[: 3 - len(self.defects)]:
            values = {"ann": source[at], "snn": spiking[at], "bound": np.broadcast_to(bound, bad.shape)[at]}
            self.defects.append(defect(self._name, None, at[1:], reason, **values))

    def check(self, thresholds: int) -> MapCheck:
        return MapCheck(self._name, self._probes, self._differing, self._largest, thresholds, self._rigorous)


def _blocks(path: Path, example: Mapping[str, Array], tops: Mapping[str, int]) -> list[dict[str, Array]]:
    """Patterns (P, ...) by input: silence, full ones, and those among which inputs are shared out."""
    work = max(path.size * max(path.fan_in, 1), 1)
    shares = int(np.clip(WORK // work, LEAST, min(MOST, max(path.fan_in, LEAST))))
    draws = np.random.default_rng(0)
    patterns = {
        name: _patterns(example[name], tops.get(name), shares, draws, path.linear) for name in path.reads
    }
    total = len(next(iter(patterns.values()), ()))
    size = max(path.size, *(value[0].size for value in patterns.values()), 1)
    step = max(1, BLOCK // size)
    return [{n: v[first : first + step] for n, v in patterns.items()} for first in range(0, total, step)]


def _patterns(
    example: Array, top: int | None, shares: int, draws: np.random.Generator, linear: bool
) -> Array:
    """(P, ...): silence, full ones, shares; unless all is linear, the shares with the other sign, which maxima let through."""
    shape = example.shape[1:]
    if example.dtype.kind != "f" and top is None:
        return np.repeat(
            example, 1 + FULL + (1 if linear else 2) * shares, axis=0
        )  # indices and the like: as they are

    def values(rows: int) -> NDArray[np.float64]:
        if top is not None:
            return draws.integers(1, top + 1, (rows, *shape)).astype(np.float64)
        return draws.normal(0, 1, (rows, *shape)).astype(np.float32).astype(np.float64)

    full = values(FULL) * (draws.random((FULL, *shape)) < 0.5)
    count = int(np.prod(shape))
    owner = draws.permutation(count) % shares
    sparse = np.zeros((shares, count))
    sparse[owner, np.arange(count)] = values(1).ravel()
    sparse = sparse.reshape(shares, *shape)
    return np.concatenate([np.zeros((1, *shape)), full, sparse, *([] if linear else [-sparse])])
