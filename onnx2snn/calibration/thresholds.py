"""Choosing the step θ of a staircase that stands in for a ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Candidates for K·θ, as shares of the largest activation.
SHARES = np.concatenate([np.linspace(0.02, 0.2, 10), np.linspace(0.225, 1.0, 32)])


def channels_first(values: NDArray[Any], axis: int | None) -> NDArray[np.float64]:
    """(channels, values of one channel); one channel in all for ``axis`` None."""
    wide = values.astype(np.float64)
    return wide.reshape(1, -1) if axis is None else np.moveaxis(wide, axis, 0).reshape(values.shape[axis], -1)


def largest(target: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """θ that clips nothing: the largest activation is level K."""
    return _positive(target.max(axis=1) / levels)


def percentile(target: NDArray[np.float64], levels: int, share: float = 99.9) -> NDArray[np.float64]:
    """θ that clips the largest 0.1 % of activations."""
    return _positive(np.percentile(target, share, axis=1) / levels)


def least_squares(
    source: NDArray[np.float64], target: NDArray[np.float64], levels: int, ceiling: float
) -> NDArray[np.float64]:
    """θ of least mean squared error between the staircase of ``source`` and the activation ``target``.

    Args:
        source: Pre-activations as the quantised network computes them, (channels, values).
        target: Activations of the float network, likewise.
        levels: K.
        ceiling: Where the activation itself is clipped (6 for ReLU6); infinite for ReLU.

    Returns:
        (channels,).
    """
    top = _positive(np.minimum(target.max(axis=1), ceiling))
    best = top / levels
    error = np.full(len(top), np.inf)
    for share in SHARES:
        theta = share * top / levels
        column = theta[:, None]
        staircase = np.clip(np.floor(source / column + 0.5), 0, levels) * column
        found = np.mean((staircase - target) ** 2, axis=1)
        better = found < error
        best, error = np.where(better, theta, best), np.where(better, found, error)
    return best


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A silent channel gets a threshold all the same: that of the others."""
    alive = values[values > 0]
    return np.where(values > 0, values, alive.mean() if alive.size else 1.0)
