"""Operators, transposed: how many synapses are reached from each place that they read, from those that they write."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reached = NDArray[np.float64]


def is_plain(held: Mapping[str, Any]) -> bool:
    """Whether the attributes of a convolution or a pool say how wide its padding is."""
    named = held.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return not named and "output_shape" not in held and not held.get("ceil_mode", 0)


def through_weights(
    weights: NDArray[Any], reached: Reached, *, group: int, forwards: bool
) -> Callable[[int], Reached]:
    """By tap, what is reached through it from its input channels, at the places that it writes.

    Args:
        weights: (output channels, input channels of a group, ...), or (input channels, output channels of a group, ...).
        reached: From what the convolution writes, (1, channels or 1, ...).
        group: The number of groups.
        forwards: The first of the two.
    """
    inputs = weights.shape[1] if forwards else len(weights) // group
    apart = weights.reshape(group, -1, inputs, int(np.prod(weights.shape[2:])))
    if not forwards:
        apart = np.swapaxes(weights.reshape(group, inputs, -1, apart.shape[-1]), 1, 2)
    if reached.shape[1] == 1:
        ones = np.count_nonzero(apart, axis=1).reshape(-1, apart.shape[-1]).astype(np.float64)
        ones = ones[:1] if np.all(ones == ones[:1]) else ones  # no channel lacks a weight that another has
        column = (1, -1, *(1,) * (reached.ndim - 2))
        return lambda tap: ones[:, tap].reshape(column) * reached
    behind = reached.reshape(group, -1, *reached.shape[2:])

    def summed(tap: int) -> Reached:
        here = (apart[..., tap] != 0).astype(np.float64)
        found: Reached = np.einsum("goi,go...->gi...", here, behind)
        return found.reshape(1, -1, *reached.shape[2:])

    return summed


def by_tap(
    held: Mapping[str, Any],
    kernel: tuple[int, ...],
    inner: tuple[int, ...],
    outer: tuple[int, ...],
    through: Callable[[int], Reached],
    *,
    forwards: bool,
) -> Reached:
    """The sum over a kernel's taps: of each what is reached ``through`` it, at the places that it joins.

    Args:
        held: Attributes of the convolution.
        kernel: Its sizes.
        inner: Places of what it reads.
        outer: Places of what it writes.
        through: By tap, from the places that are written, (1, channels, ...).
        forwards: What is read moves through the kernel; else what is written does, as of a transposed convolution.
    """
    read, written = (inner, outer) if forwards else (outer, inner)
    axes = len(kernel)
    steps, pads = held.get("strides") or [1] * axes, held.get("pads") or [0] * 2 * axes
    apart = held.get("dilations") or [1] * axes
    parts: list[tuple[tuple[slice, ...], Reached]] = []
    for number, tap in enumerate(itertools.product(*map(range, kernel))):
        part = through(number)
        near: list[slice] = [slice(None)] * 2  # places of what is read, and of what is written
        far: list[slice] = [slice(None)] * 2
        for t, d, s, p, size, other in zip(tap, apart, steps, pads[:axes], read, written, strict=True):
            first, last = max(0, -((t * d - p) // s)), min(other - 1, (size - 1 + p - t * d) // s)
            start, count = first * s + t * d - p, max(0, last - first + 1)
            near.append(slice(start, start + (count - 1) * s + 1, s) if count else slice(0, 0))
            far.append(slice(first, first + count))
        here, there = (near, far) if forwards else (far, near)
        picked = [slice(None) if n == 1 else one for n, one in zip(part.shape, there, strict=True)]
        parts.append((tuple(here), part[tuple(picked)]))
    found = np.zeros((1, parts[0][1].shape[1], *inner))
    for places, part in parts:
        found[places] += part
    return found


def gathered(reached: Reached, sizes: tuple[int, ...], shape: tuple[int, ...]) -> Reached:
    """The sum over all places of a tensor of these ``sizes`` to which an operand of this ``shape`` is broadcast."""
    behind = len(sizes) - len(shape)
    for axis, (small, large) in enumerate(zip((1,) * behind + shape, sizes, strict=True)):
        if small == 1 < large:
            times = large if reached.shape[axis] == 1 else 1
            reached = times * reached.sum(axis=axis, keepdims=True)
    return reached.reshape(reached.shape[behind:])


def compact(values: Reached) -> Reached:
    """With one entry along each axis where all are alike."""
    for axis, size in enumerate(values.shape):
        first = values.take([0], axis=axis) if size > 1 else values
        if size > 1 and np.all(values == first):
            values = first
    return values
