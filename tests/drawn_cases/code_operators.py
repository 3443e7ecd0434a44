"""Operators on integer codes in the middle: of ONNX and of com.microsoft."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from drawn_cases.building import MICROSOFT, Network, floats
from drawn_cases.codes import Codes, Form, conv, decode, drawn_weights, encode, held

CodeSpelling = Callable[[Network, Codes, Form], Codes]


def _same(op: str, **attributes: Any) -> CodeSpelling:
    """An operator that leaves each code as it is."""
    return lambda b, c, _: Codes(b.op(op, c.name, **attributes), *c.both)


def _ours(op: str, *, grown: float = 1.0, **attributes: Any) -> CodeSpelling:
    """An operator of com.microsoft with one operand, to a scale and a zero point of its own."""

    def spell(b: Network, c: Codes, form: Form) -> Codes:
        out = Codes("", np.float32(c.scale * grown), np.asarray(int(form.zero) + 1, form.kind))
        name = b.op(op, c.name, *held(b, c), *held(b, out), domain=MICROSOFT, **attributes)
        return Codes(name, *out.both)

    return spell


def _binary(op: str, other: str) -> CodeSpelling:
    """QLinearAdd, QLinearMul with itself turned, a constant by channel, or one number; odd zero points."""

    def spell(b: Network, c: Codes, form: Form) -> Codes:
        out = Codes("", np.float32(c.scale * 1.5), np.asarray(int(form.zero) + 3, form.kind))
        if other == "itself":
            second = Codes(b.op("Transpose", c.name, perm=[0, 1, 3, 2]), *c.both)
        else:
            shape = (1, 4, 1, 1) if other == "constant" else ()
            values = b.random.integers(-40, 41, shape) + int(form.zero)
            info = np.iinfo(form.kind)
            held = b.hold(np.clip(values, info.min, info.max).astype(form.kind))
            second = Codes(held, np.float32(0.5), np.asarray(form.zero, form.kind))
        name = b.op(op, c.name, *held(b, c), second.name, *held(b, second), *held(b, out), domain=MICROSOFT)
        return Codes(name, *out.both)

    return spell


def _joined(b: Network, c: Codes, form: Form) -> Codes:
    """QLinearConcat of three operands of several scales."""
    out = Codes("", np.float32(c.scale * 1.25), np.asarray(form.zero, form.kind))
    second = conv(b, c, form, channels=3, kernel=1)
    name = b.op(
        "QLinearConcat", *held(b, out), c.name, *held(b, c), second.name, *held(b, second), c.name,
        *held(b, c), domain=MICROSOFT, axis=1,
    )  # fmt: skip
    return Codes(name, *out.both)


def _chosen(b: Network, c: Codes, form: Form) -> Codes:
    """QLinearWhere by a constant mask."""
    out = Codes("", np.float32(c.scale * 1.5), np.asarray(form.zero, form.kind))
    second = conv(b, c, form, kernel=1)
    mask = np.arange(64).reshape(8, 8) % 3 > 0
    name = b.op(
        "QLinearWhere", mask, c.name, *held(b, c), second.name, *held(b, second), *held(b, out),
        domain=MICROSOFT,
    )  # fmt: skip
    return Codes(name, *out.both)


def _requantised(b: Network, c: Codes, form: Form) -> Codes:
    """To another scale, through floats."""
    scale, zero = np.float32(c.scale * 1.5), np.asarray(form.zero, form.kind)
    return Codes(b.op("QuantizeLinear", decode(b, c), b.hold(scale), zero), scale, zero)


def _channels_last(b: Network, c: Codes, form: Form, inner: CodeSpelling) -> Codes:
    turned = Codes(b.op("Transpose", c.name, perm=[0, 2, 3, 1]), *c.both)
    out = inner(b, turned, form)
    return Codes(b.op("Transpose", out.name, perm=[0, 3, 1, 2]), *out.both)


def _last(inner: CodeSpelling) -> CodeSpelling:
    return lambda b, c, form: _channels_last(b, c, form, inner)


def _convolved(**extra: Any) -> CodeSpelling:
    return lambda b, c, form: conv(b, c, form, **extra)


def _integer_conv(b: Network, c: Codes, form: Form) -> Codes:
    """ConvInteger, scaled and rounded to codes again."""
    codes, scale, zero = drawn_weights(b, (4, 4, 3, 3), Form(form.kind, form.zero, form.weights), 0)
    sums = b.op("ConvInteger", c.name, codes, c.zero, zero, pads=[1] * 4)
    real = b.op("Mul", b.op("Cast", sums, to=floats("float32")), np.asarray(c.scale * scale))
    return encode(b, real, form)


def _integer_dense(b: Network, c: Codes, form: Form) -> Codes:
    """MatMulInteger over the last axis."""
    codes, scale, zero = drawn_weights(b, (b.of(c.name).shape[-1], 6), Form(form.kind, 0, form.weights), 1)
    sums = b.op("MatMulInteger", c.name, codes, c.zero, zero)
    return encode(b, b.op("Mul", b.op("Cast", sums, to=floats("float32")), c.scale * scale), form)


def _integer_dense_to_floats(b: Network, c: Codes, form: Form) -> Codes:
    """com.microsoft MatMulIntegerToFloat."""
    codes, scale, zero = drawn_weights(b, (b.of(c.name).shape[-1], 6), form, 1)
    read = (c.name, codes, b.hold(c.scale), b.hold(scale), c.zero, zero, b.bias((6,)))
    return encode(b, b.op("MatMulIntegerToFloat", *read, domain=MICROSOFT), form)


def _dynamic(b: Network, c: Codes, form: Form) -> Codes:
    """DynamicQuantizeLinear in front of ConvInteger: a scale of the sample's own."""
    x, scale, zero = b.op("DynamicQuantizeLinear", decode(b, c), outputs=3)
    codes, own, _ = drawn_weights(b, (4, 4, 3, 3), Form(np.uint8, 0), 0)
    sums = b.op("Cast", b.op("ConvInteger", x, codes, zero, pads=[1] * 4), to=floats("float32"))
    return encode(b, b.op("Mul", sums, b.op("Mul", scale, own)), form)


def _softmax(axis: int, opset: int | None = None, step: float = 1 / 256) -> CodeSpelling:
    """QLinearSoftmax over the channels, places, or both; of another operator set than the network's, or an uneven scale."""

    def spell(b: Network, c: Codes, form: Form) -> Codes:
        out = Codes("", np.float32(step), np.asarray(np.iinfo(form.kind).min, form.kind))
        extra = {"axis": axis, "opset": opset or b.opset}
        name = b.op("QLinearSoftmax", c.name, *held(b, c), *held(b, out), domain=MICROSOFT, **extra)
        return Codes(name, *out.both)

    return spell


def _reduced(b: Network, c: Codes, form: Form) -> Codes:
    """ReduceMean between codes, in floats."""
    return encode(b, b.op("GlobalAveragePool", decode(b, c)), form)


_POOL = {"kernel_shape": [3, 3], "strides": [2, 2]}
CODES: Mapping[str, CodeSpelling] = {
    "QLinearConv": _convolved(pads=[1] * 4),
    "QLinearConv without bias": _convolved(bias=False),
    "QLinearConv strided": _convolved(strides=[2, 2], pads=[1, 0, 0, 1]),
    "QLinearConv grouped": _convolved(group=2),
    "QLinearConv depthwise": _convolved(group=4, pads=[1] * 4),
    "QLinearConv dilated": _convolved(dilations=[2, 2]),
    "QLinearConv SAME_UPPER": _convolved(auto_pad="SAME_UPPER", strides=[2, 2]),
    "QLinearConv channels last": _last(_convolved(domain=MICROSOFT, channels_last=1, pads=[1] * 4)),
    "ConvInteger": _integer_conv,
    "MatMulInteger": _integer_dense,
    "MatMulIntegerToFloat": _integer_dense_to_floats,
    "DynamicQuantizeLinear": _dynamic,
    "QLinearSoftmax": _softmax(1),
    "QLinearSoftmax of places": _softmax(-1, 13, 0.003),
    "QLinearSoftmax of old": _softmax(2, 12, 0.0047),
    "QLinearAdd itself": _binary("QLinearAdd", "itself"),
    "QLinearAdd constant": _binary("QLinearAdd", "constant"),
    "QLinearAdd number": _binary("QLinearAdd", "number"),
    "QLinearMul constant": _binary("QLinearMul", "constant"),
    "QLinearMul number": _binary("QLinearMul", "number"),
    "QLinearMul itself": _binary("QLinearMul", "itself"),
    "QLinearAveragePool": _ours("QLinearAveragePool", **_POOL),
    "QLinearAveragePool pads": _ours("QLinearAveragePool", pads=[1] * 4, **_POOL),
    "QLinearAveragePool counted": _ours("QLinearAveragePool", pads=[1] * 4, count_include_pad=1, **_POOL),
    "QLinearAveragePool ceil": _ours("QLinearAveragePool", ceil_mode=1, **_POOL),
    "QLinearAveragePool ceil pads": _ours("QLinearAveragePool", ceil_mode=1, pads=[1] * 4, **_POOL),
    "QLinearAveragePool ceil counted": _ours(
        "QLinearAveragePool", ceil_mode=1, pads=[1] * 4, count_include_pad=1, **_POOL
    ),
    "QLinearAveragePool SAME_UPPER": _ours("QLinearAveragePool", auto_pad="SAME_UPPER", **_POOL),
    "QLinearAveragePool channels last": _last(_ours("QLinearAveragePool", channels_last=1, **_POOL)),
    "QLinearGlobalAveragePool": _ours("QLinearGlobalAveragePool", channels_last=0),
    "QLinearGlobalAveragePool channels last": _last(_ours("QLinearGlobalAveragePool", channels_last=1)),
    "QLinearLeakyRelu": _ours("QLinearLeakyRelu", alpha=0.25),
    "QLinearSigmoid": _ours("QLinearSigmoid"),
    "QLinearConcat": _joined,
    "QLinearWhere": _chosen,
    "QuantizeLinear again": _requantised,
    "mean in floats": _reduced,
    "MaxPool of codes": _same("MaxPool", **_POOL),
    "NhwcMaxPool": _last(
        lambda b, c, _: Codes(b.op("NhwcMaxPool", c.name, domain=MICROSOFT, **_POOL), *c.both)
    ),
    "Relu of codes": lambda b, c, _: Codes(b.op("Max", c.name, c.zero), *c.both),
}
