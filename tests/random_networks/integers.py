"""Blocks on integer codes: QLinear* and *Integer operators, as quantisation tools write them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper

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
    """QuantizeLinear ─▶ QLinearConv, strided, dilated, grouped, padded by name ─▶ (MaxPool on codes) ─▶ DequantizeLinear."""
    if len(x.shape) != 3 or not _fits(b, x, 9 * x.channels):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    channels = b.pick([4, 2])
    group = b.pick([1, x.channels]) if channels % x.channels == 0 else 1
    dilation = b.pick([1, 1, 2]) if min(x.shape[1:]) > 4 else 1
    attributes: dict[str, object] = {
        "group": group,
        "dilations": [dilation] * 2,
        "strides": [b.pick([1, 1, 2])] * 2,
    }
    attributes |= {"auto_pad": "SAME_UPPER"} if dilation == 1 and b.flip() else {"pads": [dilation] * 4}
    weights = _codes(b, (channels, x.channels // group, 3, 3))
    scale_w = _scales(b, channels, b.flip())
    zero_w = b.hold(np.zeros(scale_w.shape), np.int8)
    sy = 4 * sx
    scale_y, zero_y = b.hold(sy), b.hold(b.pick([0, 5, 128]), np.uint8)
    bias = [b.hold(b.random.integers(-64, 65, channels), np.int32)] if b.flip() else []
    read = (code, scale_x, zero_x, b.hold(weights, np.int8), scale_w, zero_w, scale_y, zero_y, *bias)
    y = b.op("QLinearConv", *read, **attributes)
    if b.opset >= 12 and min(b.shape(y)[1:]) >= 4 and b.flip():
        y = b.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    return _result(b, y, scale_y, zero_y, x, sy)


def qlinear_matmul(b: Building, x: Tensor) -> Tensor | None:
    """QuantizeLinear ─▶ QLinearMatMul, or com.microsoft's QGemm ─▶ DequantizeLinear."""
    if len(x.shape) != 1 or not _fits(b, x, x.channels):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    channels = b.pick([4, 6])
    codes, scale_w = _codes(b, (x.channels, channels)), b.hold(0.25)
    zero_w = b.hold(0, np.int8)
    scale_y, zero_y = b.hold(4 * sx), b.hold(b.pick([0, 5, 128]), np.uint8)
    if b.flip():
        bias = b.hold(b.random.integers(-64, 65, channels), np.int32)
        turned = b.flip()
        weights = b.hold(codes.T if turned else codes, np.int8)
        read = (code, scale_x, zero_x, weights, scale_w, zero_w, bias, scale_y, zero_y)
        y = b.op("QGemm", *read, domain=MICROSOFT, transB=int(turned), alpha=b.pick([1.0, 0.5, 2.0]))
        b.types[y] = _vectors(b, channels)
    else:
        weights = b.hold(codes, np.int8)
        y = b.op("QLinearMatMul", code, scale_x, zero_x, weights, scale_w, zero_w, scale_y, zero_y)
    return _result(b, y, scale_y, zero_y, x, 4 * sx)


def _vectors(b: Building, channels: int) -> object:
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
    """com.microsoft's QLinearAdd of two quantised tensors."""
    if not _fits(b, x, 4):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    scale_y, zero_y = b.hold(2 * sx), b.hold(b.pick([0, 9]), np.uint8)
    y = b.op("QLinearAdd", code, scale_x, zero_x, code, scale_x, zero_x, scale_y, zero_y, domain=MICROSOFT)
    b.declare(y, code, TensorProto.UINT8)
    return _result(b, y, scale_y, zero_y, x, 2 * sx)


def qlinear_mean(b: Building, x: Tensor) -> Tensor | None:
    """com.microsoft's QLinearAveragePool, its borders counted or not."""
    if len(x.shape) != 3 or min(x.shape[1:]) < 2 or not _fits(b, x, 4):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    scale_y, zero_y = b.hold(sx / 2), b.hold(b.pick([0, 9]), np.uint8)
    pads, stride = b.pick([0, 1]), b.pick([1, 2])
    attributes = {
        "kernel_shape": [2, 2],
        "strides": [stride] * 2,
        "pads": [pads] * 4,
        "count_include_pad": int(b.flip()),
    }
    y = b.op("QLinearAveragePool", code, scale_x, zero_x, scale_y, zero_y, domain=MICROSOFT, **attributes)
    places = [(size + 2 * pads - 2) // stride + 1 for size in x.shape[1:]]
    b.types[y] = helper.make_tensor_type_proto(TensorProto.UINT8, [b.batch, x.channels, *places])
    return _result(b, y, scale_y, zero_y, x, sx / 2)


def qlinear_leaky(b: Building, x: Tensor) -> Tensor | None:
    """com.microsoft's QLinearLeakyRelu, of a signed code."""
    if not _fits(b, x, 4):
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    scale_y, zero_y = b.hold(2 * sx), b.hold(b.pick([0, 9]), np.uint8)
    y = b.op(
        "QLinearLeakyRelu",
        code,
        scale_x,
        zero_x,
        scale_y,
        zero_y,
        domain=MICROSOFT,
        alpha=b.pick([0.25, 0.5]),
    )
    b.declare(y, code, TensorProto.UINT8)
    return _result(b, y, scale_y, zero_y, x, 2 * sx)


def qlinear_concat(b: Building, x: Tensor) -> Tensor | None:
    """com.microsoft's QLinearConcat of two tensors on grids of their own, along channels."""
    if not _fits(b, x, 4) or x.channels > 8:
        return None
    code, scale_x, zero_x, sx = _quantised(b, x)
    other = b.op("QuantizeLinear", x, held := b.hold(2 * sx), zero := b.hold(3, np.uint8))
    scale_y, zero_y = b.hold(sx), b.hold(b.pick([0, 9]), np.uint8)
    read = (scale_y, zero_y, code, scale_x, zero_x, other, held, zero)
    y = b.op("QLinearConcat", *read, domain=MICROSOFT, axis=1)
    sizes = [b.batch, 2 * x.channels, *x.shape[1:]]
    b.types[y] = helper.make_tensor_type_proto(TensorProto.UINT8, sizes)
    return _result(b, y, scale_y, zero_y, x, sx)


INTEGERS: tuple[Block, ...] = (
    qlinear_conv, qlinear_matmul, integer_sums, qlinear_add, qlinear_mean, qlinear_leaky, qlinear_concat,
)  # fmt: skip
