"""What windows read for some of their results, and where padding is: further rules of the records for parts of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx2snn.operators.parts import Asked, Cut, Span, whole
from onnx2snn.operators.pool_windows import SAME, Windows, windows_of


def _windows(span: Span, w: Windows) -> tuple[Span, int, int] | None:
    """What windows read, and the padding in front of it and behind; None where some lie in padding alone."""
    low, high = span.first * w.stride - w.before, (span.last - 1) * w.stride + w.extent - w.before
    first, last = max(low, 0), min(high, w.size)
    return None if first >= last else (Span(span.axis, first, last), first - low, high - last)


def _cut_windows(asked: Asked, axes: Sequence[Windows]) -> tuple[Span, dict[str, Any]] | None:
    """What is read of the first input, and the attributes that say so."""
    found = _windows(asked.span, axes[asked.span.axis - 2])
    if found is None or any(w.before < 0 or w.after < 0 or w.ceil for w in axes):
        return None
    pads = [[w.before for w in axes], [w.after for w in axes]]
    pads[0][asked.span.axis - 2], pads[1][asked.span.axis - 2] = found[1:]
    return found[0], {"auto_pad": "NOTSET", "pads": pads[0] + pads[1]}


def _listed(asked: Asked, name: str, default: int) -> list[int]:
    rank = len(asked.result) - 2
    return [int(v) for v in asked.attributes.get(name, [default] * rank)]


def _padding(asked: Asked) -> tuple[str, list[tuple[int, int]]]:
    kind = asked.attributes.get("auto_pad", b"NOTSET").decode()
    pads = asked.attributes.get("pads", [0] * (2 * len(asked.result) - 4))
    half = len(pads) // 2
    return kind, list(zip(pads[:half], pads[half:], strict=True))


def convolved(asked: Asked) -> Cut | None:
    """A convolution: some output channels of one group, or the cells that windows cover."""
    x, w = asked.shapes[:2]
    if x is None or w is None or asked.span.axis == 0:
        return None
    if asked.span.axis == 1:
        kept = asked.along(0)
        return None if asked.attributes.get("group", 1) != 1 else _weighted(asked, kept, kept)
    strides, dilations = _listed(asked, "strides", 1), _listed(asked, "dilations", 1)
    kind, pads = _padding(asked)
    axes = []
    for size, kernel, stride, dilation, (before, after) in zip(
        x[2:], w[2:], strides, dilations, pads, strict=True
    ):
        extent = (kernel - 1) * dilation + 1
        if kind in SAME:
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            before, after = sorted((total // 2, total - total // 2), reverse=kind == "SAME_LOWER")  # noqa: PLW2901
        elif kind == "VALID":
            before = after = 0  # noqa: PLW2901
        axes.append(Windows(size, extent, stride, before, after, ceil=False))
    found = _cut_windows(asked, axes)
    return None if found is None else Cut((found[0], *whole(asked, 1)), found[1])


def _weighted(asked: Asked, weights: Span, bias: Span) -> Cut:
    """All of the signal, and some output channels of weights and bias."""
    return Cut((None, weights, *(bias for _ in asked.shapes[2:])))


def spread_out(asked: Asked) -> Cut | None:
    """A transposed convolution: the cells whose kernels reach the part."""
    x, w = asked.shapes[:2]
    kind, pads = _padding(asked)
    plain = kind in ("NOTSET", "VALID") and "output_shape" not in asked.attributes
    if x is None or w is None or asked.span.axis == 0 or not plain:
        return None
    if asked.span.axis == 1:
        one = asked.attributes.get("group", 1) == 1
        return _weighted(asked, asked.span, asked.along(0)) if one else None
    at, span = asked.span.axis - 2, asked.span
    stride, dilation = _listed(asked, "strides", 1)[at], _listed(asked, "dilations", 1)[at]
    extent, before = (w[span.axis] - 1) * dilation + 1, pads[at][0] if kind == "NOTSET" else 0
    first = max(0, -(-(span.first + before - extent + 1) // stride))
    last = min(x[span.axis], (span.last - 1 + before) // stride + 1)
    ends = (span.first + before - first * stride, (last - 1) * stride + extent - before - span.last)
    if first >= last or min(ends) < 0:
        return None
    beside = [[p[0] for p in pads], [p[1] for p in pads]] if kind == "NOTSET" else [[0] * len(pads)] * 2
    beside = [list(side) for side in beside]
    beside[0][at], beside[1][at] = ends
    more = _listed(asked, "output_padding", 0)
    more[at] = 0
    changed = {"auto_pad": "NOTSET", "pads": beside[0] + beside[1], "output_padding": more}
    return Cut((Span(span.axis, first, last), *whole(asked, 1)), changed)


def pooled(asked: Asked) -> Cut | None:
    """A pooling: some channels, or the cells that windows cover."""
    x = asked.shapes[0]
    if x is None or asked.span.axis == 0 or len(asked.node.output) > 1:
        return None
    if asked.span.axis == 1:
        return Cut((asked.span,))
    kind, pads = _padding(asked)
    sizes = zip(
        x[2:], _listed(asked, "kernel_shape", 1), _listed(asked, "dilations", 1),
        _listed(asked, "strides", 1), pads, strict=True,
    )  # fmt: skip
    ceil = bool(asked.attributes.get("ceil_mode", 0))
    axes = [windows_of(kind, n, k, dilation, s, pads=p, ceil=ceil) for n, k, dilation, s, p in sizes]
    found = _cut_windows(asked, axes)
    return None if found is None else Cut((found[0],), found[1])


def padded(asked: Asked) -> Cut | None:
    """A constant around cells: those that are there."""
    x, pads = asked.shapes[0], asked.constants[1] if len(asked.constants) > 1 else None
    listed = len(asked.node.input) > 3 and asked.node.input[3]
    if x is None or pads is None or listed or asked.attributes.get("mode", b"constant") != b"constant":
        return None
    axis, half = asked.span.axis, len(pads) // 2
    fresh = np.array(pads)
    if fresh.min() < 0:
        return None
    found = _windows(asked.span, Windows(x[axis], 1, 1, int(pads[axis]), int(pads[half + axis]), ceil=False))
    if found is None:
        return None
    fresh[axis], fresh[half + axis] = found[1:]
    return Cut((found[0], *whole(asked, 1)), constants={1: fresh})
