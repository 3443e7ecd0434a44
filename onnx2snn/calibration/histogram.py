"""What is known of one activation: histograms by channel, of any number of values in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]


def channels_first(values: Values, axis: int | None) -> Values:
    """(channels, values of one channel); one channel in all for ``axis`` None."""
    if axis is None:
        return values.reshape(1, -1)
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


class Histogram:
    """Pairs (u, a) of each channel, sorted by u into equal bins between 0 and ``top``; what is below lies in the first.

    u decides the level, a is the activation that the level stands for. The range grows by doubling: two bins become one.

    Attributes:
        top: End of the last bin, (C,).
        count: Pairs of each bin, (C, bins).
        total: Σ a of each bin, likewise.
        squares: Σ a², (C,).
        largest: The largest a, (C,).
    """

    def __init__(self, channels: int, bins: int = 512) -> None:
        self.bins = bins
        self.top = np.zeros(channels)
        self.largest = np.zeros(channels)
        self.squares = np.zeros(channels)
        self.count = np.zeros((channels, bins))
        self.total = np.zeros((channels, bins))

    def add(self, u: Values, a: Values) -> None:
        """Further pairs, (C, n) each.

        Args:
            u: What the level is decided by.
            a: The activation ≥ 0; it is u itself for statistics of the float network.
        """
        if not u.size:
            return
        most = a.max(axis=1).astype(np.float64)
        self.largest = np.maximum(self.largest, most)
        self._grow(most)
        self.squares += np.einsum("cn,cn->c", a, a, dtype=np.float64)
        scale = np.divide(self.bins, self.top, out=np.zeros_like(self.top), where=self.top > 0)
        at = np.clip(u * scale[:, None].astype(np.float32), 0, self.bins - 1).astype(np.int64)
        at += np.arange(len(at))[:, None] * self.bins
        size = self.count.size
        self.count += np.bincount(at.ravel(), minlength=size).reshape(self.count.shape)
        self.total += np.bincount(at.ravel(), a.ravel(), minlength=size).reshape(self.total.shape)

    def _grow(self, most: NDArray[np.float64]) -> None:
        fresh = (self.top == 0) & (most > 0)
        self.top[fresh] = most[fresh]
        while np.any(short := self.top < most):
            for held in (self.count, self.total):
                pairs = held[short].reshape(-1, self.bins // 2, 2).sum(axis=2)
                held[short] = np.concatenate([pairs, np.zeros_like(pairs)], axis=1)
            self.top[short] *= 2

    def joined(self) -> Histogram:
        """All channels as one."""
        one = Histogram(1, self.bins)
        one.largest[0] = self.largest.max()
        one.squares[0] = self.squares.sum()
        one.top[0] = self.top.max()
        if one.top[0] > 0:
            for channel in range(len(self.top)):
                middle = (np.arange(self.bins) + 0.5) * self.top[channel] / one.top[0]
                np.add.at(one.count[0], middle.astype(np.int64), self.count[channel])
                np.add.at(one.total[0], middle.astype(np.int64), self.total[channel])
        return one

    def quantile(self, share: float) -> NDArray[np.float64]:
        """The value that ``share`` of the activations do not exceed, (C,), to the width of a bin."""
        reached = np.cumsum(self.count, axis=1) >= share * self.count.sum(axis=1, keepdims=True)
        edge = (np.argmax(reached, axis=1) + 1) * self.top / self.bins
        return np.asarray(np.minimum(edge, self.largest), np.float64)
