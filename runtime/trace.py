"""Spikes and membrane potentials, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
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
    """

    spikes: dict[str, Array]
    potentials: dict[str, Array]
    thresholds: dict[str, Array]
    resets: dict[str, Array]


def trace_of(parts: Sequence[Mapping[str, Array]], layers: Sequence[str], samples: int) -> Trace:
    """The trace of all samples, from the answers to parts of them."""

    def along(kind: str, name: str) -> Array:
        return np.concatenate([part[f"{kind}/{name}"] for part in parts], axis=1)[:, :samples]

    spikes = {name: along("train", name).astype(np.uint8) for name in layers}
    thresholds, resets = {}, {}
    for name, train in spikes.items():
        held = parts[0][f"thresholds/{name}"]
        whole = held.ndim == train.ndim and held.shape[1] == parts[0][f"train/{name}"].shape[1] > 1
        thresholds[name] = along("thresholds", name) if whole else _by_step(held, train.ndim)
        resets[name] = _by_step(parts[0][f"resets/{name}"], train.ndim)
    return Trace(spikes, {name: along("potentials", name) for name in layers}, thresholds, resets)


def _by_step(operand: Array, rank: int) -> Array:
    """What a neuron reads for each generation step, (T, ...), with axes of 1 so that it fits ``rank`` axes."""
    return operand.reshape(len(operand), *(1,) * (rank - operand.ndim), *operand.shape[1:])
