"""Operators whose spelling changed from opset to opset: attributes that became inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drawn_cases.building import Network

#: By operator, the opset from which its axes are an input.
_AXES_AS_INPUT = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13}


def whole(*numbers: int) -> np.ndarray:
    """A constant of int64."""
    return np.asarray(numbers, np.int64)


def over_axes(b: Network, op: str, x: str, axes: Sequence[int], **attributes: int) -> str:
    """Squeeze, Unsqueeze or a reduction."""
    if b.opset >= _AXES_AS_INPUT.get(op, 18):
        return str(b.op(op, x, whole(*axes), **attributes))
    return str(b.op(op, x, axes=list(axes), **attributes))


def clip(b: Network, x: str, low: float | None, high: float | None) -> str:
    """Clip; a bound may be left out."""
    if b.opset >= 11:
        return str(b.op("Clip", x, *(None if v is None else np.asarray(float(v)) for v in (low, high))))
    bounds = {k: float(v) for k, v in (("min", low), ("max", high)) if v is not None}
    return str(b.op("Clip", x, **bounds))


def cut(
    b: Network, x: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Any = None
) -> str:
    """Slice."""
    if b.opset < 10:
        return str(b.op("Slice", x, starts=list(starts), ends=list(ends), axes=list(axes)))
    more = [] if steps is None else [whole(*steps)]
    return str(b.op("Slice", x, whole(*starts), whole(*ends), whole(*axes), *more))


def split(b: Network, x: str, sizes: Sequence[int], axis: int) -> list[str]:
    """Parts of the given sizes."""
    if b.opset >= 13:
        return list(b.op("Split", x, whole(*sizes), outputs=len(sizes), axis=axis))
    return list(b.op("Split", x, outputs=len(sizes), axis=axis, split=list(sizes)))


def pad(b: Network, x: str, pads: Sequence[int], mode: str = "constant", value: float = 0.0) -> str:
    """Pad, over all axes."""
    if b.opset >= 11:
        return str(b.op("Pad", x, whole(*pads), b.of(x).dtype.type(value) if value else None, mode=mode))
    return str(b.op("Pad", x, pads=list(pads), mode=mode, value=value))


def resize(b: Network, x: str, factors: Sequence[float], mode: str, **attributes: Any) -> str:
    """Resize by factors of all axes, as its opset has it."""
    scales = b.hold(np.asarray(factors, np.float32), np.float32)
    if b.opset < 10:
        return str(b.op("Upsample", x, scales, mode=mode))
    if b.opset == 10:
        return str(b.op("Resize", x, scales, mode=mode))
    return str(b.op("Resize", x, _no_region(b), scales, mode=mode, **attributes))


def resize_to(b: Network, x: str, sizes: Sequence[int], mode: str, **attributes: Any) -> str:
    """Resize to the sizes of the axes behind the channels (of opset 11 and later)."""
    given = [b.of(x).shape[0], b.of(x).shape[1], *sizes]
    return str(b.op("Resize", x, _no_region(b), _no_region(b), whole(*given), mode=mode, **attributes))


def _no_region(b: Network) -> str | None:
    return None if b.opset >= 13 else b.hold(np.zeros(0, np.float32), np.float32)
