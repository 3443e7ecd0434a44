"""Windows that slide over integer codes, or over floats with an activation: convolutions and pools, all attributes drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from random_networks.activations import activate
from random_networks.attributes import ACTIVATIONS, chosen
from random_networks.building import MICROSOFT, Building, Tensor
from random_networks.codes_of_tensors import Codes, coded, codes_fit, decoded, small_codes, weight_scales
from random_networks.synapses import summed


def window(b: Building, operator: str, x: Tensor, *, pool: bool = False) -> dict[str, Any]:
    """The attributes of ``operator`` over the places of ``x``, with the numbers that their words stand for."""
    given, sizes = chosen(b, operator), x.shape[1:]
    kernel = [min(b.pick([2, 3]), size) for size in sizes]
    padded_by_name = given.get("auto_pad", "NOTSET") != "NOTSET"
    if padded_by_name:
        given.pop("pads", None)
    far = given.get("dilations") == "two" and all(
        size > 2 * (k - 1) for size, k in zip(sizes, kernel, strict=True)
    )
    if "dilations" in given:
        given["dilations"] = [2 if far and not padded_by_name else 1] * len(sizes)
    if "pads" in given:
        after = 0 if given["pads"] == "uneven" else 1
        given["pads"] = [int(k > 1) for k in kernel] + [after * int(k > 1) for k in kernel]
    if "strides" in given:
        given["strides"] = [2 if given["strides"] == "two" else 1] * len(sizes)
    if "group" in given:
        given["group"] = x.channels if given["group"] == "channels" else 1
    if pool or "kernel_shape" in given:
        given["kernel_shape"] = kernel
    given["kernel"] = kernel
    return given


def _last(b: Building, name: str, rank: int) -> str:
    return str(b.op("Transpose", name, perm=[0, *range(2, rank + 1), 1]))


def _first(b: Building, name: str, rank: int) -> str:
    return str(b.op("Transpose", name, perm=[0, rank, *range(1, rank)]))


def _around(b: Building, code: Codes, rank: int, last: object) -> str:
    """The codes, channels last where that is asked for."""
    return _last(b, code.name, rank) if last else code.name


def qlinear_conv(b: Building, x: Tensor) -> Tensor | None:
    """QLinearConv of ONNX or com.microsoft, channels first or last, then perhaps a maximum of its codes."""
    if not codes_fit(b, x, 9 * x.channels):
        return None
    given = window(b, "QLinearConv", x)
    kernel, last = given.pop("kernel"), given.pop("channels_last", None)
    code, group = coded(b, x), given.get("group", 1)
    channels = x.channels if group > 1 else b.pick([4, 2])
    scale = weight_scales(b, channels if b.flip() else ())
    shape = (channels, x.channels // group, *kernel)
    zeros = b.hold(np.zeros(scale.shape), np.int8)
    out = code.scaled(b, 4)
    bias = [b.hold(b.random.integers(-64, 65, channels), np.int32)] if b.flip() else []
    domain = MICROSOFT if last is not None else ""
    if domain:
        given["channels_last"] = last
    read = (_around(b, code, len(x.shape), last), *code.parameters, b.hold(small_codes(b, shape), np.int8))
    y = b.op("QLinearConv", *read, scale, zeros, *out.parameters, *bias, domain=domain, **given)
    if domain:
        _typed(b, y, "Conv", x, last, {**given, "kernel_shape": kernel}, code.element, shape)
        y = _first(b, y, len(x.shape)) if last else y
    return decoded(b, out.named(y), x)


def _typed(
    b: Building,
    y: str,
    twin: str,
    x: Tensor,
    last: object,
    given: dict[str, Any],
    element: int,
    weights: Any = None,
) -> None:
    """Say what is known of ``y``: what ONNX's ``twin`` would write, channels last or first."""
    known = {k: v for k, v in given.items() if k not in ("channels_last", "activation", "activation_params")}
    b.infer_as(
        y, twin, x, *([] if weights is None else [np.zeros(weights, np.float32)]), element=element, **known
    )
    if last:
        dims = [d.dim_value for d in b.types[y].tensor_type.shape.dim]
        b.typed(y, [*dims[2:], dims[1]], element)


def qlinear_pool(b: Building, x: Tensor) -> Tensor | None:
    """QLinearAveragePool."""
    return _pooled(b, x, largest=False)


def maximum_of_codes(b: Building, x: Tensor) -> Tensor | None:
    """NhwcMaxPool: channels last."""
    return _pooled(b, x, largest=True)


def _pooled(b: Building, x: Tensor, *, largest: bool) -> Tensor | None:
    if not codes_fit(b, x, 4) or min(x.shape[1:]) < 2:
        return None
    operator = "NhwcMaxPool" if largest else "QLinearAveragePool"
    given = window(b, operator, x, pool=True)
    given.pop("kernel")
    last = 1 if largest else given.get("channels_last", 0)
    code = coded(b, x)
    out = code if largest else code.scaled(b, 0.5)
    read = [_around(b, code, len(x.shape), last), *([] if largest else [*code.parameters, *out.parameters])]
    y = b.op(operator, *read, domain=MICROSOFT, **given)
    twin = {k: v for k, v in given.items() if k != "channels_last"}
    _typed(b, y, "MaxPool" if largest else "AveragePool", x, last, twin, code.element)
    return decoded(b, out.named(_first(b, y, len(x.shape)) if last else y), x)


def qlinear_global_mean(b: Building, x: Tensor) -> Tensor | None:
    """QLinearGlobalAveragePool."""
    if not codes_fit(b, x, 4):
        return None
    given = chosen(b, "QLinearGlobalAveragePool")
    code, last = coded(b, x), given.get("channels_last", 0)
    out = code.scaled(b, 0.5)
    read = [_around(b, code, len(x.shape), last), *code.parameters, *out.parameters]
    y = b.op("QLinearGlobalAveragePool", *read, domain=MICROSOFT, **given)
    ones = [1] * len(x.shape[1:])
    b.typed(y, [*ones, x.channels] if last else [x.channels, *ones], code.element)
    return decoded(b, out.named(_first(b, y, len(x.shape)) if last else y), x)


def integer_conv(b: Building, x: Tensor) -> Tensor | None:
    """ConvInteger ─▶ Cast ─▶ Mul ─▶ an activation."""
    if not codes_fit(b, x, 9 * x.channels):
        return None
    given = window(b, "ConvInteger", x)
    kernel, group = given.pop("kernel"), given.get("group", 1)
    code = coded(b, x, np.uint8)
    channels = x.channels if group > 1 else b.pick([4, 6])
    weights = b.hold(small_codes(b, (channels, x.channels // group, *kernel)), np.int8)
    sums = b.op("ConvInteger", code.name, weights, code.parameters[1], **given)
    if b.flip():
        shape = (channels,) + (1,) * len(kernel)
        sums = b.op("Add", sums, b.hold(b.random.integers(-16, 17, shape), np.int32))
    unit = code.scale * 0.25
    real = b.op("Mul", b.op("Cast", sums, to=TensorProto.FLOAT), np.float32(unit))
    top = unit * 256 * 4 * x.channels * 9
    return activate(b, b.value(real, like=x, unit=unit, top=top, levels=False, finite=False))


def fused_conv(b: Building, x: Tensor) -> Tensor | None:
    """FusedConv: a convolution, perhaps a summand, and an activation; then a quantiser."""
    given = window(b, "FusedConv", x)
    kernel, group = given.pop("kernel"), given.get("group", 1)
    given.pop("activation_params", None)
    name = given.get("activation")
    if b.exact and name in ("Tanh", "Sigmoid", "HardSigmoid"):
        name = given["activation"] = "Relu"
    if name is not None and ACTIVATIONS[name]:
        given["activation_params"] = list(ACTIVATIONS[name])
    channels = x.channels if group > 1 else b.pick([4, 3])
    shape = (channels, x.channels // group, *kernel)
    weights = b.weights(shape, tuple(range(1, len(shape))), x)
    bias = b.bias((channels,)) if b.flip() else None
    y = b.op("FusedConv", x, weights, bias, domain=MICROSOFT, **given)
    _typed(b, y, "Conv", x, 0, {**given, "kernel_shape": kernel}, TensorProto.FLOAT, shape)
    z = summed(b, x, y, weights, tuple(range(1, weights.ndim)), bias)
    if name is not None:
        unit = z.unit * 0.25 if b.exact else z.unit
        z = b.value(y, like=z, unit=min(unit, 0.5), top=max(z.top, 2.0))
    return activate(b, z)
