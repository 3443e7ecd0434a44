"""Samples where none are given: half drawn at random, half pushed onto thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from onnx2snn.certificate.source import Source
from onnx2snn.data import DataSet, InputSpec, input_specs, open_data
from onnx2snn.errors import InputError
from onnx2snn.graph import Array
from onnx2snn.model_file import load_model

#: Samples that are drawn.
COUNT = 64
#: Halvings of the way between two samples: float32 has no finer place for a threshold.
HALVINGS = 24


def drawn(
    specs: Sequence[InputSpec], source: Source, *, seed: int = 0, count: int = COUNT
) -> dict[str, Array]:
    """Inputs (count, ...) by name; deterministic.

    Raises:
        InputError: a size of an input is dynamic, or it is not a float.
    """
    random = np.random.default_rng(seed)
    first = {spec.name: _draw(spec, random, count) for spec in specs}
    second = {spec.name: _draw(spec, random, count) for spec in specs}
    aimed = _aimed(source, first, second, random)
    half = count // 2
    return {name: np.concatenate([first[name][:half], aimed[name][half:]]) for name in first}


def drawn_for(model: str | Path) -> DataSet:
    """The samples that a verification of ``model`` without data draws."""
    source = load_model(model)
    specs = input_specs(source)
    return open_data(drawn(specs, Source(source)), specs)


def random_samples(specs: Sequence[InputSpec], *, seed: int = 0, count: int = COUNT) -> dict[str, Array]:
    """As :func:`drawn`, none of them aimed."""
    random = np.random.default_rng(seed)
    return {spec.name: _draw(spec, random, count) for spec in specs}


def _draw(spec: InputSpec, random: np.random.Generator, count: int) -> Array:
    sizes = spec.shape
    if sizes is None or any(s is None for s in sizes) or np.dtype(spec.dtype).kind != "f":
        raise InputError(
            f"no samples can be drawn for input '{spec.name}'", remedy="give data: --data DATA.npz"
        )
    shape = (count, *(int(s) for s in sizes if s is not None))
    values = random.normal(0, 1, shape)
    values[1::4] = random.uniform(0, 1, values[1::4].shape)
    values[2::4] *= 3
    values[3::4] *= random.uniform(0, 1, values[3::4].shape) < 0.25
    return np.asarray(values, spec.dtype)


def _aimed(
    source: Source, first: Mapping[str, Array], second: Mapping[str, Array], random: np.random.Generator
) -> dict[str, Array]:
    """On the way from ``first`` to ``second``, as near as float32 can to where some neuron's level changes."""
    count = len(next(iter(first.values())))
    names = list(source.activations)
    if not names:
        return dict(second)
    start, end = _levels(source, first), _levels(source, second)
    goals = []
    for sample in range(count):
        name = names[int(random.integers(len(names)))]
        changed = np.flatnonzero(start[name][sample] != end[name][sample])
        goals.append((name, int(random.choice(changed)) if changed.size else 0))
    low, high = np.zeros(count), np.ones(count)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        levels = _levels(source, _between(first, second, middle))
        for sample, (name, neuron) in enumerate(goals):
            here = levels[name][sample].ravel()[neuron]
            if here == start[name][sample].ravel()[neuron]:
                low[sample] = middle[sample]
            else:
                high[sample] = middle[sample]
    return _between(first, second, high)


def _levels(source: Source, inputs: Mapping[str, Array]) -> dict[str, Array]:
    return dict(source(inputs).levels)


def _between(first: Mapping[str, Array], second: Mapping[str, Array], share: Array) -> dict[str, Array]:
    mixed = {}
    for name, value in first.items():
        column = share.reshape((-1,) + (1,) * (value.ndim - 1))
        mixed[name] = (value * (1 - column) + second[name] * column).astype(value.dtype)
    return mixed
