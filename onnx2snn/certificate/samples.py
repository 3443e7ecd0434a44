"""Samples where none are given: half drawn at random, half pushed onto thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from onnx2snn.certificate.drawing import Way, workable
from onnx2snn.certificate.source import Source
from onnx2snn.data import DataSet, InputSpec, input_specs, open_data
from onnx2snn.graph.core import Array
from onnx2snn.model.files import load_model

#: Samples that are drawn.
COUNT = 64
#: Halvings of the way between two samples: float32 has no finer place for a threshold.
HALVINGS = 24
#: Levels of all layers that are held at a time.
MOST = 1 << 25


def drawn(
    specs: Sequence[InputSpec], source: Source, *, seed: int = 0, count: int = COUNT
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


def drawn_for(model: str | Path) -> DataSet:
    """The samples that a verification of ``model`` without data draws."""
    source = load_model(model)
    specs = input_specs(source)
    return open_data(drawn(specs, Source(source)), specs)


def random_samples(specs: Sequence[InputSpec], *, seed: int = 0, count: int = COUNT) -> dict[str, Array]:
    """As :func:`drawn`, none of them aimed, and open axes of one size."""
    return Way().draw(specs, np.random.default_rng(seed), count)


def _aimed(
    source: Source, first: Mapping[str, Array], second: Mapping[str, Array], random: np.random.Generator
) -> dict[str, Array]:
    """On the way from ``first`` to ``second``, as near as float32 can to where some neuron's level changes."""
    count, names = len(next(iter(first.values()))), list(source.activations)
    if not names:
        return dict(second)
    neurons = sum(k.size for k in source({n: v[:1] for n, v in first.items()}).levels.values())
    rows = source.batch or max(1, min(count, MOST // max(neurons, 1)))
    parts = []
    for start in range(0, count, rows):
        one, other = ({n: v[start : start + rows] for n, v in ends.items()} for ends in (first, second))
        parts.append(_bisected(source, one, other, random))
    return {name: np.concatenate([part[name] for part in parts]) for name in first}


def _bisected(
    source: Source, first: Mapping[str, Array], second: Mapping[str, Array], random: np.random.Generator
) -> dict[str, Array]:
    """Samples on the way, each of which aims at a neuron that is drawn."""
    count, names = len(next(iter(first.values()))), list(source.activations)
    start, end = source(first).levels, source(second).levels
    goals = []
    for sample in range(count):
        name = names[int(random.integers(len(names)))]
        changed = np.flatnonzero(start[name][sample] != end[name][sample])
        goals.append((name, int(random.choice(changed)) if changed.size else 0))
    low, high = np.zeros(count), np.ones(count)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        levels = source(_between(first, second, middle)).levels
        for sample, (name, neuron) in enumerate(goals):
            same = levels[name][sample].flat[neuron] == start[name][sample].flat[neuron]
            (low if same else high)[sample] = middle[sample]
    return _between(first, second, high)


def _between(first: Mapping[str, Array], second: Mapping[str, Array], share: Array) -> dict[str, Array]:
    mixed = {}
    for name, value in first.items():
        column = share.reshape((-1,) + (1,) * (value.ndim - 1))
        between = value * (1 - column) + second[name] * column
        mixed[name] = (between if value.dtype.kind in "fV" else np.rint(between)).astype(value.dtype)
    return mixed
