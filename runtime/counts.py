"""Counting spikes inside the network, so that trains never leave it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.bodies import DOMAIN
from onnx2snn.runtime.wire import DOUBLE, call, message, node, value_info

_NODE, _OUTPUT = 1, 12


def counts_of(train: NDArray[Any], timesteps: int, coding: str = "binary") -> NDArray[np.float32]:
    """The level (N, ...) that a train (T·N, ...) carries: Σ 2^(T−t)·s(t), or Σ s(t) where it is rate-coded."""
    steps = train.reshape(timesteps, -1, *train.shape[1:])
    level: NDArray[np.float32] = steps[0].astype(np.float32)
    for spikes in steps[1:]:
        if coding == "binary":
            level += level
        level += spikes
    return level


def count_nodes(layers: Iterable[Mapping[str, Any]], timesteps: int, execution: str) -> bytes:
    """A graph fragment that writes, for each layer, ``<train>/count`` (N, ...) and ``spikes/<layer>`` (N,) float64."""
    parts = []
    for number, layer in enumerate(layers):
        train, prefix = layer["output"], f"spikes{number}"
        count = f"{train}/count"
        if execution == "spiking":
            nodes = _summed(train, count, prefix, timesteps)
        elif execution in ("fused", "int8"):
            nodes = _popcount(train, count, prefix, timesteps)
        else:
            level = level_name(train)
            nodes = [*_decoded(train, level, prefix, timesteps), *_popcount(level, count, prefix, timesteps)]
        parts += [message(_NODE, n) for n in [*nodes, *_total(train, layer["name"], prefix)]]
        parts.append(message(_OUTPUT, value_info(f"spikes/{layer['name']}", DOUBLE)))
    return b"".join(parts)


def level_nodes(layers: Iterable[Mapping[str, Any]], timesteps: int) -> bytes:
    """A graph fragment whose outputs are the levels (N, ...) that trains carry, under ``level_name(train)``."""
    parts = []
    for number, layer in enumerate(layers):
        level = level_name(layer["output"])
        nodes = _decoded(layer["output"], level, f"level{number}", timesteps)
        parts += [*(message(_NODE, n) for n in nodes), message(_OUTPUT, value_info(level))]
    return b"".join(parts)


def level_name(train: str) -> str:
    """The name of the level that a train carries."""
    return f"{train}/decoded"


def _decoded(train: str, level: str, prefix: str, timesteps: int) -> list[bytes]:
    """The level of a train: what a neuron's potential becomes that hears this one spike train, at weight 1 (METHOD 3)."""
    zero = f"{prefix}/zero"
    integrate = call(DOMAIN, "Integrate", [train, zero], [level], input_steps=timesteps)
    return [_constant(zero, 0, dtype=np.float32), integrate]


def _constant(name: str, *values: float, dtype: type = np.int64) -> bytes:
    return node("Constant", [], [name], value=np.asarray(values, dtype))


def _summed(train: str, count: str, prefix: str, timesteps: int) -> list[bytes]:
    """The sum of each neuron's spikes over time."""
    return [
        _constant(f"{prefix}/steps", timesteps, -1),
        _constant(f"{prefix}/time", 0),
        node("Shape", [train], [f"{prefix}/sample"], start=1),
        node("Concat", [f"{prefix}/steps", f"{prefix}/sample"], [f"{prefix}/shape"], axis=0),
        node("Reshape", [train, f"{prefix}/shape"], [f"{prefix}/unfolded"]),
        node("ReduceSum", [f"{prefix}/unfolded", f"{prefix}/time"], [count], keepdims=0),
    ]


def _popcount(level: str, count: str, prefix: str, timesteps: int) -> list[bytes]:
    """The ones in each level's binary code, the spikes of METHOD 2: k − Σ floor(k / 2^j), j ≥ 1 (Legendre)."""
    nodes, left = [], level
    for bit in range(1, timesteps):
        weight, shifted, whole = (f"{prefix}/{kind}{bit}" for kind in ("weight", "shifted", "whole"))
        rest = count if bit == timesteps - 1 else f"{prefix}/left{bit}"
        nodes += [
            _constant(weight, 2.0**-bit, dtype=np.float32),
            node("Mul", [level, weight], [shifted]),
            node("Floor", [shifted], [whole]),
            node("Sub", [left, whole], [rest]),  # one after the other: few are held at a time
        ]
        left = rest
    return nodes or [node("Identity", [level], [count])]


def _total(train: str, layer: str, prefix: str) -> list[bytes]:
    """float64 holds every integer below 2⁵³."""
    return [
        node("Flatten", [f"{train}/count"], [f"{prefix}/flat"], axis=1),
        node("Cast", [f"{prefix}/flat"], [f"{prefix}/wide"], to=DOUBLE),
        _constant(f"{prefix}/axis", 1),
        node("ReduceSum", [f"{prefix}/wide", f"{prefix}/axis"], [f"spikes/{layer}"], keepdims=0),
    ]
