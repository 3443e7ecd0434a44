"""8-bit kernels of two tensors, and of a sum over places, that pass the thresholds of the neurons behind them.

    a = clip(round(A·(x − zx) + B·(y − zy)) + z, 0, 255)           QLinearAdd
    a = clip(round(A·(x − zx)·(y − zy)) + z, 0, 255)               QLinearMul
    a = clip(round(A·(Σ x − n·zx)) + z, 0, 255)                    QLinearGlobalAveragePool

The potential is affine in each byte, thresholds lie on a grid. So there are such factors and zeros, those of the quantisers from
which the network came; what the kernel itself answers to every byte is compared with what the neurons answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx2snn.compile.byte_functions import CODES, MICROSOFT, Function, bytes_of_sums
from onnx2snn.compile.byte_lines import are_short, grid_of
from onnx2snn.compile.one_node import kernel
from onnx2snn.operators.signals import UNIT

Array = NDArray[np.float64]

_ROUNDINGS = 6
_AVERAGE = "QLinearGlobalAveragePool"
#: Zeros, and places of a sum, that are tried.
_TRIES = 8
#: How near to a whole number a zero point is, in levels.
_NEAR = 1e-3


@dataclass(frozen=True)
class ByteKernel:
    """An operator of onnxruntime, and its operands behind the bytes.

    Attributes:
        operator: Its name.
        factors: Of each tensor of bytes.
        zeros: Of each tensor of bytes.
        zero: Of the result.
        shift: Byte 1 + shift is the first that has reached a threshold.
        reached: By neuron, the byte from which on each of its thresholds is reached.
        exact: Whether it is the neurons for every byte.
    """

    operator: str
    factors: tuple[np.float32, ...]
    zeros: tuple[int, ...]
    zero: int
    shift: int
    reached: tuple[NDArray[np.int64], ...] = ()
    exact: bool = False


def kernel_of(function: Function, own: np.float32, thresholds: Sequence[Array]) -> ByteKernel | None:
    """The kernel behind which bytes say which thresholds ``function`` + ``own`` has reached.

    Args:
        function: The potential, of two bytes or of a sum.
        own: The bias of the neurons.
        thresholds: By neuron, finite and rising.
    """
    grid = grid_of(thresholds)
    if grid is None or any(t.ndim != 1 for t in thresholds):
        return None
    first, step, places = float(grid[0][0]), float(grid[1][0]), grid[2]
    top = max(int(n[-1]) for n in places)
    if top >= CODES - 1:
        return None
    inside = _inside(function)
    v: Array = (function.values[inside] + own).astype(np.float64)  # float32's sum
    scaled = (v - first) / step + 0.5  # thresholds lie at n + ½ of it
    tolerance = _ROUNDINGS * UNIT * (np.abs(v).max() + abs(float(own))) / step
    if are_short(v.reshape(1, -1), np.full((1, 1), float(own)), np.concatenate(thresholds)[None])[0]:
        tolerance = 0.0
    wanted = [np.searchsorted(t, v, side="right") for t in thresholds]
    best: tuple[int, ByteKernel] | None = None
    for one in _fits(function, scaled, top):
        reached = tuple(n + 1 + one.shift for n in places)
        found = _answered(one, function)[inside]
        off = np.zeros(found.shape, np.bool_)
        for there, levels in zip(reached, wanted, strict=True):
            off |= np.searchsorted(there, found, side="right") != levels
        near = (
            np.abs(scaled - np.rint(scaled - 0.5) - 0.5) <= tolerance
            if tolerance
            else np.zeros(found.shape, np.bool_)
        )
        wrong = int(off.sum())
        if np.any(off & ~near):
            continue
        if best is None or wrong < best[0]:
            best = wrong, replace(one, reached=reached, exact=wrong == 0)
        if not wrong:
            break
    return None if best is None else best[1]


def _fits(function: Function, scaled: Array, top: int) -> Iterator[ByteKernel]:
    """Kernels that round ``scaled`` + z."""
    if function.summed:
        yield from _sums(function, scaled, top)
        return
    (corner, by_first, by_second, both), off = _bilinear(function, scaled)
    if off > _NEAR:
        return
    if abs(both) * CODES * CODES > _NEAR:
        yield from _products(corner, by_first, by_second, both, top)
    else:
        yield from _additions(corner, by_first, by_second, top)


def _bilinear(function: Function, scaled: Array) -> tuple[tuple[float, float, float, float], float]:
    """(c, c_a, c_b, c_ab) of c + c_a·a + c_b·b + c_ab·a·b, and how far ``scaled`` is from it."""
    first, second = (np.arange(float(base.low), base.top + 1.0) for base in function.bases)
    (a, width), (b, height) = ((codes[0], codes[-1] - codes[0]) for codes in (first, second))
    both = (scaled[-1, -1] - scaled[-1, 0] - scaled[0, -1] + scaled[0, 0]) / (width * height)
    by_first = (scaled[-1, 0] - scaled[0, 0]) / width - both * b
    by_second = (scaled[0, -1] - scaled[0, 0]) / height - both * a
    corner = scaled[0, 0] - by_first * a - by_second * b - both * a * b
    there = corner + by_first * first[:, None] + by_second * second + both * first[:, None] * second
    return (corner, by_first, by_second, both), float(np.abs(there - scaled).max())


def missing_zeros(function: Function) -> tuple[int, ...]:
    """By how much the bytes of both factors have to grow so that each has a byte of zero; none where they are none."""
    (_, by_first, by_second, both), _ = _bilinear(
        function, function.values[_inside(function)].astype(np.float64)
    )
    if both == 0:
        return (0, 0)
    return tuple(max(0, int(np.rint(along / both))) for along in (by_second, by_first))


def _inside(function: Function) -> tuple[slice, ...]:
    """Where its values are those of bytes, or of sums, that there are."""
    if function.summed:
        return (slice(0, function.bases[0].top * function.summed + 1),)
    return tuple(slice(base.low, base.top + 1) for base in function.bases)


def _products(
    corner: float, by_first: float, by_second: float, both: float, top: int
) -> Iterator[ByteKernel]:
    zeros = (-by_second / both, -by_first / both)
    whole = tuple(int(np.rint(z)) for z in zeros)
    rest = corner - both * whole[0] * whole[1]
    if (
        any(abs(z - w) > _NEAR or not 0 <= w < CODES for z, w in zip(zeros, whole, strict=True))
        or abs(rest - np.rint(rest)) > _NEAR
    ):
        return
    for factor in _near(both):
        yield from _with_zero("QLinearMul", (factor, np.float32(1)), whole, rest, top)


def _additions(corner: float, by_first: float, by_second: float, top: int) -> Iterator[ByteKernel]:
    codes = np.arange(float(CODES))
    rest = corner + by_first * codes[:, None] + by_second * codes
    off = np.abs(rest - np.rint(rest))
    off = np.where((rest > -0.5) & (rest < CODES - 0.5), off, np.inf)
    for place in np.argsort(off, axis=None, kind="stable")[:_TRIES]:
        first, second = (int(z) for z in np.unravel_index(place, off.shape))
        if off[first, second] > _NEAR:
            return
        yield from _with_zero(
            "QLinearAdd",
            (np.float32(by_first), np.float32(by_second)),
            (first, second),
            rest[first, second],
            top,
        )


def _sums(function: Function, scaled: Array, top: int) -> Iterator[ByteKernel]:
    slope = (scaled[-1] - scaled[0]) / (len(scaled) - 1)
    if np.abs(scaled[0] + slope * np.arange(float(len(scaled))) - scaled).max() > _NEAR:
        return
    rest = scaled[0] + slope * function.summed * np.arange(float(CODES))
    off = np.abs(rest - np.rint(rest))
    off = np.where((rest > -0.5) & (rest < CODES - 0.5), off, np.inf)
    for zero in np.argsort(off, kind="stable")[:_TRIES]:
        if off[zero] > _NEAR:
            return
        for factor in _near(slope * function.summed):
            yield from _with_zero(_AVERAGE, (factor,), (int(zero),), rest[zero], top)


def _with_zero(
    operator: str, factors: tuple[np.float32, ...], zeros: tuple[int, ...], rest: float, top: int
) -> Iterator[ByteKernel]:
    zero = max(0, int(np.rint(rest)))
    shift = zero - int(np.rint(rest))
    if zero < CODES and top + 1 + shift < CODES:
        yield ByteKernel(operator, factors, zeros, zero, shift)


def _near(factor: float) -> list[np.float32]:
    """A factor of float32, and its neighbours."""
    first = np.float32(factor)
    above, below = np.nextafter(first, np.float32(np.inf)), np.nextafter(first, np.float32(-np.inf))
    return [first, above, below]


def node_of(one: ByteKernel, read: Sequence[str], written: str, hold: Any, *, last: bool) -> onnx.NodeProto:
    """The node.

    Args:
        one: What it computes.
        read: Tensors of bytes.
        written: Its output.
        hold: Makes a constant of values and a type; its name.
        last: Channels lie last.
    """
    inputs: list[str] = []
    for name, factor, zero in zip(read, one.factors, one.zeros, strict=True):
        inputs += [name, hold(factor, np.float32), hold(zero, np.uint8)]
    inputs += [hold(1, np.float32), hold(one.zero, np.uint8)]
    held: dict[str, Any] = {"channels_last": int(last)} if one.operator == _AVERAGE else {}
    return helper.make_node(one.operator, inputs, [written], domain=MICROSOFT, **held)


def _answered(one: ByteKernel, function: Function) -> Array:
    """What the kernel answers to every byte, or every pair, or to places that hold each sum in turn."""
    feeds: dict[str, Any] = {}

    def hold(value: Any, kind: Any) -> str:
        name = f"c{len(feeds)}"
        feeds[name] = np.asarray(value, kind)
        return name

    node = node_of(one, ["a", "b"][: len(function.bases)], "y", hold, last=False)
    if function.summed:
        feeds["a"] = bytes_of_sums(function.bases[0].top, function.summed)[:, None, None, :]
    else:
        codes = np.arange(CODES, dtype=np.uint8)
        feeds |= {"a": codes[:, None].copy(), "b": codes[None, :].copy()}
    session = kernel(node, {name: value.dtype for name, value in feeds.items()}, TensorProto.UINT8)
    answer = np.asarray(session.run(None, feeds)[0])
    return answer.reshape(-1) if function.summed else answer
