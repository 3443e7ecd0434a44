"""Blocks on integer codes: QLinear* and *Integer operators, as quantisation tools write them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from random_networks.activations import activate
from random_networks.building import MICROSOFT, Building, Tensor

Block = Callable[[Building, Tensor], "Tensor | None"]


def _quantised(b: Building, x: Tensor) -> tuple[str, str, str, float]:
    """uint8 codes of ``x``, the names of their scale and zero point, and the scale."""
    scale = 2.0 ** (round(math.log2(max(x.top, 1e-3))) - 6)
    held, zero = b.hold(scale), b.hold(b.pick([0, 3, 128]), np.uint8)
    return b.op("QuantizeLinear", x, held, zero), held, zero, scale


def _codes(b: Building, shape: tuple[int, ...]) -> np.ndarray:
    return b.random.integers(-4, 5, shape).astype(np.int8)


def _result(b: Building, code: str, held: str, zero: str, x: Tensor, scale: float) -> Tensor:
    return b.value(
        b.op("DequantizeLinear", code, held, zero),
        like=x,
        unit=scale,
        top=256 * scale,
        levels=True,
        finite=True,
    )


def _fits(b: Building, x: Tensor, fan_in: int) -> bool:
    """Whether sums of codes are exact, and a scale of ordinary size exists."""
    return b.opset >= 10 and 256 * 4 * fan_in < 2**20 and x.top < 2**16


def _scales(b: Building, channels: int, per_channel: bool) -> np.ndarray:
    if per_channel:
        return np.asarray(np.ldexp(1.0, b.random.integers(-3, 0, channels)), np.float32)
    return np.asarray(0.25, np.float32)


def qlinear_conv(b: Building, x: Tensor) -> Tensor | None:
    """QuantizeLinear ─▶ QLinearConv ─▶ (MaxPool on codes) ─▶ DequantizeLinear."""
    if len(x.shape) != 3 or not _fits(b, x, 9 * x.channels):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    channels = b.pick([4, 2])
    weights = _codes(b, (channels, x.channels, 3, 3))
    scale_w = _scales(b, channels, b.flip())
    zero_w = b.hold(np.zeros(scale_w.shape), np.int8)
    sy = 4 * sx
    scale_y, zero_y = b.hold(sy), b.hold(b.pick([0, 5, 128]), np.uint8)
    bias = [b.hold(b.random.integers(-64, 65, channels), np.int32)] if b.flip() else []
    y = b.op(
        "QLinearConv",
        code,
        scale_x,
        zero_x,
        b.hold(weights, np.int8),
        scale_w,
        zero_w,
        scale_y,
        zero_y,
        *bias,
        pads=[1] * 4,
    )
    if b.opset >= 12 and min(x.shape[1:]) >= 4 and b.flip():
        y = b.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    return _result(b, y, scale_y, zero_y, x, sy)


def qlinear_matmul(b: Building, x: Tensor) -> Tensor | None:
    """QuantizeLinear ─▶ QLinearMatMul, or com.microsoft's QGemm ─▶ DequantizeLinear."""
    if len(x.shape) != 1 or not _fits(b, x, x.channels):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    channels = b.pick([4, 6])
    weights, scale_w = b.hold(_codes(b, (x.channels, channels)), np.int8), b.hold(0.25)
    zero_w = b.hold(0, np.int8)
    scale_y, zero_y = b.hold(4 * sx), b.hold(b.pick([0, 5, 128]), np.uint8)
    if b.flip():
        bias = b.hold(b.random.integers(-64, 65, channels), np.int32)
        read = (code, scale_x, zero_x, weights, scale_w, zero_w, bias, scale_y, zero_y)
        y = b.op("QGemm", *read, domain=MICROSOFT)
        b.types[y] = _vectors(b, channels)
    else:
        y = b.op("QLinearMatMul", code, scale_x, zero_x, weights, scale_w, zero_w, scale_y, zero_y)
    return _result(b, y, scale_y, zero_y, x, 4 * sx)


def _vectors(b: Building, channels: int) -> object:
    from onnx import helper  # noqa: PLC0415

    return helper.make_tensor_type_proto(TensorProto.UINT8, [b.batch, channels])


def integer_sums(b: Building, x: Tensor) -> Tensor | None:
    """QuantizeLinear ─▶ ConvInteger or MatMulInteger ─▶ Cast ─▶ Mul ─▶ an activation."""
    image = len(x.shape) == 3
    if len(x.shape) not in (1, 3) or not _fits(b, x, x.channels * (9 if image else 1)):
        return None
    code, _, zero_x, sx = _quantised(b, x)
    channels = b.pick([4, 6])
    if image:
        weights = b.hold(_codes(b, (channels, x.channels, 3, 3)), np.int8)
        sums = b.op("ConvInteger", code, weights, zero_x, pads=[1] * 4)
    else:
        weights = b.hold(_codes(b, (x.channels, channels)), np.int8)
        sums = b.op("MatMulInteger", code, weights, zero_x)
    if b.flip():
        shape = (channels, 1, 1) if image else (channels,)
        sums = b.op("Add", sums, b.hold(b.random.integers(-16, 17, shape), np.int32))
    unit = sx * 0.25
    real = b.op("Mul", b.op("Cast", sums, to=TensorProto.FLOAT), np.float32(unit))
    top = unit * 256 * 4 * x.channels * (9 if image else 1)
    return activate(b, b.value(real, like=x, unit=unit, top=top, levels=False))


def qlinear_add(b: Building, x: Tensor) -> Tensor | None:
    """com.microsoft's QLinearAdd of two quantised tensors, or QLinearGlobalAveragePool."""
    if not _fits(b, x, 4):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    scale_y, zero_y = b.hold(2 * sx), b.hold(b.pick([0, 9]), np.uint8)
    y = b.op("QLinearAdd", code, scale_x, zero_x, code, scale_x, zero_x, scale_y, zero_y, domain=MICROSOFT)
    b.declare(y, code, TensorProto.UINT8)
    return _result(b, y, scale_y, zero_y, x, 2 * sx)


INTEGERS: tuple[Block, ...] = (qlinear_conv, qlinear_matmul, integer_sums, qlinear_add)
