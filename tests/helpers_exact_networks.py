"""Quantised networks of general float32 weights, one for each thing that rounding to grids can get wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers_networks import Builder, Network


def weights(*shape: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def convolved(
    b: Builder, x: str, size: tuple[int, int], seed: int, *, kernel: int = 3, **attributes: Any
) -> str:
    own = size[0] // attributes.get("group", 1)
    held = weights(size[1], own, kernel, kernel, seed=seed), 0.3 * weights(size[1], 1, seed=seed + 1)[:, 0]
    return b.add("Conv", x, *held, pads=[kernel // 2] * 4, **attributes)


def read_out(b: Builder, x: str, size: int, shape: tuple[int, ...]) -> Network:
    out = b.add("Gemm", b.add("Flatten", x), weights(size, 5, seed=90), weights(5, 1, seed=91)[:, 0])
    return Network(b.model({"x": ["N", *shape]}, {"y": (out, ["N", 5])}), {"x": shape})


def residual() -> Network:
    """An identity beside synapses, T = 4 and 6, round half to even, and the mean of 7 × 7 places."""
    b = Builder()
    a = b.act(convolved(b, "x", (3, 8), 1), step=0.137, shift=0.5)
    inner = b.act(convolved(b, a, (8, 8), 3), step=0.11, shift=0.5)
    joined = b.add("Add", convolved(b, inner, (8, 8), 5), a)
    joined = b.act(joined, step=0.19, levels=63, rounding="Round")
    return read_out(b, b.add("AveragePool", joined, kernel_shape=[7, 7]), 8, (3, 7, 7))


def pooled() -> Network:
    """Thresholds by channel that a maximum and a shortcut share, depthwise synapses, windows near a border, a U."""
    b = Builder()
    steps = (0.05 + 0.1 * np.random.default_rng(3).random((8, 1, 1))).astype(np.float32)
    a = b.act(convolved(b, "x", (3, 8), 1), step=steps, shift=0.5)
    down = b.add("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    down = b.act(convolved(b, down, (8, 8), 3, group=8), step=0.137, levels=7, shift=0.5)
    down = b.add("AveragePool", down, kernel_shape=[3, 3], pads=[1] * 4)
    down = b.act(convolved(b, down, (8, 8), 5, kernel=1), step=steps, shift=0.3)
    scales = np.array([1, 1, 2, 2], np.float32)
    up = b.add("Resize", down, np.zeros(0, np.float32), scales, mode="nearest",
               coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    joined = b.add("Concat", up, a, axis=1)
    last = b.act(convolved(b, joined, (16, 4), 7), step=0.11, levels=3, rounding="Round")
    return read_out(b, b.add("GlobalAveragePool", last), 4, (3, 8, 8))


def signed() -> Network:
    """Levels on both sides of zero, through padded borders; synapses behind synapses, and a residual stream of currents."""
    b = Builder()
    a = b.act(convolved(b, "x", (3, 8), 1), step=0.137, rounding="Round", low=-7)
    a = b.act(convolved(b, a, (8, 8), 3), step=0.137, rounding="Round", low=-3)
    narrow = convolved(b, a, (8, 8), 5, kernel=1)
    wide = b.act(convolved(b, narrow, (8, 8), 7, kernel=1), step=0.137, rounding="Round")
    stream = b.add("Add", narrow, convolved(b, wide, (8, 8), 11, kernel=1))
    last = b.act(convolved(b, stream, (8, 8), 13, kernel=1), step=0.137, rounding="Ceil")
    return read_out(b, b.add("ReduceMean", last, axes=[2, 3], keepdims=0), 8, (3, 6, 6))


def shuffled() -> Network:
    """Channels change places by Reshape, which renames the axis of samples, beside an identity; thresholds by channel."""
    b = Builder()
    steps = (0.05 + 0.1 * np.random.default_rng(7).random((8, 1, 1))).astype(np.float32)
    a = b.act(convolved(b, "x", (3, 8), 1), step=steps, shift=0.5)
    inner = b.act(convolved(b, a, (8, 8), 3, kernel=1, group=2), step=steps, shift=0.5)
    split = b.add("Reshape", inner, np.array([-1, 2, 4, 6, 6]))
    joined = b.add("Reshape", b.add("Transpose", split, perm=[0, 2, 1, 3, 4]), np.array([-1, 8, 6, 6]))
    total = b.add("Sum", convolved(b, joined, (8, 8), 5, group=8), a)
    last = b.act(total, step=2 * steps, shift=0.5)
    return read_out(b, b.add("GlobalAveragePool", last), 8, (3, 6, 6))


def averaged() -> Network:
    """Averages of fewer places at the border beside synapses: both in front of thresholds that differ by channel."""
    b = Builder()
    steps = (0.05 + 0.1 * np.random.default_rng(7).random((8, 1, 1))).astype(np.float32)
    a = b.act(convolved(b, "x", (3, 8), 1), step=steps, shift=0.5)
    means = b.add("AveragePool", a, kernel_shape=[3, 3], pads=[1] * 4)
    joined = b.add("Concat", convolved(b, a, (8, 8), 3), means, axis=1)
    last = b.act(joined, step=np.concatenate([steps, steps[::-1]]), levels=63, shift=0.5)
    return read_out(b, b.add("GlobalAveragePool", last), 16, (3, 6, 6))


def parted() -> Network:
    """Neurons of several thresholds on one potential, by channel: beside a maximum, and on a sum that a shortcut is part of."""
    b = Builder()
    steps = (0.05 + 0.1 * np.random.default_rng(3).random((8, 1, 1))).astype(np.float32)
    z = convolved(b, "x", (3, 8), 1)
    wide = b.act(z, step=steps, shift=0.5)
    down = b.act(b.add("MaxPool", z, kernel_shape=[3, 3], pads=[1] * 4), step=1.3 * steps[::-1], shift=0.5)
    total = b.add("Add", convolved(b, down, (8, 8), 3), wide)
    one = b.act(total, step=steps, rounding="Round", low=-7)
    other = b.act(total, step=0.137, levels=63, rounding="Ceil", low=-20)
    joined = b.add("Concat", convolved(b, one, (8, 8), 5), convolved(b, other, (8, 8), 7), axis=1)
    last = b.act(joined, step=0.137, shift=0.5)
    return read_out(b, b.add("GlobalAveragePool", last), 16, (3, 6, 6))


def gated(finer: int = 1) -> Network:
    """Squeeze and excitation of levels of both signs, and what is multiplied quantised anew."""
    b = Builder()
    a = convolved(b, "x", (3, 8), 1)
    a = b.act(a, step=0.137 / finer, levels=16 * finer - 1, rounding="Round", low=-7 * finer)
    squeezed = b.act(convolved(b, b.add("GlobalAveragePool", a), (8, 4), 3, kernel=1), step=0.019, shift=0.5)
    gate = convolved(b, squeezed, (4, 8), 5, kernel=1)
    gate = b.act(gate, step=0.082 / finer, levels=16 * finer - 1, shift=0.5)
    product = b.act(b.add("Mul", a, gate), step=0.0231, levels=31, rounding="Round", low=-11)
    last = b.act(convolved(b, product, (8, 8), 7), step=0.021, shift=0.5)
    return read_out(b, b.add("GlobalAveragePool", last), 8, (3, 6, 6))


def offset() -> Network:
    """Levels counted from what is no whole number of them."""
    b = Builder()
    a = b.act(convolved(b, "x", (3, 8), 1), step=0.137, shift=0.5)
    a = b.add("Sub", a, np.float32(0.37 * 0.137))
    a = b.act(convolved(b, a, (8, 8), 3, kernel=1), step=0.137, shift=0.5)
    return read_out(b, b.add("GlobalAveragePool", a), 8, (3, 6, 6))


def dense() -> Network:
    """A stream of joined currents, of which each neuron reads all so far behind a batch norm of its own, and an average of it."""
    b = Builder()
    stream, size = convolved(b, "x", (3, 8), 1), 8
    for number in range(3):
        scale = (0.5 + np.random.default_rng(number).random((size, 1, 1))).astype(np.float32)
        normed = b.add("Add", b.add("Mul", stream, scale), 0.1 * scale[::-1])
        inner = b.act(normed, step=0.137, shift=0.5)
        stream, size = b.add("Concat", stream, convolved(b, inner, (size, 4), 3 + number), axis=1), size + 4
    between = convolved(b, b.act(stream, step=0.137, shift=0.5), (size, 8), 9, kernel=1)
    pooled = b.add("AveragePool", between, kernel_shape=[2, 2], strides=[2, 2])
    one, other = (b.act(pooled, step=step, shift=0.5) for step in (0.071, 0.093))
    last = b.act(convolved(b, b.add("Concat", one, other, axis=1), (16, 8), 11), step=0.051, shift=0.5)
    return read_out(b, b.add("GlobalAveragePool", last), 8, (3, 6, 6))


def gated_finely() -> Network:
    """The same in eight bits."""
    return gated(16)


def streams() -> Network:
    """A sum of levels of small steps beside levels of large ones: each of both keeps its own grid in front of synapses."""
    b = Builder()
    wide = b.act(convolved(b, "x", (3, 8), 1), step=0.137, shift=0.5)
    one, other = (
        b.act(convolved(b, wide, (8, 8), seed), step=step, shift=0.5)
        for seed, step in ((3, 0.0093), (5, 0.0071))
    )
    joined = b.add("Concat", wide, b.add("Add", one, other), axis=1)
    both = weights(8, 16, 1, 1, seed=7) * np.where(np.arange(16) < 8, 0.05, 1)[:, None, None].astype(
        np.float32
    )
    last = b.act(b.add("Conv", joined, both), step=0.0137, shift=0.5)
    return read_out(b, b.add("GlobalAveragePool", last), 8, (3, 6, 6))


NETWORKS = [streams, residual, pooled, signed, shuffled, averaged, parted, gated, gated_finely, offset, dense]
