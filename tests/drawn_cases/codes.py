"""Tensors of integer codes, and the synapses between them: QLinearConv, QLinearMatMul, QGemm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from drawn_cases.building import MICROSOFT, Network


@dataclass(frozen=True)
class Codes:
    """A tensor of codes: value = scale · (code − zero).

    Attributes:
        name: Of the tensor.
        scale: Constant.
        zero: Constant, of the type of the codes.
    """

    name: str
    scale: np.ndarray
    zero: np.ndarray

    @property
    def both(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and zero point."""
        return self.scale, self.zero


@dataclass(frozen=True)
class Form:
    """How codes and weights are typed.

    Attributes:
        kind: Type of the codes.
        zero: Their zero point.
        weights: Type of the weights' codes.
        by_channel: Each output channel has a scale of its own.
    """

    kind: Any
    zero: int
    weights: Any = np.int8
    by_channel: bool = False


FORMS: Mapping[str, Form] = {
    "QLinear uint8": Form(np.uint8, 0),
    "QLinear uint8 zero point": Form(np.uint8, 119),
    "QLinear uint8 by channel": Form(np.uint8, 7, by_channel=True),
    "QLinear uint8 weights": Form(np.uint8, 128, np.uint8),
    "QLinear int8": Form(np.int8, -128),
    "QLinear int8 odd": Form(np.int8, -5),
    "QLinear int8 by channel": Form(np.int8, 0, by_channel=True),
}


def encode(b: Network, x: str, form: Form) -> Codes:
    """Floats to codes."""
    scale = np.float32(b.step(x, 100))
    zero = np.asarray(form.zero, form.kind)
    return Codes(b.op("QuantizeLinear", x, b.hold(scale), zero), scale, zero)


def decode(b: Network, c: Codes) -> str:
    """Codes to floats."""
    return str(b.op("DequantizeLinear", c.name, b.hold(c.scale), c.zero))


def drawn_weights(
    b: Network, shape: tuple[int, ...], form: Form, axis: int
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Codes, so small that no 16-bit sum of two products overflows; scale, zero point."""
    values = b.random.integers(-40, 41, shape)
    count = shape[axis] if form.by_channel else ()
    exponents = b.random.integers(-7, -5, count)
    scale = np.exp2(exponents.astype(float)) * (1 if b.dyadic else b.random.uniform(0.7, 1.1, count))
    offset = 128 if form.weights == np.uint8 else 0
    return (
        (values + offset).astype(form.weights),
        np.asarray(scale, np.float32),
        np.full(np.shape(scale), offset).astype(form.weights),
    )


def _reach(b: Network, c: Codes, weight_scale: np.ndarray, fan_in: int, form: Form) -> Codes:
    """Scale and zero point of sums of ``fan_in`` products; the name is not known yet."""
    spread = float(np.std(b.of(c.name).astype(float) - float(c.zero)) + 1)
    top = float(c.scale) * float(np.max(weight_scale)) * spread * 23 * np.sqrt(fan_in) * 2.5
    scale = np.exp2(np.round(np.log2(top / 120))) if b.dyadic else float(f"{top / 120:.3g}")
    return Codes("", np.float32(scale), np.asarray(form.zero, form.kind))


def conv(
    b: Network, c: Codes, form: Form, *, channels: int = 4, kernel: int = 3, bias: bool = True,
    domain: str = "", **extra: Any
) -> Codes:  # fmt: skip
    """QLinearConv."""
    rank = b.of(c.name).ndim - 2
    given = b.shape(c.name)[-1 if extra.get("channels_last") else 0] // extra.get("group", 1)
    codes, scale, zero = drawn_weights(b, (channels, given, *[kernel] * rank), form, 0)
    out = _reach(b, c, scale, given * kernel**rank, form)
    terms = b.random.integers(-300, 301, channels).astype(np.int32) if bias else None
    name = b.op(
        "QLinearConv", c.name, *held(b, c), codes, b.hold(scale), zero, *held(b, out), terms,
        domain=domain, **extra,
    )  # fmt: skip
    return Codes(name, *out.both)


def held(b: Network, c: Codes) -> tuple[str, np.ndarray]:
    return b.hold(c.scale), c.zero


def dense(b: Network, c: Codes, form: Form, outputs: int = 6) -> Codes:
    """QLinearMatMul."""
    given = b.of(c.name).shape[-1]
    codes, scale, zero = drawn_weights(b, (given, outputs), form, 1)
    out = _reach(b, c, scale, given, form)
    name = b.op("QLinearMatMul", c.name, *held(b, c), codes, b.hold(scale), zero, *held(b, out))
    return Codes(name, *out.both)


def q_gemm(b: Network, c: Codes, form: Form, outputs: int = 6, *, floating: bool = False) -> Codes | str:
    """com.microsoft QGemm, to codes or to floats."""
    given = b.of(c.name).shape[-1]
    codes, scale, zero = drawn_weights(b, (outputs, given), form, 0)
    out = _reach(b, c, scale, given, form)
    terms = b.random.integers(-300, 301, outputs).astype(np.int32)
    last = () if floating else held(b, out)
    name = b.op(
        "QGemm", c.name, *held(b, c), codes, b.hold(scale), zero, terms, *last, domain=MICROSOFT, transB=1
    )
    return str(name) if floating else Codes(name, *out.both)
