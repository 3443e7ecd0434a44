"""Synapses in 8-bit integers: which can be, and the requantisation that equals a neuron bit for bit.

An 8-bit convolution of ONNX (QLinearConv) ends in

    k = clip(round(float32(V + B) · m), 0, 255)       V = Σ n·k exact in 32-bit integers, B an integer by channel

with ties to even. The level of an IF neuron behind whole-number weights is a function of the integer V + B too. Both
rise with it, so they are equal everywhere if they are equal at both sides of each of the K thresholds: this is computed
for every channel before the operator is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.byte_trains import takes_largest
from onnx2snn.compile.draft import Array, Draft, attributes, is_dialect, is_neuron
from onnx2snn.compile.thresholds import RoundingOperator, Thresholds
from onnx2snn.model.nodes import is_own
from onnx2snn.operators import of

_HIGHEST = 127
#: Weights that are looked at together.
_AT_A_TIME = 1 << 16
_EXACT = 2**24
#: Sums of two products in the kernels of processors without VNNI.
_SATURATES = 2**15 - 1
#: Units in the last place by which a multiplier is moved to meet all thresholds.
_ULPS = (0, 1, -1, 2, -2, 3, -3, 4, -4)


def integers(draft: Draft, name: str) -> NDArray[np.int8] | None:
    """The weights ``name`` as 8-bit integers, if they are whole numbers between −127 and 127."""
    values = draft.value(name)
    if values is None or values.dtype != np.float32 or values.size == 0:
        return None
    flat = values.reshape(-1)
    found = np.empty(flat.shape, np.int8)
    for first in range(0, flat.size, _AT_A_TIME):
        part = flat[first : first + _AT_A_TIME]
        if not np.all(np.abs(part) <= _HIGHEST) or np.any(part != np.rint(part)):
            return None
        found[first : first + _AT_A_TIME] = part
    return found.reshape(values.shape)


def operand(weights: NDArray[np.int8], highest: int, *, signed: bool = False) -> tuple[Array, Array]:
    """Weights and zero point of a type whose kernels do not saturate on any processor.

    Kernels of x86 without VNNI add pairs of u8·s8 products in 16 bits; those of u8·u8 do not.

    Args:
        weights: Whole numbers.
        highest: Level of the activations.
    """
    peak = int(np.abs(weights.astype(np.int64)).max())
    if signed or 2 * highest * peak <= _SATURATES:
        return weights, np.zeros((), np.int8)
    return (weights.astype(np.int16) + 128).astype(np.uint8), np.asarray(128, np.uint8)


def _verified(
    neuron: Thresholds, fraction: NDArray[np.float32], levels: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
    """M and a shift by channel, so that round((v − shift)·m) is the level of every v = integer + fraction (C,)."""
    theta = np.broadcast_to(neuron.subtract[-1].reshape(-1), fraction.shape).astype(np.float64)
    first = first_integers(neuron, theta, levels, fraction)
    if first is None or np.abs(first).max() >= _EXACT:
        return None
    multiplier, shift = _line(first, theta, fraction)
    return None if np.any(multiplier == 0) else (multiplier, shift)


def is_whole(draft: Draft, name: str) -> bool:
    """Whether a tensor holds whole numbers: sums of levels, or spikes, times whole-number weights and biases."""
    seen: set[str] = set()
    while name not in seen:  # a damaged network may go round in circles
        seen.add(name)
        node = draft.producer(name)
        if node is None or not (is_neuron(node) or _keeps_whole(draft, node)):
            return False
        if is_neuron(node):
            return True
        name = node.input[0]
    return False


def _keeps_whole(draft: Draft, node: onnx.NodeProto) -> bool:
    """Whether whole numbers stay whole in it."""
    if is_dialect(node, "Integrate"):
        bias = draft.value(node.input[1])
        return bias is not None and bool(np.all(bias == np.rint(bias)))
    if of(node).weights:
        return len(node.input) == 2 and not _scaled(node) and integers(draft, node.input[1]) is not None
    return takes_largest(node)


def _scaled(node: onnx.NodeProto) -> bool:
    return is_own(node, "Gemm") and attributes(node).get("alpha", 1.0) != 1.0


def whole_rounding(neuron: Thresholds, bias: Array, shape: Sequence[int]) -> RoundingOperator | None:
    """The rounding that gives the neuron's level for every potential that is a whole number plus ``bias``.

    Args:
        neuron: Its parameters differ by channel, if at all; else None is returned.
        bias: Likewise.
        shape: Of one sample of its potentials, channels first.
    """
    held = by_channels(neuron, bias, shape)
    found = None if held is None else _verified(neuron, *held)
    if held is None or found is None:
        return None
    column = (-1,) + (1,) * (len(shape) - 1)
    multiplier, shift = found[0].reshape(column), found[1].astype(np.float32).reshape(column)
    return RoundingOperator(
        "Round", np.full(1, held[1], np.float32), multiplier, shift if shift.any() else None
    )


def by_channels(
    neuron: Thresholds, bias: Array, shape: Sequence[int]
) -> tuple[NDArray[np.float32], int] | None:
    """What a bias adds to whole numbers, (C,), and the highest level of a neuron whose channels have the same levels.

    None where parameters differ within a channel, or biases leave the whole numbers that float32 holds.
    """
    held = (neuron.subtract[-1], neuron.compare[-1], neuron.ceiling, bias)
    if not all(is_by_channel(values, shape) for values in held):
        return None
    levels = np.unique(neuron.levels(np.full(shape[0], np.inf, np.float32)))
    given = np.broadcast_to(bias.reshape(-1), shape[0]).astype(np.float32)
    if levels.size != 1 or np.abs(given).max() >= _EXACT:
        return None
    return given - np.floor(given), int(levels[0])


def is_by_channel(values: Array, shape: Sequence[int]) -> bool:
    """Whether ``values`` are one number, or one for each entry of the first axis of ``shape``."""
    return values.size == 1 or (values.ndim == len(shape) and values.shape[0] == shape[0] == values.size)


def _line(
    first: NDArray[np.float64], theta: NDArray[np.float64], fraction: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """M and a whole shift by channel that reach each level at ``first`` (K, C) + fraction, and not before; m = 0: none.

    A rule that rounds to the nearest needs no shift; one that rounds down has its first threshold at θ, not at θ/2.
    """
    multiplier, chosen = np.zeros(len(theta), np.float32), np.zeros(len(theta))
    steps = np.arange(1, len(first) + 1)[:, None]
    near = np.rint(first[0] - theta / 2)
    for shift in (np.zeros_like(near), near, near - 1, near + 1):
        for ulps in _ULPS:
            c = np.flatnonzero(multiplier == 0)
            if not c.size:
                break
            m = (1 / theta[c]).astype(np.float32)
            m = m + np.float32(ulps) * np.spacing(m)
            at, before = (
                _potential(v, fraction[c]) - shift[c].astype(np.float32)
                for v in (first[:, c], first[:, c] - 1)
            )
            # the product may be rounded, or not where what follows is fused with it
            reached = np.minimum(np.rint(at * m), np.rint(at.astype(np.float64) * m)) >= steps
            missed = np.maximum(np.rint(before * m), np.rint(before.astype(np.float64) * m)) < steps
            good = np.all(reached & missed, axis=0)
            multiplier[c[good]], chosen[c[good]] = m[good], shift[c[good]]
    return multiplier, chosen


def _potential(whole: NDArray[np.float64], fraction: NDArray[np.float32]) -> NDArray[np.float32]:
    """The float32 sum."""
    return np.asarray(whole.astype(np.float32) + fraction, np.float32)


def first_integers(
    neuron: Thresholds, theta: NDArray[np.float64], levels: int, fraction: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """(K, C): the smallest integer that, with ``fraction``, is a potential of each level."""
    steps = np.arange(1, levels + 1)[:, None]
    found = np.full((levels, len(theta)), np.nan)
    for guess in (steps * theta - theta / 2, steps * theta, (steps - 1) * theta):
        for offset in (0, -1, 1):
            if not np.isnan(found).any():
                return found
            start = np.ceil(guess - fraction) + offset
            reached = neuron.levels(_potential(start, fraction)) >= steps
            missed = neuron.levels(_potential(start - 1, fraction)) < steps
            found = np.where(reached & missed, start, found)
    return None if np.isnan(found).any() else found
