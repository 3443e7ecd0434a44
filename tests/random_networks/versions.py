"""Operators whose spelling changed from opset to opset: attributes that became inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from random_networks.building import Building, Tensor

#: By operator, the opset from which its axes are an input.
_AXES_AS_INPUT = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18}


def over_axes(b: Building, op: str, x: str, axes: Sequence[int], **attributes: int) -> str:
    """Squeeze, Unsqueeze or a reduction over ``axes``."""
    if b.opset >= _AXES_AS_INPUT[op]:
        return b.op(op, x, b.hold(axes, np.int64), **attributes)
    return b.op(op, x, axes=list(axes), **attributes)


def clip(b: Building, x: str, low: float | None, high: float | None) -> str:
    """Clip; a bound may be left out."""
    if b.opset >= 11:
        return b.op("Clip", x, *(None if v is None else np.float32(v) for v in (low, high)))
    bounds = {k: float(v) for k, v in (("min", low), ("max", high)) if v is not None}
    return b.op("Clip", x, **bounds)


def cut(b: Building, x: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> str:
    """Slice."""
    if b.opset >= 10:
        return b.op("Slice", x, *(b.hold(v, np.int64) for v in (starts, ends, axes)))
    return b.op("Slice", x, starts=list(starts), ends=list(ends), axes=list(axes))


def split(b: Building, x: str, sizes: Sequence[int], axis: int) -> list[str]:
    """Split into parts of the given sizes."""
    if b.opset >= 13:
        return list(b.op("Split", x, b.hold(sizes, np.int64), outputs=len(sizes), axis=axis))
    return list(b.op("Split", x, outputs=len(sizes), axis=axis, split=list(sizes)))


def pad(b: Building, x: str, pads: Sequence[int], mode: str, value: float) -> str:
    """Pad, over all axes."""
    if b.opset >= 11:
        given = np.float32(value) if value else None
        return b.op("Pad", x, b.hold(pads, np.int64), given, mode=mode)
    return b.op("Pad", x, pads=list(pads), mode=mode, value=float(value))


def resize(b: Building, x: Tensor, mode: str, factors: Sequence[float], coordinates: str) -> str:
    """Resize by factors; ``coordinates`` is known from opset 11 on."""
    scales = b.hold(factors)
    if b.opset < 10:
        return b.op("Upsample", x, scales, mode=mode)
    if b.opset == 10:
        return b.op("Resize", x, scales, mode=mode)
    extra = {"nearest_mode": "floor"} if mode == "nearest" else {}
    return b.op(
        "Resize",
        x,
        None if b.opset > 12 else b.hold([]),
        scales,
        mode=mode,
        coordinate_transformation_mode=coordinates,
        **extra,
    )


def identity(b: Building, x: str) -> str:
    """Something that does nothing at inference."""
    op = b.pick(["Identity", "Dropout", "Cast"])
    if op == "Dropout" and b.opset < 12:
        return b.op(op, x, ratio=0.5)
    return b.op(op, x, to=1) if op == "Cast" else b.op(op, x)
