"""Sizes that the network computes from a shape, as exporters write them where axes are dynamic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from drawn_cases.building import FLOAT, Network, floats
from drawn_cases.middles import Middle
from drawn_cases.versions import over_axes, whole

_INT64 = floats("int64")


def _size(b: Network, x: str, axis: int) -> str:
    """One size, as a vector of one entry."""
    number = b.op("Gather", b.op("Shape", x), np.asarray(axis), axis=0)
    return over_axes(b, "Unsqueeze", number, [0])


def _sizes(b: Network, *parts: Any) -> str:
    return str(b.op("Concat", *[p if isinstance(p, str) else whole(p) for p in parts], axis=0))


def _smaller(b: Network, x: str) -> str:
    return str(b.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))


def _resized_to(b: Network, x: str, other: str, mode: str) -> str:
    head = b.op("Slice", b.op("Shape", x), whole(0), whole(2), whole(0))
    tail = b.op("Slice", b.op("Shape", other), whole(2), whole(4), whole(0))
    empty = None if b.opset >= 13 else b.hold([])
    more = (
        {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"} if mode == "nearest" else {}
    )
    return str(b.op("Resize", x, empty, empty, b.op("Concat", head, tail, axis=0), mode=mode, **more))


def _to_skip(mode: str) -> Any:
    """Down by a pool, up again to the size of what was there."""
    return lambda b, x: str(b.op("Add", _resized_to(b, _smaller(b, x), x, mode), x))


def _to_input(b: Network, x: str) -> str:
    """Up to the size of the network's input."""
    return _resized_to(b, _smaller(b, x), b.places, "linear")


def _doubled(b: Network, x: str) -> str:
    """floor(2·H), floor(2·W), as torch writes interpolation by a factor."""
    sizes = b.op("Slice", b.op("Shape", x), whole(2), whole(4), whole(0))
    scaled = b.op("Floor", b.op("Mul", b.op("Cast", sizes, to=FLOAT), b.hold(np.float32(2), np.float32)))
    given = b.op("Cast", scaled, to=_INT64)
    head = b.op("Slice", b.op("Shape", x), whole(0), whole(2), whole(0))
    empty = None if b.opset >= 13 else b.hold([])
    return str(b.op("Resize", x, empty, empty, b.op("Concat", head, given, axis=0), mode="nearest",
                    nearest_mode="floor", coordinate_transformation_mode="asymmetric"))  # fmt: skip


def _viewed(b: Network, x: str) -> str:
    """x.view(x.size(0), 4, -1): tokens."""
    return str(b.op("Reshape", x, _sizes(b, _size(b, x, 0), 4, -1)))


def _tokens_and_back(b: Network, x: str) -> str:
    """To tokens [N, H·W, C], through a dense layer, and back, all sizes by Shape."""
    batch, height, width = (_size(b, x, a) for a in (0, 2, 3))
    area = b.op("Mul", height, width)
    tokens = b.op("Transpose", b.op("Reshape", x, _sizes(b, batch, 4, area)), perm=[0, 2, 1])
    mixed = b.op("Transpose", b.op("MatMul", tokens, b.weights((4, 4), 4)), perm=[0, 2, 1])
    return str(b.op("Reshape", mixed, _sizes(b, batch, 4, height, width)))


def _shuffled(b: Network, x: str) -> str:
    batch, channels, height, width = (_size(b, x, a) for a in range(4))
    group = b.op("Div", channels, whole(2))
    apart = b.op("Reshape", x, _sizes(b, batch, 2, group, height, width))
    swapped = b.op("Transpose", apart, perm=[0, 2, 1, 3, 4])
    return str(b.op("Reshape", swapped, _sizes(b, batch, -1, height, width)))


def _expanded(b: Network, x: str) -> str:
    """The global mean, everywhere again."""
    return str(b.op("Expand", b.op("GlobalAveragePool", x), b.op("Shape", x)))


def _expanded_pattern(b: Network, x: str) -> str:
    """A constant by channel, of the size of the signal, added."""
    return str(b.op("Add", x, b.op("Expand", b.bias((1, 4, 1, 1)), b.op("Shape", x))))


def _tiled(b: Network, x: str) -> str:
    column = over_axes(b, "ReduceMean", x, [3], keepdims=1)
    return str(b.op("Tile", column, _sizes(b, 1, 1, 1, _size(b, x, 3))))


def _cropped(b: Network, x: str) -> str:
    """A padded convolution cropped to the size of its input, and added."""
    y = b.op("Conv", x, b.weights((4, 4, 3, 3), 36), pads=[2, 2, 2, 2])
    ends = b.op("Slice", b.op("Shape", x), whole(2), whole(4), whole(0))
    return str(b.op("Add", b.op("Slice", y, whole(0, 0), ends, whole(2, 3)), x))


def _half(b: Network, x: str) -> str:
    """The left half, its width computed."""
    end = b.op("Div", _size(b, x, 3), whole(2))
    return str(b.op("Slice", x, whole(0), end, whole(3)))


def _evened(b: Network, x: str) -> str:
    """Padded until the sizes are multiples of three."""
    sizes = b.op("Slice", b.op("Shape", x), whole(2), whole(4), whole(0))
    missing = b.op("Mod", b.op("Sub", whole(0), sizes), whole(3))
    return str(b.op("Pad", x, b.op("Concat", whole(0, 0, 0, 0, 0, 0), missing, axis=0)))


def _windows(b: Network, x: str) -> str:
    """Windows of 2 × 2 places, each a token."""
    batch, height, width = (_size(b, x, a) for a in (0, 2, 3))
    high, wide = (b.op("Div", s, whole(2)) for s in (height, width))
    parts = b.op("Reshape", x, _sizes(b, batch, 4, high, 2, wide, 2))
    turned = b.op("Transpose", parts, perm=[0, 1, 3, 5, 2, 4])
    return str(b.op("Reshape", turned, _sizes(b, batch, 16, high, wide)))


def _mean_by_size(b: Network, x: str) -> str:
    """A sum, divided by a number of places that is computed."""
    area = b.op("Mul", _size(b, x, 2), _size(b, x, 3))
    total = over_axes(b, "ReduceSum", x, [2, 3], keepdims=1)
    return str(b.op("Div", total, b.op("Cast", area, to=floats(b.real))))


def _zeros_beside(b: Network, x: str) -> str:
    zeros = b.op("ConstantOfShape", b.op("Shape", x))
    zeros = zeros if b.real == np.float32 else b.op("Cast", zeros, to=floats(b.real))
    return str(b.op("Concat", x, zeros, axis=1))


def _positions(b: Network, x: str) -> str:
    """A ramp along the width, made by Range."""
    width = b.op("Gather", b.op("Shape", x), np.asarray(3), axis=0)
    ramp = b.op("Range", np.asarray(0), width, np.asarray(1))
    ramp = b.op("Mul", b.op("Cast", ramp, to=floats(b.real)), 0.125)
    return str(b.op("Add", x, ramp))


def _batched_reshape(b: Network, x: str) -> str:
    """The batch by Shape, what is left by -1, then a dense layer."""
    pooled = b.op("GlobalAveragePool", x)
    return str(b.op("Reshape", pooled, _sizes(b, _size(b, x, 0), -1)))


_SPELLED = {
    "Resize to a skip": _to_skip("nearest"),
    "Resize linear to a skip": _to_skip("linear"),
    "Resize to the input": _to_input,
    "Resize floor 2H": _doubled,
    "view": _viewed,
    "tokens and back": _tokens_and_back,
    "shuffle by Shape": _shuffled,
    "Expand by Shape": _expanded,
    "Expand a constant by Shape": _expanded_pattern,
    "Tile by Shape": _tiled,
    "crop to the input": _cropped,
    "half by Shape": _half,
    "Pad by Shape": _evened,
    "windows": _windows,
    "mean by size": _mean_by_size,
    "ConstantOfShape": _zeros_beside,
    "Range": _positions,
    "flatten by Shape": _batched_reshape,
}
SIZES: Mapping[str, Middle] = {n: Middle(s, since=11) for n, s in _SPELLED.items()}
