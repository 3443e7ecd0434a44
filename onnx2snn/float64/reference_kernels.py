"""Operators whose NumPy reference is too slow for whole networks, on float64 windows and BLAS."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx.reference.op_run import OpRun

from onnx2snn.float64.indexing import (
    LRN,
    BatchNormalization,
    GatherElements,
    LogSoftmax,
    LpNormalization,
    Softmax,
)
from onnx2snn.float64.matrix_products import Gemm, MatMul
from onnx2snn.float64.padding import Pad, padded
from onnx2snn.float64.resizing import Resize
from onnx2snn.operators.pool_windows import windows_of

Array = NDArray[Any]
#: One for each axis, or none given.
Sizes: TypeAlias = "Sequence[int] | None"

#: Numbers that the windows of a convolution may hold at a time, save those of one row.
WINDOW_LIMIT = 1 << 23


def padding(
    auto_pad: str,
    sizes: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
    pads: Sizes,
) -> list[tuple[int, int]]:
    """Cells before and after each spatial axis."""
    rank = len(sizes)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        found = []
        for size, extent, stride in zip(sizes, extents, strides, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + extent - size, 0)
            small, large = total // 2, total - total // 2
            found.append((small, large) if auto_pad == "SAME_UPPER" else (large, small))
        return found
    if auto_pad == "VALID" or pads is None:
        return [(0, 0)] * rank
    return [(int(pads[i]), int(pads[i + rank])) for i in range(rank)]


def windows(
    x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], fill: float,
    pads: Sequence[tuple[int, int]],
) -> Array:  # fmt: skip
    """(N, C, out..., kernel...): a view of ``x`` (N, C, in...), padded with ``fill``."""
    whole = padded(x, np.array([(0, 0), (0, 0), *pads]), "constant", fill) if np.any(pads) else x
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    axes = tuple(range(2, x.ndim))
    view = sliding_window_view(whole, extents, axis=axes)
    every = (slice(None), slice(None), *(slice(None, None, s) for s in strides))
    at = (*every, *(slice(None, None, d) for d in dilations))
    return view[at]


def convolved(
    x: Array,
    w: Array,
    strides: Sequence[int],
    dilations: Sequence[int],
    group: int,
    pads: Sequence[tuple[int, int]],
) -> Array:
    """The sums of a convolution, without bias: (N, M, out...)."""
    samples, rank = len(x), x.ndim - 2
    view = windows(x, w.shape[2:], strides, dilations, 0.0, pads)
    places = view.shape[2 : 2 + rank]
    inner, outer = w.shape[1] * math.prod(w.shape[2:]), w.shape[0] // group
    weights = w.reshape(group, outer, inner)
    result = np.empty((group, outer, samples, *places), x.dtype)
    row = group * inner * math.prod(places[1:])
    rows = max(1, min(places[0], WINDOW_LIMIT // max(1, row)))
    step = max(1, WINDOW_LIMIT // max(1, row * places[0]))
    order = (1, *range(2 + rank, 2 + 2 * rank), 0, *range(2, 2 + rank))
    for first, top in itertools.product(range(0, samples, step), range(0, places[0], rows)):
        part = view[first : first + step, :, top : top + rows]
        sums = weights @ part.transpose(order).reshape(group, inner, -1)
        shape = (group, outer, len(part), part.shape[2], *places[1:])
        result[:, :, first : first + step, top : top + rows] = sums.reshape(shape)
    return np.moveaxis(result.reshape(w.shape[0], samples, *places), 0, 1)


def _with_bias(y: Array, bias: Array | None) -> Array:
    if bias is not None:
        y += bias.reshape(-1, *(1,) * (y.ndim - 2))
    return y


class Conv(OpRun):
    """Convolution of any rank, groups, strides and dilations."""

    op_domain = ""

    def _run(
        self, X: Array, W: Array, B: Array | None = None, auto_pad: str | None = None, dilations: Sizes = None,
        group: int | None = None, kernel_shape: Sequence[int] = (), pads: Sizes = None, strides: Sizes = None,
    ) -> tuple[Array]:  # fmt: skip
        rank = X.ndim - 2
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        extents = [(k - 1) * d + 1 for k, d in zip(W.shape[2:], dilations, strict=True)]
        cells = padding(auto_pad or "NOTSET", X.shape[2:], extents, strides, pads)
        return (_with_bias(convolved(X, W, strides, dilations, group or 1, cells), B),)


class ConvTranspose(OpRun):
    """A convolution of the input spread out by its strides, with the kernel turned round."""

    op_domain = ""

    def _run(
        self, X: Array, W: Array, B: Array | None = None, auto_pad: str | None = None, dilations: Sizes = None,
        group: int | None = None, kernel_shape: Sequence[int] = (), output_padding: Sizes = None, output_shape: Sizes = None,
        pads: Sizes = None, strides: Sizes = None,
    ) -> tuple[Array]:  # fmt: skip
        rank, group = X.ndim - 2, group or 1
        strides, dilations = list(strides or [1] * rank), list(dilations or [1] * rank)
        extra = list(output_padding or [0] * rank)
        extents = [(k - 1) * d + 1 for k, d in zip(W.shape[2:], dilations, strict=True)]
        full = [(n - 1) * s + e for n, s, e in zip(X.shape[2:], strides, extents, strict=True)]
        cells = _cut(auto_pad or "NOTSET", X.shape[2:], full, extra, output_shape, strides, pads)
        spread = np.zeros(
            (*X.shape[:2], *((n - 1) * s + 1 for n, s in zip(X.shape[2:], strides, strict=True))), X.dtype
        )
        at = (slice(None), slice(None), *(slice(None, None, s) for s in strides))
        spread[at] = X
        turned = np.flip(W, tuple(range(2, W.ndim))).reshape(group, -1, *W.shape[1:]).swapaxes(1, 2)
        around = [(e - 1 - a, e - 1 - b + o) for e, (a, b), o in zip(extents, cells, extra, strict=True)]
        outside = [(max(a, 0), max(b, 0)) for a, b in around]
        y = convolved(
            spread,
            turned.reshape(-1, W.shape[0] // group, *W.shape[2:]),
            [1] * rank,
            dilations,
            group,
            outside,
        )
        kept = (slice(max(-a, 0), y.shape[2 + i] - max(-b, 0)) for i, (a, b) in enumerate(around))
        inside = (slice(None), slice(None), *kept)
        return (_with_bias(y[inside], B),)


def _cut(
    auto_pad: str, sizes: Sequence[int], full: Sequence[int], extra: Sequence[int], output_shape: Sizes,
    strides: Sequence[int], pads: Sizes,
) -> list[tuple[int, int]]:  # fmt: skip
    """Cells that a transposed convolution leaves out before and after each axis."""
    rank = len(sizes)
    if output_shape is None and auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        return padding(auto_pad, sizes, full, strides, pads)
    wanted = (
        list(output_shape)[-rank:]
        if output_shape is not None
        else [n * s for n, s in zip(sizes, strides, strict=True)]
    )
    found = []
    for whole, more, size in zip(full, extra, wanted, strict=True):
        total = whole + more - size
        half = total // 2
        found.append((half, total - half) if auto_pad == "SAME_UPPER" else (total - half, half))
    return found


def _pooled(
    X: Array, kernel: Sequence[int], auto_pad: Any, ceil_mode: Any, dilations: Any, pads: Sizes, strides: Any,
    fill: float,
) -> tuple[Array, list[tuple[int, int]]]:  # fmt: skip
    """Windows of a pooling, and the padding that ``fill`` stands for (ceil mode included)."""
    rank = X.ndim - 2
    strides, dilations, pads = strides or [1] * rank, dilations or [1] * rank, pads or [0] * 2 * rank
    placed = [
        windows_of(
            auto_pad or "NOTSET",
            size,
            kernel[i],
            dilations[i],
            strides[i],
            pads=(pads[i], pads[i + rank]),
            ceil=bool(ceil_mode),
        )
        for i, size in enumerate(X.shape[2:])
    ]
    cells = [(axis.before, axis.after) for axis in placed]
    wide = [(axis.before, axis.needed) for axis in placed]
    return windows(X, kernel, strides, dilations, fill, wide), cells


class AveragePool(OpRun):
    """Means of windows."""

    op_domain = ""

    def _run(
        self, x: Array, auto_pad: str | None = None, ceil_mode: int | None = None, count_include_pad: int | None = None,
        dilations: Sizes = None, kernel_shape: Sequence[int] = (), pads: Sizes = None, strides: Sizes = None,
    ) -> tuple[Array]:  # fmt: skip
        rest = (auto_pad, ceil_mode, dilations, pads, strides)
        axes = tuple(range(x.ndim, 2 * x.ndim - 2))
        view, cells = _pooled(x, kernel_shape, *rest, 0.0)
        counted = np.ones((1, 1, *x.shape[2:]))
        if count_include_pad:
            counted = padded(counted, np.array([(0, 0), (0, 0), *cells]), "constant", 1.0)
            rest = ("NOTSET", ceil_mode, dilations, None, strides)
        inside = _pooled(counted, kernel_shape, *rest, 0.0)[0].sum(axis=axes)
        at = (slice(None), slice(None), *(slice(n) for n in view.shape[2 : x.ndim]))
        return ((view.sum(axis=axes) / inside[at]).astype(x.dtype),)


class MaxPool(OpRun):
    """Maxima of windows."""

    op_domain = ""

    def _run(
        self, x: Array, auto_pad: str | None = None, ceil_mode: int | None = None, dilations: Sizes = None,
        kernel_shape: Sequence[int] = (), pads: Sizes = None, storage_order: int | None = None, strides: Sizes = None,
    ) -> tuple[Array]:  # fmt: skip
        view, _ = _pooled(x, kernel_shape, auto_pad, ceil_mode, dilations, pads, strides, -np.inf)
        return (view.max(axis=tuple(range(x.ndim, 2 * x.ndim - 2))),)


class GlobalMaxPool(OpRun):
    """Maxima over all axes behind the channels, of any number; the reference takes the last two."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


#: The reference evaluator's own fail, or answer otherwise than ONNX says.
CORRECTED = (
    BatchNormalization,
    ConvTranspose,
    GatherElements,
    GlobalMaxPool,
    LRN,
    LogSoftmax,
    LpNormalization,
    Pad,
    Softmax,
)
FAST = (Conv, AveragePool, MaxPool, Resize, MatMul, Gemm, *CORRECTED)
