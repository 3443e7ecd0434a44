"""Spikes and membrane potentials, step by step."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.listings import Listing, train_listing
from onnx2snn.units import things

Array: TypeAlias = NDArray[Any]


#: Layers that a short description names.
_SHOWN = 3


@dataclass(frozen=True, repr=False)
class Trace:
    """The course of one presentation.

    Attributes:
        spikes: By layer, (T, N, ...), 0 or 1.
        potentials: By layer, the membrane potential v after each of the T integration steps and, behind those, before
            each of the T generation steps: (2·T, N, ...). An analog current arrives with the last integration step.
            Rate-coded neurons integrate and generate at once: (T, N, ...), before each spike.
        thresholds: By layer, what v has to reach in each generation step, (T, ...), to be broadcast against (T, N, ...);
            of neurons with a table, whose thresholds depend on their spikes, (T, N, ...).
        resets: By layer, what a spike takes from v in each generation step, 2^(T−t)·θ, likewise.
        table: The network's layer table.
    """

    spikes: dict[str, Array]
    potentials: dict[str, Array]
    thresholds: dict[str, Array]
    resets: dict[str, Array]
    table: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        layers = ", ".join(f"{name} {spikes.shape}" for name, spikes in list(self.spikes.items())[:_SHOWN])
        more = ", …" if len(self.spikes) > _SHOWN else ""
        return f"Trace({things(len(self.spikes), 'layer')}: {layers}{more})"

    def _repr_html_(self) -> str:
        return self._listing().html(self._told())

    def summary(self) -> str:
        """Shape and spikes of each layer's trains, as text."""
        return self._listing().text(self._told())

    def _listing(self) -> Listing:
        trains = self.spikes.items()
        return train_listing((name, train.shape, int(train.sum(dtype=np.int64))) for name, train in trains)

    def _told(self) -> str:
        return f"spikes and membrane potentials of {things(len(self.spikes), 'layer')}"

    def plot(self, sample: int = 0, *, neurons: Mapping[str, Sequence[int]] | None = None) -> Any:
        """Raster, membrane potentials and spikes per bit of a sample, as a ``matplotlib.figure.Figure`` (extra ``report``).

        Args:
            sample: Position of the sample.
            neurons: By layer, which to draw; for other layers some are chosen.

        Raises:
            OutputError: matplotlib is missing.
            InputError: there is no such sample, layer or neuron; or spikes are rate-coded, whose figures these are not.
        """
        plots = importlib.import_module("onnx2snn.report.plots")  # an extra, which stands on all of this
        return plots.plot_trace(self, sample, neurons or {})


def trace_of(
    parts: Sequence[Mapping[str, Array]], table: Mapping[str, Any], samples: int, given: int
) -> Trace:
    """The trace of all samples, from the answers to parts of them, which held ``given``: some may only have filled up a part."""
    layers = [layer["name"] for layer in table["layers"]]
    shapes = {layer["name"]: layer["shape"] for layer in table["layers"]}

    def along(kind: str, name: str) -> Array:
        whole = np.concatenate([part[f"{kind}/{name}"] for part in parts], axis=1)
        return np.ascontiguousarray(_by_sample(whole, shapes[name], given)[:, :samples])

    spikes = {name: along("train", name).astype(np.uint8) for name in layers}
    thresholds, resets = {}, {}
    for name, train in spikes.items():
        held = parts[0][f"thresholds/{name}"]
        written = parts[0][f"train/{name}"]
        whole = held.ndim == written.ndim and held.shape[1] == written.shape[1] > 1
        thresholds[name] = along("thresholds", name) if whole else _by_step(held, train.ndim)
        resets[name] = _by_step(parts[0][f"resets/{name}"], train.ndim)
    return Trace(spikes, {name: along("potentials", name) for name in layers}, thresholds, resets, table)


def _by_sample(values: Array, shape: Sequence[int | None], samples: int) -> Array:
    """(steps, rows, ...) as (steps, N, ...): several rows that belong to a sample become axes of it, as in the layer table."""
    rows, rest = values.shape[1], values.shape[2:]
    each = rows // samples
    if each < 2 or rows % samples:
        return values
    in_front = tuple(size or -1 for size in shape[: len(shape) - len(rest)])
    known = in_front.count(-1) < 2 and each % math.prod(size for size in in_front if size > 0) == 0
    return values.reshape(len(values), samples, *(in_front if known else (each,)), *rest)


def _by_step(operand: Array, rank: int) -> Array:
    """What a neuron reads for each generation step, (T, ...), with axes of 1 so that it fits ``rank`` axes."""
    return operand.reshape(len(operand), *(1,) * (rank - operand.ndim), *operand.shape[1:])
