"""Samples where none are given: drawn by the type and the sizes of each input, half of them pushed onto thresholds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnx2snn.certificate.source_network import SourceNetwork
from onnx2snn.data import DataSet, InputSpec, input_specs, open_data
from onnx2snn.errors import InputError, InvalidModelError
from onnx2snn.graph.core import Array
from onnx2snn.model.files import load_model
from onnx2snn.model.networks import Network, named

#: Samples that are drawn.
COUNT = 64
#: Halvings of the way between two samples: float32 has no finer place for a threshold.
HALVINGS = 24
#: Levels of all layers that are held at a time.
MOST = 1 << 25


def drawn(
    specs: Sequence[InputSpec], source: SourceNetwork, *, seed: int = 0, count: int = COUNT
) -> dict[str, Array]:
    """Inputs (count, ...) by name; deterministic.

    Raises:
        InputError: an input's rank is not known, or it is no tensor of numbers.
        InvalidModelError: the source cannot be computed on what is drawn, whatever the size of its open axes.
    """
    random = np.random.default_rng(seed)
    way = workable(specs, lambda inputs: source(inputs).outputs)
    first, second = (way.draw(specs, random, count) for _ in range(2))
    aimed = _aimed(source, first, second, random)
    half = count // 2
    return {name: np.concatenate([first[name][:half], aimed[name][half:]]) for name in first}


def drawn_for(model: Network) -> DataSet:
    """The samples that a verification of ``model`` without data draws."""
    source = load_model(named(model))
    specs = input_specs(source)
    return open_data(drawn(specs, SourceNetwork(source)), specs)


def random_samples(specs: Sequence[InputSpec], *, seed: int = 0, count: int = COUNT) -> dict[str, Array]:
    """As :func:`drawn`, none of them aimed, and open axes of one size."""
    return Way().draw(specs, np.random.default_rng(seed), count)


def _aimed(
    source: SourceNetwork,
    first: Mapping[str, Array],
    second: Mapping[str, Array],
    random: np.random.Generator,
) -> dict[str, Array]:
    """On the way from ``first`` to ``second``, as near as float32 can to where some neuron's level changes."""
    count, names = len(next(iter(first.values()))), list(source.activations)
    if not names:
        return dict(second)
    neurons = sum(k.size for k in source({n: v[:1] for n, v in first.items()}).levels.values())
    rows = source.batch or (1 if source.mixes else max(1, min(count, MOST // max(neurons, 1))))
    parts = []
    for start in range(0, count, rows):
        one, other = ({n: v[start : start + rows] for n, v in ends.items()} for ends in (first, second))
        parts.append(_bisected(source, one, other, random))
    return {name: np.concatenate([part[name] for part in parts]) for name in first}


def _bisected(
    source: SourceNetwork,
    first: Mapping[str, Array],
    second: Mapping[str, Array],
    random: np.random.Generator,
) -> dict[str, Array]:
    """Samples on the way, each of which aims at a neuron that is drawn."""
    count, names = len(next(iter(first.values()))), list(source.activations)
    start, end = source(first).levels, source(second).levels
    goals = []
    for sample in range(count):
        name = names[int(random.integers(len(names)))]
        one, other = (_of_sample(levels[name], sample, count) for levels in (start, end))
        changed = np.flatnonzero(one != other) if one.size == other.size else np.zeros(0, int)
        goals.append((name, int(random.choice(changed)) if changed.size else 0))
    low, high = np.zeros(count), np.ones(count)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        levels = source(_between(first, second, middle)).levels
        for sample, (name, neuron) in enumerate(goals):
            now, then = (_of_sample(k[name], sample, count)[neuron : neuron + 1] for k in (levels, start))
            (low if np.array_equal(now, then) else high)[sample] = middle[sample]
    return _between(first, second, high)


def _of_sample(levels: Array, sample: int, count: int) -> Array:
    """All levels of one of so many samples, in a row; where data selects, there may be none."""
    rows = len(levels) // count
    return levels[sample * rows : (sample + 1) * rows].ravel()


def _between(first: Mapping[str, Array], second: Mapping[str, Array], share: Array) -> dict[str, Array]:
    mixed = {}
    for name, value in first.items():
        column = share.reshape((-1,) + (1,) * (value.ndim - 1))
        between = value * (1 - column) + second[name] * column
        mixed[name] = (between if value.dtype.kind in "fV" else np.rint(between)).astype(value.dtype)
    return mixed


#: Sizes that are tried for axes that the model leaves open, all of them alike.
SIZES = (16, 32, 64, 128, 224, 8, 4, 3, 2, 1)
#: Integers of more than 16 bits may be pixels, or positions in a table of unknown length: they are drawn below one of these.
TOPS = (256, 10, 2, 1)
#: Values of an input: in float64 they fill 2 GiB.
LARGEST = 1 << 28


@dataclass(frozen=True)
class Way:
    """How samples are drawn.

    Attributes:
        size: Of axes that the model leaves open.
        top: Of wide integers: all are below it.
    """

    size: int = SIZES[0]
    top: int = TOPS[0]

    def draw(self, specs: Sequence[InputSpec], random: np.random.Generator, count: int) -> dict[str, Array]:
        """Inputs (count, ...) by name.

        Raises:
            InputError: the model does not say an input's rank, it is no tensor of numbers, or one that no machine holds.
        """
        return {spec.name: self._values(spec, random, count) for spec in specs}

    def _values(self, spec: InputSpec, random: np.random.Generator, count: int) -> Array:
        kind = np.dtype(spec.dtype)
        if spec.shape is None or not (kind.kind in "fiub" or kind.name == "bfloat16"):
            raise InputError(
                f"no samples can be drawn for input '{spec.name}'",
                found=str(spec),
                remedy="give data: --data DATA.npz",
            )
        shape = (count, *(self.size if size is None else size for size in spec.shape))
        if math.prod(shape) > LARGEST:
            raise InputError(
                f"no samples can be drawn for input '{spec.name}': no machine holds one",
                found=str(spec),
                remedy="export the network with inputs of sizes that memory holds",
            )
        if kind.kind in "iub":
            return self._integers(kind, random, shape)
        return _numbers(random, shape).astype(kind)

    def _integers(
        self, kind: np.dtype[np.generic], random: np.random.Generator, shape: tuple[int, ...]
    ) -> Array:
        """All codes of up to 16 bits; of wider ones those below ``top``."""
        if kind.kind == "b":
            return random.random(shape) < 0.5
        if kind.itemsize > 2:
            return random.integers(0, self.top, shape).astype(kind)
        range_ = np.iinfo(kind.name)
        return random.integers(range_.min, range_.max + 1, shape).astype(kind)


def _numbers(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal ones, ones in [0, 1), larger ones, and few of them, in turn."""
    values = random.normal(0, 1, shape)
    values[1::4] = random.uniform(0, 1, values[1::4].shape)
    values[2::4] *= 3
    values[3::4] *= random.uniform(0, 1, values[3::4].shape) < 0.25
    return values


def ways(specs: Sequence[InputSpec]) -> Iterator[Way]:
    """Those that differ for these inputs, the likeliest first."""
    open_ = any(spec.shape is not None and None in spec.shape for spec in specs)
    wide = any(np.dtype(s.dtype).kind in "iu" and np.dtype(s.dtype).itemsize > 2 for s in specs)
    for top, size in itertools.product(TOPS if wide else TOPS[:1], SIZES if open_ else SIZES[:1]):
        yield Way(size, top)


def workable(specs: Sequence[InputSpec], run: Callable[[Mapping[str, Array]], Mapping[str, Array]]) -> Way:
    """The first way whose samples ``run`` can compute, to answers that are not empty.

    Raises:
        InputError: samples cannot be drawn of any.
        InvalidModelError: none of them can be computed; the first one's error.
    """
    first: InvalidModelError | None = None
    for way in ways(specs):
        inputs = way.draw(specs, np.random.default_rng(0), 1)
        try:
            answers = run(inputs)
        except InvalidModelError as error:
            first = first or error
            continue
        if all(answer.size for answer in answers.values()):
            return way
    raise first or InputError(
        "no samples can be drawn: whatever the size of its open axes, an output is empty",
        remedy="give data: --data DATA.npz",
    )
