"""Synapses and arithmetic in the middle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from drawn_cases.building import Network
from drawn_cases.middles import Middle, Spelling, one
from drawn_cases.versions import clip, whole


def _conv(
    op: str = "Conv", *, channels: int = 4, kernel: int = 3, rank: int = 2, bias: bool = True, **extra: Any
) -> Spelling:
    def spell(b: Network, x: str) -> str:
        given, groups = b.shape(x)[0], extra.get("group", 1)
        sizes = (channels, given // groups) if op == "Conv" else (given, channels // groups)
        weights = b.weights((*sizes, *[kernel] * rank), sizes[1] * kernel**rank)
        return str(b.op(op, x, weights, b.bias((channels,)) if bias else None, **extra))

    return spell


def _gemm(**attributes: Any) -> Spelling:
    """Gemm of a vector, its attributes and shapes of C."""

    def spell(b: Network, x: str) -> str:
        given = b.shape(x)[0]
        shape = (6, given) if attributes.get("transB") else (given, 6)
        c = b.bias(attributes.get("c", (6,))) if "c" in attributes else None
        extra = {k: v for k, v in attributes.items() if k != "c"}
        return str(b.op("Gemm", x, b.weights(shape, given), c, **extra))

    return spell


def _matmul(b: Network, x: str) -> str:
    last = b.of(x).shape[-1]
    return str(b.op("Add", b.op("MatMul", x, b.weights((last, 5), last)), b.bias((5,))))


def _matmul_left(b: Network, x: str) -> str:
    return str(b.op("MatMul", b.weights((5, b.of(x).shape[-2]), 8), x))


def _matmul_per_channel(b: Network, x: str) -> str:
    return str(b.op("MatMul", x, b.weights((4, 8, 5), 8)))


def _einsum(equation: str, *shape: int) -> Spelling:
    return lambda b, x: str(b.op("Einsum", x, b.weights(shape, shape[0]), equation=equation))


def _column(b: Network, x: str) -> tuple[int, ...]:
    return (b.of(x).shape[1],) + (1,) * (b.of(x).ndim - 2)


def _factors(b: Network, shape: tuple[int, ...]) -> np.ndarray:
    if b.dyadic:
        return np.exp2(b.random.integers(-1, 2, shape)) * b.random.choice([1, 1, -1], shape)
    return b.random.uniform(0.4, 1.6, shape) * b.random.choice([1, 1, -1], shape)


def _by_channel(op: str) -> Spelling:
    return lambda b, x: str(b.op(op, x, _factors(b, _column(b, x))))


def _by_place(op: str) -> Spelling:
    return lambda b, x: str(b.op(op, x, _factors(b, (8, 8))))


def _batch_norm(b: Network, x: str) -> str:
    c = b.shape(x)[0]
    variance = np.full(c, 3.75) if b.dyadic else b.random.uniform(0.5, 2, c)
    epsilon = 0.25 if b.dyadic else 1e-3
    return str(
        b.op(
            "BatchNormalization", x, _factors(b, (c,)), b.bias((c,)), b.bias((c,)), variance, epsilon=epsilon
        )
    )


def _shortcut(op: str) -> Spelling:
    """Beside synapses of its own."""
    return lambda b, x: str(b.op(op, x, _conv(pads=[1] * 4)(b, x)))


def _several(op: str) -> Spelling:
    def spell(b: Network, x: str) -> str:
        turned = b.op("Transpose", x, perm=[0, 1, 3, 2])
        return str(b.op(op, x, turned, _by_channel("Mul")(b, x)))

    return spell


def _clip_tensor(b: Network, x: str) -> str:
    return clip(b, x, -0.5, 1.0)


def _cum_sum(b: Network, x: str) -> str:
    return str(b.op("CumSum", x, np.asarray(3, np.int64)))


def _scattered_constant(b: Network, x: str) -> str:
    shape = (b.of(x).shape[0], 1, 8, 8)
    return str(b.op("ScatterElements", x, np.ones(shape, np.int64), b.weights(shape, 1), axis=1))


_CONVS: Mapping[str, Middle] = {
    "Conv": Middle(_conv(pads=[1] * 4)),
    "Conv without bias": Middle(_conv(bias=False)),
    "Conv strided": Middle(_conv(strides=[2, 1], pads=[1, 0, 0, 1])),
    "Conv grouped": Middle(_conv(group=2)),
    "Conv depthwise": Middle(_conv(group=4, pads=[1] * 4)),
    "Conv depthwise multiplied": Middle(_conv(group=4, channels=8)),
    "Conv dilated": Middle(_conv(dilations=[2, 2], pads=[2] * 4)),
    "Conv SAME_UPPER": Middle(_conv(auto_pad="SAME_UPPER", strides=[2, 2])),
    "Conv SAME_LOWER": Middle(_conv(auto_pad="SAME_LOWER", kernel=2)),
    "Conv VALID": Middle(_conv(auto_pad="VALID")),
    "Conv sequence": Middle(_conv(rank=1, pads=[1, 1]), shape="sequence"),
    "Conv sequence causal": Middle(_conv(rank=1, pads=[4, 0], dilations=[2]), shape="sequence"),
    "Conv volume": Middle(_conv(rank=3, kernel=2), shape="volume"),
    "ConvTranspose": Middle(_conv("ConvTranspose", kernel=2, strides=[2, 2])),
    "ConvTranspose output_padding": Middle(
        _conv("ConvTranspose", strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
    ),
    "ConvTranspose output_shape": Middle(_conv("ConvTranspose", strides=[2, 2], output_shape=[16, 16])),
    "ConvTranspose grouped": Middle(_conv("ConvTranspose", kernel=2, group=2, strides=[2, 2])),
    "ConvTranspose dilated": Middle(_conv("ConvTranspose", dilations=[2, 2])),
    "ConvTranspose SAME_UPPER": Middle(_conv("ConvTranspose", strides=[2, 2], auto_pad="SAME_UPPER")),
    "ConvTranspose sequence": Middle(
        _conv("ConvTranspose", rank=1, kernel=4, strides=[2], pads=[1, 1]), shape="sequence"
    ),
}
_DENSE: Mapping[str, Middle] = {
    "Gemm": Middle(_gemm(c=(6,)), shape="vector"),
    "Gemm transB": Middle(_gemm(c=(6,), transB=1), shape="vector"),
    "Gemm alpha beta": Middle(_gemm(c=(6,), alpha=0.5, beta=2.0), shape="vector"),
    "Gemm without C": Middle(_gemm(alpha=0.25), shape="vector", since=11),
    "Gemm C of one row": Middle(_gemm(c=(1, 6)), shape="vector"),
    "Gemm C of a number": Middle(_gemm(c=(), beta=0.5), shape="vector"),
    "MatMul": Middle(_matmul, shape="vector"),
    "MatMul tokens": Middle(_matmul, shape="sequence"),
    "MatMul images": Middle(_matmul),
    "MatMul left": Middle(_matmul_left, shape="sequence"),
    "MatMul by channel": Middle(_matmul_per_channel),
    "Einsum dense": Middle(_einsum("bi,io->bo", 8, 5), shape="vector", since=12),
    "Einsum tokens": Middle(_einsum("btd,df->btf", 12, 5), shape="sequence", since=12),
    "Einsum over time": Middle(_einsum("btd,ts->bsd", 4, 3), shape="sequence", since=12),
    "Einsum channels": Middle(_einsum("bchw,oc->bohw", 3, 4), since=12),
    "Einsum ellipsis": Middle(_einsum("...i,ij->...j", 8, 3), since=12),
}
_LINES: Mapping[str, Middle] = {
    "BatchNormalization": Middle(_batch_norm),
    "BatchNormalization vector": Middle(_batch_norm, shape="vector"),
    "Mul a number": Middle(one("Mul", 0.5)),
    "Mul by channel": Middle(_by_channel("Mul")),
    "Mul by place": Middle(_by_place("Mul")),
    "Div by channel": Middle(_by_channel("Div")),
    "Add a number": Middle(one("Add", 0.375)),
    "Add by channel": Middle(_by_channel("Add")),
    "Add by place": Middle(_by_place("Add")),
    "Sub from a number": Middle(lambda b, x: str(b.op("Sub", 1.0, x))),
    "Neg": Middle(one("Neg")),
    "shortcut Add": Middle(_shortcut("Add")),
    "shortcut Sub": Middle(_shortcut("Sub")),
    "shortcut Max": Middle(_shortcut("Max"), synaptic=False),
    "shortcut Mul": Middle(_shortcut("Mul"), synaptic=False),
    "Sum of three": Middle(_several("Sum")),
    "Mean of three": Middle(_several("Mean")),
    "Max of three": Middle(_several("Max"), synaptic=False),
    "Max with a number": Middle(one("Max", 0.25)),
    "Min with a number": Middle(one("Min", 0.75)),
    "Max by channel": Middle(_by_channel("Max")),
    "Relu": Middle(one("Relu")),
    "Clip": Middle(_clip_tensor),
    "LeakyRelu": Middle(one("LeakyRelu", alpha=0.25)),
    "PRelu": Middle(lambda b, x: str(b.op("PRelu", x, np.abs(_factors(b, _column(b, x))) / 4))),
    "PRelu of one slope": Middle(lambda b, x: str(b.op("PRelu", x, np.asarray([0.25])))),
    "HardSigmoid": Middle(one("HardSigmoid", alpha=0.25, beta=0.5)),
    "ThresholdedRelu": Middle(one("ThresholdedRelu", alpha=0.5), synaptic=False),
    "Abs": Middle(one("Abs"), synaptic=False),
    "CumSum": Middle(_cum_sum, since=11, synaptic=False),
    "ScatterElements": Middle(_scattered_constant, since=11, synaptic=False),
}
_FUNCTIONS: Mapping[str, tuple[str, int, dict[str, Any]]] = {
    "Sigmoid": ("Sigmoid", 10, {}),
    "Tanh": ("Tanh", 10, {}),
    "Softplus": ("Softplus", 10, {}),
    "Softsign": ("Softsign", 10, {}),
    "Elu": ("Elu", 10, {}),
    "Selu": ("Selu", 10, {}),
    "Celu": ("Celu", 12, {}),
    "HardSwish": ("HardSwish", 14, {}),
    "Mish": ("Mish", 18, {}),
    "Gelu": ("Gelu", 20, {}),
    "Erf": ("Erf", 10, {}),
    "Exp": ("Exp", 10, {}),
    "Softmax": ("Softmax", 13, {"axis": 1}),
    "Softmax opset 10": ("Softmax", 10, {}),
    "LogSoftmax": ("LogSoftmax", 13, {"axis": -1}),
    "LpNormalization": ("LpNormalization", 10, {"axis": 1}),
    "MeanVarianceNormalization": ("MeanVarianceNormalization", 13, {"axes": [2, 3]}),
    "Shrink": ("Shrink", 10, {"lambd": 0.5, "bias": 0.25}),
    "Round": ("Round", 11, {}),
    "Floor": ("Floor", 10, {}),
    "Sin": ("Sin", 10, {}),
}


def _swish(b: Network, x: str) -> str:
    return str(b.op("Mul", x, b.op("Sigmoid", x)))


def _gated(b: Network, x: str) -> str:
    """Squeeze and excitation."""
    return str(b.op("Mul", x, b.op("HardSigmoid", _conv(kernel=1)(b, b.op("GlobalAveragePool", x)))))


def _layer_norm(b: Network, x: str) -> str:
    return str(b.op("LayerNormalization", x, _factors(b, (8,)), b.bias((8,)), axis=-1))


def _instance_norm(b: Network, x: str) -> str:
    c = b.shape(x)[0]
    return str(b.op("InstanceNormalization", x, _factors(b, (c,)), b.bias((c,))))


def _attention(b: Network, x: str) -> str:
    scores = b.op("MatMul", x, b.op("Transpose", x, perm=[0, 2, 1]))
    return str(b.op("MatMul", b.op("Softmax", scores, axis=-1), x))


_CURVES: Mapping[str, Middle] = {
    **{n: Middle(one(op, **a), since=o, synaptic=False) for n, (op, o, a) in _FUNCTIONS.items()},
    "Pow 2": Middle(one("Pow", 2.0), synaptic=False),
    "x times Sigmoid": Middle(_swish, synaptic=False),
    "squeeze and excitation": Middle(_gated, synaptic=False),
    "LayerNormalization": Middle(_layer_norm, since=17, synaptic=False),
    "InstanceNormalization": Middle(_instance_norm, synaptic=False),
    "attention": Middle(_attention, shape="sequence", since=13, synaptic=False),
}

ARITHMETIC: Mapping[str, Middle] = {**_CONVS, **_DENSE, **_LINES, **_CURVES}

__all__ = ["ARITHMETIC", "whole"]
