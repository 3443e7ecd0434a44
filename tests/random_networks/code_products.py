"""Dense layers of integer codes: to codes, to integers and to floats."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from random_networks.activations import activate
from random_networks.attributes import chosen
from random_networks.building import MICROSOFT, Building, Tensor
from random_networks.codes_of_tensors import coded, codes_fit, decoded, small_codes, weight_scales


def qlinear_matmul(b: Building, x: Tensor) -> Tensor | None:
    """QLinearMatMul over the last axis."""
    if not codes_fit(b, x, x.shape[-1]):
        return None
    code, outputs = coded(b, x), b.pick([4, 6])
    weights = b.hold(small_codes(b, (x.shape[-1], outputs)), np.int8)
    scale = weight_scales(b, outputs if b.flip() else ())
    zero, out = b.hold(np.zeros(scale.shape), np.int8), code.scaled(b, 4)
    y = b.op("QLinearMatMul", code.name, *code.parameters, weights, scale, zero, *out.parameters)
    return decoded(b, out.named(y), x)


def q_gemm(b: Building, x: Tensor) -> Tensor | None:
    """QGemm to codes, or to floats that a quantiser reads."""
    if not codes_fit(b, x, x.channels):
        return None
    code, outputs, given = coded(b, x), b.pick([4, 6]), chosen(b, "QGemm")
    weights = small_codes(b, (x.channels, outputs))
    held = b.hold(weights.T if given.get("transB") else weights, np.int8)
    scale = weight_scales(b, outputs if b.flip() else ())
    zero = b.hold(np.zeros(scale.shape), np.int8)
    name = b.op("Transpose", code.name, perm=[1, 0]) if given.get("transA") else code.name
    bias = b.hold(b.random.integers(-64, 65, outputs), np.int32) if b.flip() else None
    out = None if b.flip() else code.scaled(b, 4)
    read = (name, *code.parameters, held, scale, zero, bias, *(() if out is None else out.parameters))
    y = b.op("QGemm", *read, domain=MICROSOFT, **given)
    b.typed(y, [outputs], TensorProto.FLOAT if out is None else code.element)
    if out is not None:
        return decoded(b, out.named(y), x)
    unit = code.scale * float(given.get("alpha", 1.0)) / 8
    top = code.scale * 256 * 4 * x.channels * 2
    return activate(b, b.value(y, like=x, unit=unit, top=top, levels=False, finite=False))


def integer_matmul(b: Building, x: Tensor) -> Tensor | None:
    """MatMulInteger and a scale, or com.microsoft's MatMulIntegerToFloat, which has it inside."""
    if not codes_fit(b, x, x.shape[-1]):
        return None
    code, outputs = coded(b, x, np.uint8), b.pick([4, 6])
    weights = b.hold(small_codes(b, (x.shape[-1], outputs)), np.int8)
    if b.flip():
        scale = weight_scales(b, outputs if b.flip() else ())
        bias = b.bias((outputs,)) if b.flip() else None
        zero = b.hold(np.zeros(scale.shape), np.int8)
        read = (code.name, weights, code.parameters[0], scale, code.parameters[1], zero, bias)
        real = b.op("MatMulIntegerToFloat", *read, domain=MICROSOFT)
        b.typed(real, [*x.shape[:-1], outputs])
    else:
        sums = b.op("MatMulInteger", code.name, weights, code.parameters[1])
        real = b.op("Mul", b.op("Cast", sums, to=TensorProto.FLOAT), np.float32(code.scale * 0.25))
    unit, top = code.scale * 0.125, code.scale * 256 * 4 * x.shape[-1]
    return activate(b, b.value(real, like=x, unit=min(unit, 0.25), top=top, levels=False, finite=False))


def dynamic_matmul(b: Building, x: Tensor) -> Tensor | None:
    """DynamicQuantizeMatMul: codes by the range of all that is read, of one sample where the batch has one."""
    weights, outputs = small_codes(b, (x.shape[-1], 4)), 4
    bias = b.bias((outputs,)) if b.flip() else None
    zero = b.hold(0, np.int8) if b.flip() or bias is not None else None
    scale = weight_scales(b, outputs if b.flip() and zero is None else ())
    read = (x, b.hold(weights, np.int8), scale, zero, bias)
    y = b.op("DynamicQuantizeMatMul", *read, domain=MICROSOFT)
    b.typed(y, [*x.shape[:-1], outputs])
    return activate(b, b.value(y, like=x, top=x.top * 8, levels=False, finite=False))
