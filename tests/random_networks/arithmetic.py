"""The arithmetic that exporters leave around a rounding, a step a time: quotients, roundings, clips, products with a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from random_networks.building import Building
from random_networks.versions import clip


@dataclass(frozen=True)
class Grid:
    """What a spelling has to spell.

    Attributes:
        step: θ = α, one number, or one for each channel, shaped to broadcast.
        low: Lowest code.
        high: Highest code; high − low = K.
    """

    step: np.ndarray
    low: int
    high: int

    @property
    def levels(self) -> int:
        """K."""
        return self.high - self.low

    @property
    def scalar(self) -> bool:
        """Whether all channels share it."""
        return self.step.size == 1


def divided(b: Building, x: str, grid: Grid) -> str:
    """z/step, as a quotient or a product."""
    if b.flip():
        return (
            b.op("Mul", x, np.float32(1) / grid.step)
            if b.flip()
            else b.op("Mul", np.float32(1) / grid.step, x)
        )
    return b.op("Div", x, grid.step)


def multiplied(b: Building, k: str, grid: Grid) -> str:
    if b.flip():
        return b.op("Div", k, np.float32(1) / grid.step)
    return b.op("Mul", grid.step, k) if b.flip() else b.op("Mul", k, grid.step)


def clipped(b: Building, x: str, low: Any, high: Any) -> str:
    """clip(x, low, high) in one of many ways; bounds are numbers or arrays."""
    low, high = np.float32(low), np.float32(high)
    scalar = low.ndim == high.ndim == 0
    way = b.pick(
        (["clip"] if scalar else [])
        + ["max, min", "min, max", "where"]
        + (["relu"] if not np.any(low) else [])
    )
    if way == "clip":
        return clip(b, x, float(low), float(high))
    if way == "max, min":
        return b.op("Min", b.op("Max", x, low), high)
    if way == "min, max":
        return b.op("Max", low, b.op("Min", high, x))
    if way == "relu":
        return b.op("Min", b.op("Relu", x), high)
    below = b.op("Where", b.op("Less", x, low), low, x)
    return b.op("Where", b.op("Greater", below, high), high, below)


def rounded(b: Building, z: str, *, nearest: bool = False) -> str:
    """R(z): to nearest, up or down."""
    near = ["half up", "half to even"] if b.opset >= 11 else ["half up"]
    way = b.pick(near if nearest else [*near, "down", "up", "down of the negative"])
    if way == "half up":
        return b.op("Floor", b.op("Add", z, 0.5) if b.flip() else b.op("Add", 0.5, z))
    if way == "down of the negative":
        return b.op("Neg", b.op("Floor", b.op("Neg", z)))
    return b.op({"down": "Floor", "up": "Ceil", "half to even": "Round"}[way], z)
