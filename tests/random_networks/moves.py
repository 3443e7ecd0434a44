"""Operators that only move values, or compare them: what is an activation stays one. None: it does not fit this tensor."""

from __future__ import annotations

import math

import numpy as np

from random_networks.affine import Operator
from random_networks.building import Building, Tensor
from random_networks.versions import cut, identity, over_axes, pad, resize, split


def _moved(b: Building, name: str, x: Tensor) -> Tensor:
    return b.value(name, like=x)


def nothing(b: Building, x: Tensor) -> Tensor | None:
    """Identity, Dropout, a Cast from float to float."""
    return _moved(b, identity(b, x.name), x)


def flattened(b: Building, x: Tensor) -> Tensor | None:
    """Flatten, or the Reshape that does the same."""
    if math.prod(x.shape) > 256:
        return None
    if b.flip():
        return _moved(b, b.op("Flatten", x), x)
    first = 0 if b.flip() else -1 if isinstance(b.batch, str) or b.flip() else b.batch
    return _moved(b, b.op("Reshape", x, b.hold([first, math.prod(x.shape)], np.int64)), x)


def folded(b: Building, x: Tensor) -> Tensor | None:
    """A vector as an image or a sequence."""
    if len(x.shape) != 1 or x.channels % 4:
        return None
    shape = b.pick([(x.channels // 4, 2, 2), (2, x.channels // 2), (x.channels, 1, 1)])
    return _moved(b, b.op("Reshape", x, b.hold([-1, *shape], np.int64)), x)


def turned(b: Building, x: Tensor) -> Tensor | None:
    """Height and width change places."""
    order = {2: [0, 2, 1], 3: [0, 1, 3, 2], 4: [0, 1, 4, 2, 3]}.get(len(x.shape))
    return None if order is None else _moved(b, b.op("Transpose", x, perm=order), x)


def squeezed(b: Building, x: Tensor) -> Tensor | None:
    """An axis comes, and perhaps goes."""
    ones = [i + 1 for i, s in enumerate(x.shape) if s == 1 and i]
    if ones and len(x.shape) > 1:
        return _moved(b, over_axes(b, "Squeeze", x.name, ones[-1:]), x)
    if len(x.shape) > 3:
        return None
    axis = b.number(1, len(x.shape))
    return _moved(b, over_axes(b, "Unsqueeze", x.name, [axis]), x)


def padded(b: Building, x: Tensor) -> Tensor | None:
    """Pad with zeros, with another number, or by copies."""
    if len(x.shape) < 2 or math.prod(x.shape) > 256 or min(x.shape[1:]) < 2:
        return None
    mode = b.pick(["constant", "reflect", "edge"])
    value = b.pick([0.0, 0.0, 0.5]) if mode == "constant" else 0.0
    rank = len(x.shape) + 1
    after = b.pick([1, 0])
    pads = [0, 0, *([1] * (rank - 2)), 0, 0, *([after] * (rank - 2))]
    name = pad(b, x.name, pads, mode, value)
    changed = {"levels": False} if mode == "constant" else {}
    unit, top = (min(x.unit, 0.5), max(x.top, 0.5)) if value else (x.unit, x.top)
    return b.value(name, like=x, unit=unit, top=top, **changed)


def sliced(b: Building, x: Tensor) -> Tensor | None:
    """A part of the channels or of the width, by Slice, Gather or Split."""
    axis = b.number(1, len(x.shape))
    size = x.shape[axis - 1]
    if size < 3:
        return None
    way = b.pick(["Slice", "Gather", "Split", "Slice to the end"])
    if way == "Gather":
        index = [0, size - 1, 1] if b.opset < 11 or b.flip() else [-1, 0]
        return _moved(b, b.op("Gather", x, b.hold(index, np.int64), axis=axis), x)
    if way == "Split":
        return _moved(b, split(b, x.name, [size - 1, 1], axis)[0], x)
    start, end = (1, 2**31 - 1) if way == "Slice to the end" else (0, -1)
    return _moved(b, cut(b, x.name, [start], [end], [axis]), x)


def repeated(b: Building, x: Tensor) -> Tensor | None:
    """Nearest neighbours: Resize, or Expand of an axis of size one."""
    if len(x.shape) == 3 and math.prod(x.shape[1:]) <= 16:
        factors = [1.0, 1.0, 2.0, b.pick([2.0, 1.0, 3.0])]
        return _moved(b, resize(b, x, "nearest", factors, "asymmetric"), x)
    if 1 in x.shape[1:] and len(x.shape) > 1:
        target = [1, *(2 if s == 1 and i else s for i, s in enumerate(x.shape))]
        return _moved(b, b.op("Expand", x, b.hold(target, np.int64)), x)
    return None


def rearranged(b: Building, x: Tensor) -> Tensor | None:
    """Channels into places, or places into channels."""
    if len(x.shape) != 3:
        return None
    if x.channels % 4 == 0 and b.flip():
        extra = {"mode": b.pick(["DCR", "CRD"])} if b.opset >= 11 else {}
        return _moved(b, b.op("DepthToSpace", x, blocksize=2, **extra), x)
    if any(s % 2 for s in x.shape[1:]) or x.channels > 4:
        return None
    return _moved(b, b.op("SpaceToDepth", x, blocksize=2), x)


def shuffled(b: Building, x: Tensor) -> Tensor | None:
    """Channel shuffle: ShuffleNet's Reshape, Transpose, Reshape."""
    if x.channels % 2 or len(x.shape) < 2:
        return None
    sizes = x.shape[1:]
    first = 0 if b.flip() else -1
    apart = b.op("Reshape", x, b.hold([first, 2, x.channels // 2, *sizes], np.int64))
    swapped = b.op("Transpose", apart, perm=[0, 2, 1, *range(3, len(sizes) + 3)])
    return _moved(b, b.op("Reshape", swapped, b.hold([first, x.channels, *sizes], np.int64)), x)


MOVES: tuple[Operator, ...] = (
    nothing,
    turned,
    flattened,
    folded,
    squeezed,
    padded,
    sliced,
    repeated,
    rearranged,
    shuffled,
)


def max_pool(b: Building, x: Tensor) -> Tensor | None:
    """MaxPool (ceil_mode, dilations, pads), GlobalMaxPool, ReduceMax."""
    sizes = x.shape[1:]
    if not sizes:
        return None
    way = b.pick(["MaxPool", "GlobalMaxPool", "ReduceMax"])
    if way == "ReduceMax":
        axes = list(range(2, len(x.shape) + 1))
        return _moved(b, over_axes(b, way, x.name, axes, keepdims=int(b.flip())), x)
    if way == "GlobalMaxPool":
        return _moved(b, b.op(way, x), x)
    if min(sizes) < 3:
        return None
    rank = len(sizes)
    attributes: dict[str, object] = {
        "kernel_shape": [b.pick([2, 3])] * rank,
        "strides": [b.pick([2, 1])] * rank,
    }
    if b.flip():
        attributes["pads"] = [1] * rank * 2
    elif b.opset >= 10 and b.flip():  # with both, onnx and onnxruntime disagree about the last window
        attributes["ceil_mode"] = 1
    if b.opset >= 10 and min(sizes) >= 5 and b.flip():
        attributes["dilations"] = [2] * rank
    return _moved(b, b.op("MaxPool", x, **attributes), x)
