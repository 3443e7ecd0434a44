"""Membrane potentials, step by step: the neuron of METHOD 3 in plain NumPy, on the currents that it received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.bodies import DOMAIN
from onnx2snn.runtime.wire import fields, message, node, value_info

Array: TypeAlias = NDArray[Any]

_GRAPH, _NODE, _OUTPUT = 7, 1, 12
_OPERANDS = ("current", "bias", "compare", "subtract", "ceiling")


@dataclass(frozen=True)
class Trace:
    """The course of one presentation.

    Attributes:
        spikes: By layer, (T, N, ...), 0 or 1.
        potentials: By layer, the membrane potential v after each of the T integration steps and, behind those, before
            each of the T generation steps: (2·T, N, ...). An analog current arrives with the last integration step.
            Rate-coded neurons integrate and generate at once: (T, N, ...), before each spike.
        thresholds: By layer, what v has to reach in each generation step, (T, ...), to be broadcast against (T, N, ...).
        resets: By layer, what a spike takes from v in each generation step, 2^(T−t)·θ, likewise.
    """

    spikes: dict[str, Array]
    potentials: dict[str, Array]
    thresholds: dict[str, Array]
    resets: dict[str, Array]


def tracing_graph(content: bytes, outputs: Mapping[str, str]) -> bytes:
    """A fragment that copies what each neuron reads to outputs ``trace/<layer>/<operand>``; ``outputs``: train → layer."""
    parts = []
    for read, written in _neurons(content):
        layer = outputs[written]
        for operand, tensor in zip(_OPERANDS, read, strict=True):
            name = f"trace/{layer}/{operand}"
            parts += [message(_NODE, node("Identity", [tensor], [name])), message(_OUTPUT, value_info(name))]
    return b"".join(parts)


def _neurons(content: bytes) -> list[tuple[list[str], str]]:
    """(inputs, output) of every IF node."""
    found = []
    for field, _, graph, _, _ in fields(memoryview(content)):
        if field != _GRAPH:
            continue
        for number, _, value, _, _ in fields(graph):
            if number != _NODE:
                continue
            entry: dict[int, list[str]] = {}
            for key, kind, text, _, _ in fields(value):
                if kind == 2 and key in (1, 2, 4, 7):
                    entry.setdefault(key, []).append(bytes(text).decode())
            if entry.get(7) == [DOMAIN] and entry.get(4) == ["IF"]:
                found.append((entry[1], entry[2][0]))
    return found


def traced(
    operands: Mapping[str, Array], samples: int, timesteps: int, bias_form: str
) -> tuple[Array, Array]:
    """Spikes (T, N, ...) and potentials (2·T, N, ...) of one layer, from what its neurons read."""
    currents = operands["current"].reshape(-1, samples, *operands["current"].shape[1:])
    potentials = _integration(currents, operands["bias"], timesteps, bias_form)
    v = potentials[-1] if bias_form != "once" else potentials[-1] + operands["bias"]
    v = np.minimum(v, operands["ceiling"])
    spikes, course = [], []
    for threshold, taken in zip(operands["compare"], operands["subtract"], strict=True):
        course.append(v)
        s = v >= threshold
        v = v - s * taken
        spikes.append(s)
    return np.stack(spikes).astype(np.uint8), np.stack([*potentials, *course])


def by_step(operand: Array, rank: int) -> Array:
    """What a neuron reads for each generation step, (T, ...), with axes of 1 so that it fits ``rank`` axes."""
    return operand.reshape(len(operand), *(1,) * (rank - operand.ndim), *operand.shape[1:])


def traced_rate(operands: Mapping[str, Array], samples: int, timesteps: int) -> tuple[Array, Array]:
    """As :func:`traced`, of a rate-coded layer: spikes and potentials, (T, N, ...) each."""
    currents = operands["current"].reshape(-1, samples, *operands["current"].shape[1:])
    share = np.float32(len(currents) / timesteps)
    currents = np.broadcast_to(currents, (timesteps, *currents.shape[1:])) * share
    v = np.zeros(currents.shape[1:], np.float32)
    spikes, course = [], []
    for current, threshold, taken in zip(currents, operands["compare"], operands["subtract"], strict=True):
        v = v + current + operands["bias"]
        course.append(v)
        s = v >= threshold
        v = v - s * taken
        spikes.append(s)
    return np.stack(spikes).astype(np.uint8), np.stack(course)


def _integration(currents: Array, bias: Array, timesteps: int, bias_form: str) -> list[Array]:
    steps = len(currents)
    v = np.zeros(currents.shape[1:], np.float32)
    potentials = [v] * (timesteps - steps)
    for position, current in enumerate(currents):
        if bias_form == "paper":
            v = v + current * np.float32(2 ** (steps - 1 - position)) + bias
        else:
            v = v + v + current
            v = v + bias if bias_form == "per-step" else v
        potentials.append(v)
    return potentials
