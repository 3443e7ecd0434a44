"""Affine operators without weights of their own. None: it does not fit this tensor, or would not be exact."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from random_networks.building import Building, Tensor, is_power_of_two, unit_of
from random_networks.versions import over_axes, resize

Operator = Callable[[Building, Tensor], "Tensor | None"]


def batch_norm(b: Building, x: Tensor) -> Tensor | None:
    """Inference-time batch norm, of factors that may be negative."""
    factors = b.factors((x.channels,))
    beta, mean = b.bias((x.channels,)), b.bias((x.channels,))
    deviation = np.float32(b.pick([1.0, 2.0, 0.5]))
    variance = np.full(x.channels, deviation**2 - np.float32(0.1875), np.float32)
    name = b.op("BatchNormalization", x, factors, beta, mean, variance, epsilon=0.1875)
    column = factors / deviation
    shift = np.abs(beta).max() + np.abs(mean).max() * np.abs(column).max()
    unit = min(x.unit * unit_of(column), 2.0**-8)
    top = x.top * float(np.abs(column).max()) + float(shift)
    return b.value(name, like=x, unit=unit, top=top, levels=False) if b.fits(unit, top) else None


def line(b: Building, x: Tensor) -> Tensor | None:
    """A factor and a term: scalar, or per channel."""
    column = (x.channels,) + (1,) * (len(x.shape) - 1)
    factors = b.factors(b.pick([(), column]))
    terms = b.bias(b.pick([(), column]))
    name = (
        b.op("Div", x, 1 / factors)
        if b.flip()
        else b.op("Mul", factors, x)
        if b.flip()
        else b.op("Mul", x, factors)
    )
    way = b.pick(["Add", "Sub", "none", "Sub from"])
    if way != "none":
        name = (
            b.op("Add", name, terms)
            if way == "Add"
            else b.op("Sub", *((name, terms) if way == "Sub" else (terms, name)))
        )
    unit = min(x.unit * unit_of(factors), 0.25)
    top = x.top * float(np.abs(factors).max()) + float(np.abs(terms).max())
    return b.value(name, like=x, unit=unit, top=top, levels=False) if b.fits(unit, top) else None


def negated(b: Building, x: Tensor) -> Tensor | None:
    """−x."""
    return b.value(b.op("Neg", x), like=x, levels=False)


def mean_pool(b: Building, x: Tensor) -> Tensor | None:
    """AveragePool, its borders counted or not."""
    sizes = x.shape[1:]
    if not sizes or min(sizes) < 2:
        return None
    rank = len(sizes)
    kernel = [b.pick([2] if b.exact else [2, 3]) if s > 2 else 2 for s in sizes]
    attributes: dict[str, object] = {"kernel_shape": kernel, "strides": [b.pick([2, 1])] * rank}
    alike = True  # means of as many entries everywhere
    if b.flip():
        attributes["pads"] = [1] * rank + [b.pick([0, 1])] * rank
        attributes["count_include_pad"] = int(b.flip())
        alike = bool(attributes["count_include_pad"])
    elif b.opset >= 10 and b.flip():  # with both, onnx and onnxruntime disagree about the last window
        attributes["ceil_mode"] = 1
        alike = False
    name = b.op("AveragePool", x, **attributes)
    unit = x.unit / math.prod(kernel)
    changed = {"levels": False, "finite": x.finite and alike}
    return b.value(name, like=x, unit=unit, **changed) if b.fits(unit, x.top) else None


def global_mean(b: Building, x: Tensor) -> Tensor | None:
    """GlobalAveragePool or ReduceMean over all places, or a sum; axes kept or not."""
    count = math.prod(x.shape[1:])
    if len(x.shape) < 2 or (b.exact and not is_power_of_two(count)):
        return None
    axes = list(range(2, len(x.shape) + 1))
    way = b.pick(["GlobalAveragePool", "ReduceMean", "ReduceSum"])
    if way == "GlobalAveragePool":
        name = b.op(way, x)
    else:
        axes = [a - len(x.shape) - 1 for a in axes] if b.opset >= 11 and b.flip() else axes
        name = over_axes(b, way, x.name, axes, keepdims=int(b.flip()))
    unit, top = (x.unit, x.top * count) if way == "ReduceSum" else (x.unit / count, x.top)
    changed = {"levels": False, "finite": x.finite and way != "ReduceSum"}
    return b.value(name, like=x, unit=unit, top=top, **changed) if b.fits(unit, top) else None


def interpolated(b: Building, x: Tensor) -> Tensor | None:
    """Resize: linear, by two or (in general floats) by other factors."""
    if len(x.shape) < 2 or math.prod(x.shape[1:]) > 64 or (len(x.shape) == 4 and b.opset < 11):
        return None
    if len(x.shape) != 3:
        return None
    factors = [1.0, 1.0] + [2.0 if b.exact else b.pick([2.0, 1.5]) for _ in x.shape[1:]]
    modes = ["asymmetric", "half_pixel", *([] if b.exact else ["align_corners", "pytorch_half_pixel"])]
    name = resize(b, x, "linear", factors, b.pick(modes))
    unit = x.unit / 16
    return b.value(name, like=x, unit=unit, levels=False, finite=False) if b.fits(unit, x.top) else None


AFFINE: tuple[Operator, ...] = (line, batch_norm, negated, mean_pool, global_mean, interpolated)
