"""The affine maps of both networks, compared synapse by synapse on patterns of levels, whatever the data.

Two affine maps are equal if they agree on a basis. A pattern in which each sum meets about one level that is not zero shows
single weights; patterns that share the inputs out among them leave out no synapse at no place. So both networks' maps are
evaluated in float64 on such patterns, and may differ by the rounding of constants alone: that of one or a few weights, not
of a whole sum. Patterns that are full, and silence, complete them. Of a map most of whose places compute alike, it is
enough to look at a few of each kind (:mod:`onnx2snn.certificate.alike_places`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.activations.tables import is_unsure
from onnx2snn.activations.whole_quotients import beside_potential
from onnx2snn.certificate.alike_places import SmallMap, small_map
from onnx2snn.certificate.batch_findings import Levels, defect, difference, first_batch, places
from onnx2snn.certificate.certificate import Defect, MapCheck
from onnx2snn.certificate.compare import Comparison
from onnx2snn.certificate.judge import Judge
from onnx2snn.certificate.neuron_check import missteps
from onnx2snn.certificate.outputs import allowed_exactly
from onnx2snn.certificate.pairing import Pair
from onnx2snn.certificate.potentials import Path, Potentials
from onnx2snn.errors import InvalidModelError
from onnx2snn.exact.proof import FAR, bounded
from onnx2snn.graph.core import Array
from onnx2snn.operators.parts import Span, within

#: Patterns among which inputs are shared out: at most, at least, and as the work allows (multiply-accumulates a layer).
MOST, LEAST, WORK = 16, 8, 5e8
#: Patterns in which every input takes part.
FULL = 4
#: Numbers of the largest tensor between levels that are computed on at a time.
BLOCK = 1 << 22

Found = tuple[MapCheck, list[Defect]]
_Where: TypeAlias = "Callable[[tuple[int, ...]], tuple[int, ...]]"


def check_network(comparison: Comparison, inputs: Mapping[str, Array], levels: Levels) -> list[Found]:
    """Every layer and output, for the sizes of one sample (1, ...).

    Raises:
        InvalidModelError: a layer has another shape than in the source.
    """
    example = first_batch(inputs, levels, comparison.source.batch)
    activations = comparison.source.activations
    tops = {f"level/{name}": activation.staircase.levels for name, activation in activations.items()}
    found = []
    largest = {  # one number each, seen at every place
        n: np.broadcast_to(np.float64(tops.get(n, FAR)), v.shape)
        for n, v in example.items()
        if v.dtype.kind == "f" or n in tops
    }

    def blocks(path: Path, shapes: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        return _blocks(path, shapes, tops, one_by_one=comparison.in_batches)

    for p in comparison.pairs:
        few = _few_places(comparison, p, example, levels)
        if few is None:
            path = _sound(comparison.path(comparison.layer_tensors(p), inputs, levels), p.name)
            check, defects = _layer(comparison.judge(p), p, path, blocks(path, example))
        else:
            path, small = _sound(few[0], p.name), few[1]
            check, defects = _layer(comparison.judge(p), p, path, blocks(path, small.example), small.place)
        found.append((replace(check, exact=_is_exact(comparison, p, largest)), defects))
    for name in comparison.source.outputs:
        path = _sound(comparison.path(comparison.readout_tensors(name), inputs, levels), name)
        found.append(_output(name, path, blocks(path, example)))
    return found


def _few_places(
    comparison: Comparison, p: Pair, example: Mapping[str, Array], levels: Levels
) -> tuple[Path, SmallMap] | None:
    """What lies before a layer, on a map that has a few places of each kind; None where no smaller one is known."""
    if comparison.in_batches:
        return None
    models = comparison.before_tensors(comparison.layer_tensors(p))
    read = {value.name for model in models for value in model.structure.graph.input} & set(example)
    shape, parameters = levels[p.source].shape, comparison.judge(p).parameters
    small = small_map(models, {name: example[name] for name in read}, shape, parameters)
    return (
        None if small is None else (Path(small.models, small.example, precision=comparison.precision), small)
    )


def _is_exact(comparison: Comparison, p: Pair, largest: Mapping[str, Array]) -> bool:
    """Whether float32 rounds nothing in either network between the levels before a layer and its own, whatever they are."""
    activation = comparison.source.activations[p.source]
    staircase = activation.staircase
    if not activation.exact or is_unsure(staircase):
        return False
    ours, theirs = comparison.layer_tensors(p)
    source = bounded(comparison.source.cut, ours, p.source, largest, beside_potential(staircase))
    return source.exact and bounded(comparison.spiking, theirs, p.source, largest).exact


def _sound(path: Path, name: str) -> Path:
    if not path.same_shape:
        raise _other_shape(name)
    return path


def _other_shape(name: str) -> InvalidModelError:
    return InvalidModelError(
        "this layer has another shape than in the source", node=name, remedy="convert the source again"
    )


def _layer(
    judge: Judge, p: Pair, path: Path, blocks: Iterable[Mapping[str, Array]], place: _Where = lambda at: at
) -> Found:
    """``place`` tells where in the layer a neuron stands of those that the path computes."""
    tally = _Tally(p.name, place)
    for span, potentials in _evaluated(path, blocks):
        _judged(tally, judge, potentials, span)
    steps = missteps(p.neuron, judge.activation.staircase)
    reason = "at this potential (in units of θ) the neuron answers another level than the activation"
    for s in steps[:3]:
        tally.defects.append(
            defect(p.name, None, s.channel, reason, ann=s.expected, snn=s.found, potential=s.potential)
        )
    return tally.check(len(steps)), tally.defects


def _evaluated(path: Path, blocks: Iterable[Mapping[str, Array]]) -> Iterator[tuple[Span | None, Potentials]]:
    """What both networks make of patterns, as long as it has one size: what data selects is compared by samples alone."""
    try:
        for block in blocks:
            yield from path.parts(block)
    except ValueError:
        if path.linear:
            raise


def _judged(tally: _Tally, judge: Judge, potentials: Potentials, span: Span | None) -> None:
    """Potentials of some patterns, a few at a time."""
    for at in judge.parts(potentials.source.shape):
        some = potentials.part(at)
        bound = judge.margins(some).maps
        rigorous = not potentials.measured
        tally.add(*judge.positions(some), bound, rigorous=rigorous, at=within(span, at))
    tally.count(potentials, span)


def _output(name: str, path: Path, blocks: Iterable[Mapping[str, Array]]) -> Found:
    tally = _Tally(name)
    for span, p in _evaluated(path, blocks):
        tally.add(p.source, p.spiking, allowed_exactly(p), rigorous=not p.measured, at=within(span, ()))
        tally.count(p, span)
    return tally.check(0), tally.defects


class _Tally:
    """Differences of one layer or output, as patterns are looked at."""

    def __init__(self, name: str, place: _Where = lambda at: at) -> None:
        self._name, self._place = name, place
        self.probes = self._differing = 0
        self._largest = 0.0
        self._rigorous = True
        self.defects: list[Defect] = []

    def add(
        self, source: Array, spiking: Array, bound: Array, *, rigorous: bool, at: tuple[slice, ...] = ()
    ) -> None:
        apart = difference(source, spiking)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(apart == 0, 0.0, apart / bound)
        bad = (apart > 0) & ~(apart <= bound)  # what is no number in either has no bound
        self._differing += int(bad.sum())
        self._largest = max(self._largest, float(share.max(initial=0)))
        self._rigorous &= rigorous
        reason = "for the same levels the synapses bring another potential (in units of θ) than rounded weights explain"
        first = [part.start or 0 for part in at] + [0] * (source.ndim - len(at))
        for place in places(bad)[: 3 - len(self.defects)]:
            bounds = np.broadcast_to(bound, bad.shape)
            values = {"ann": source[place], "snn": spiking[place], "bound": bounds[place]}
            where = tuple(i + begin for i, begin in zip(place, first, strict=True))
            self.defects.append(defect(self._name, None, self._place(where[1:]), reason, **values))

    def count(self, potentials: Potentials, span: Span | None) -> None:
        """The patterns of which these are: where they are parts, the first of them counts."""
        self.probes += len(potentials.source) if span is None or not span.first else 0

    def check(self, thresholds: int) -> MapCheck:
        return MapCheck(self._name, self.probes, self._differing, self._largest, thresholds, self._rigorous)


def _blocks(
    path: Path, example: Mapping[str, Array], tops: Mapping[str, int], *, one_by_one: bool
) -> Iterator[dict[str, Array]]:
    """Patterns (P, ...) by input, some at a time: silence, full ones, and those among which inputs are shared out."""
    work = max(path.size * max(path.fan_in, 1), 1)
    shares = int(np.clip(WORK // work, LEAST, min(MOST, max(path.fan_in, LEAST))))
    draws = np.random.default_rng(0)
    patterns = {name: _Patterns(example[name], tops.get(name), shares, draws) for name in path.reads}
    total = 1 + FULL + (1 if path.linear else 2) * shares
    step = 1 if one_by_one else max(1, BLOCK // path.largest)
    for first in range(0, total, step):
        some = range(first, min(first + step, total))
        yield {
            name: made(some[0]) if len(some) == 1 else np.concatenate([made(i) for i in some])
            for name, made in patterns.items()
        }


class _Patterns:
    """Silence, full ones, shares; unless all is linear, the shares with the other sign, which maxima let through.

    Args:
        example: One sample (or one fixed batch) of the input: of indices and the like, that is every pattern.
        top: The highest level; None of other signals.
        shares: Patterns among which the input is shared out.
        draws: Of values and owners.
    """

    def __init__(self, example: Array, top: int | None, shares: int, draws: np.random.Generator) -> None:
        self._fixed = example if example.dtype.kind != "f" and top is None else None
        self._shape, self._top, self._shares = example.shape, top, shares
        self._kind = np.dtype(np.float32) if top is None else np.min_scalar_type(-top - 1)
        self._seed = int(draws.integers(1 << 31))
        if self._fixed is None:
            own = np.random.default_rng(self._seed)
            self._owner = self._owners(own)
            self._values = self._drawn(own)

    def __call__(self, number: int) -> Array:
        """One pattern (1, ...); levels in as few bytes as hold them."""
        if self._fixed is not None:
            return self._fixed
        if number == 0:
            return np.zeros(self._shape, self._kind)
        if number <= FULL:
            own = np.random.default_rng((self._seed, number))
            found = self._drawn(own)
            for part in _in_blocks(found):
                np.multiply(part, own.random(part.shape) < 0.5, out=part)
            return found
        share = number - 1 - FULL
        shared: Array = self._values * (self._owner == share % self._shares)
        return shared if share < self._shares else -shared

    def _owners(self, draws: np.random.Generator) -> NDArray[np.uint8]:
        """To which share each entry of the input belongs."""
        size = math.prod(self._shape)
        if size > BLOCK:
            found = np.empty(size, np.uint8)
            for part in _in_blocks(found):
                part[...] = draws.integers(0, self._shares, part.shape, np.uint8)
        else:
            found = (draws.permutation(size) % self._shares).astype(np.uint8)
        return found.reshape(self._shape)

    def _drawn(self, draws: np.random.Generator) -> Array:
        found = np.empty(self._shape, self._kind)
        for part in _in_blocks(found):
            if self._top is None:
                part[...] = draws.normal(0, 1, part.shape)
            else:
                part[...] = draws.integers(1, self._top + 1, part.shape)
        return found


def _in_blocks(values: Array) -> Iterator[Array]:
    """Views of some numbers at a time, in their order."""
    flat = values.reshape(-1)
    return (flat[i : i + BLOCK] for i in range(0, flat.size, BLOCK))
