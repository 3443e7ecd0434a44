"""Layers of synapses: operators with weights, on tensors of any rank."""

from __future__ import annotations

import math

import numpy as np

from random_networks.building import Building, Tensor, unit_of


def weighted(b: Building, x: Tensor, channels: int | None = None) -> Tensor:
    """Any weighted operator that fits ``x``; one that keeps it exact always exists for an activation's values."""
    channels = b.pick([4, 3, 8, 2, 6]) if channels is None else channels
    ways = {
        1: [gemm, matmul],
        2: [conv, matmul, mixed_tokens],
        3: [conv, conv_transpose, channels_last],
        4: [conv],
    }[len(x.shape)]
    return b.pick(ways)(b, x, channels)


def summed(
    b: Building, x: Tensor, name: str, weights: np.ndarray, axes: tuple[int, ...], bias: np.ndarray | None
) -> Tensor:
    """The books of a weighted sum: ``axes`` of the weights are summed over."""
    reach = float(np.abs(weights.astype(np.float64)).sum(axis=axes).max()) if weights.size else 0.0
    unit, top = x.unit * unit_of(weights), x.top * reach
    if bias is not None:
        unit, top = min(unit, unit_of(bias)), top + float(np.abs(bias).max())
    return b.value(name, like=x, unit=unit, top=max(top, unit), levels=False, finite=False)


def gemm(b: Building, x: Tensor, channels: int) -> Tensor:
    """y = x·W + b."""
    weights = b.weights((x.channels, channels), (0,), x)
    bias = b.bias((channels,)) if b.opset < 11 or b.flip() else None
    turned = b.flip()
    name = b.op("Gemm", x, weights.T if turned else weights, bias, transB=int(turned))
    return summed(b, x, name, weights, (0,), bias)


def matmul(b: Building, x: Tensor, channels: int) -> Tensor:
    """x·W over the last axis, and a bias."""
    weights = b.weights((x.shape[-1], channels), (0,), x)
    bias = b.bias((channels,)) if b.flip() else None
    name = b.op("MatMul", x, weights)
    if bias is not None:
        name = b.op("Add", name, bias) if b.flip() else b.op("Add", bias, name)
    return summed(b, x, name, weights, (0,), bias)


def mixed_tokens(b: Building, x: Tensor, channels: int) -> Tensor:
    """W·x: tokens are mixed, as in an MLP-Mixer."""
    weights = b.weights((channels, x.shape[0]), (1,), x)
    if b.flip():
        return summed(b, x, b.op("MatMul", weights, x), weights, (1,), None)
    turned = b.op("MatMul", b.op("Transpose", x, perm=[0, 2, 1]), np.ascontiguousarray(weights.T))
    return summed(b, x, b.op("Transpose", turned, perm=[0, 2, 1]), weights, (1,), None)


def _window(b: Building, x: Tensor, kernel: list[int]) -> dict[str, object]:
    """Padding, stride and dilation of a convolution."""
    sizes, rank = x.shape[1:], len(kernel)
    attributes: dict[str, object] = {"kernel_shape": kernel}
    way = b.pick(["pads", "SAME_UPPER", "SAME_LOWER", "VALID", "uneven"])
    if way == "VALID" and any(k > s for k, s in zip(kernel, sizes, strict=True)):
        way = "pads"
    if way in ("pads", "uneven"):
        dilation = 2 if max(kernel) > 1 and min(sizes) >= 4 and b.flip() and b.flip() else 1
        half = [dilation * (k - 1) // 2 for k in kernel]
        attributes["pads"] = half * 2 if way == "pads" else [*half, *(h + 1 for h in half)]
        attributes["dilations"] = [dilation] * rank
    else:
        attributes["auto_pad"] = way
    attributes["strides"] = [2] * rank if min(sizes) >= 4 and b.flip() else [1] * rank
    return attributes


def conv(b: Building, x: Tensor, channels: int) -> Tensor:
    """A convolution over whatever axes there are: full, grouped, depthwise or 1×1."""
    groups = b.pick([1, x.channels, *(g for g in (2,) if x.channels % g == channels % g == 0)])
    channels = x.channels * b.pick([1, 2]) if groups == x.channels else channels
    kernel = [b.pick([3, 1, 2]) if s > 1 else 1 for s in x.shape[1:]]
    per_group = x.channels // groups
    weights = b.weights((channels, per_group, *kernel), tuple(range(1, len(kernel) + 2)), x)
    bias = b.bias((channels,)) if b.flip() else None
    name = b.op("Conv", x, weights, bias, group=groups, **_window(b, x, kernel))
    return summed(b, x, name, weights, tuple(range(1, weights.ndim)), bias)


def conv_same(b: Building, x: Tensor, channels: int, weights: str | None = None) -> Tensor:
    """A 3-wide convolution that keeps all sizes; ``weights`` names a constant that another one has too."""
    kernel = [3 if s > 1 else 1 for s in x.shape[1:]]
    half = [k // 2 for k in kernel] * 2
    shape = (channels, x.channels, *kernel)
    values = b.weights(shape, tuple(range(1, len(shape))), x) if weights is None else b.constants[weights]
    held = b.hold(values) if weights is None else weights
    bias = b.bias((channels,)) if b.flip() else None
    name = b.op("Conv", x, held, bias, pads=half)
    return summed(b, x, name, values, tuple(range(1, values.ndim)), bias)


def conv_transpose(b: Building, x: Tensor, channels: int) -> Tensor:
    """A transposed convolution, twice as large; grouped or not."""
    if math.prod(x.shape[1:]) > 64:
        return conv(b, x, channels)
    groups = b.pick([1, *(g for g in (2,) if x.channels % g == channels % g == 0)])
    kernel = b.pick([2, 3])
    weights = b.weights((x.channels, channels // groups, kernel, kernel), (0, 2, 3), x)
    bias = b.bias((channels,)) if b.flip() else None
    extra = {"output_padding": [1, 1], "pads": [1, 1, 1, 1]} if kernel == 3 else {}
    name = b.op("ConvTranspose", x, weights, bias, strides=[2, 2], group=groups, **extra)
    return summed(b, x, name, weights, (0, 2, 3), bias)


def channels_last(b: Building, x: Tensor, channels: int) -> Tensor:
    """A dense layer on the channels of an image, turned to NHWC and back."""
    turned = b.op("Transpose", x, perm=[0, 2, 3, 1])
    weights = b.weights((x.channels, channels), (0,), x)
    result = b.op("Transpose", b.op("MatMul", turned, weights), perm=[0, 3, 1, 2])
    return summed(b, x, result, weights, (0,), None)
