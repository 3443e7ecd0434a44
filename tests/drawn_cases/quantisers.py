"""Quantised activations: each spelling, of floats to floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from drawn_cases.building import MICROSOFT, Network, floats
from drawn_cases.versions import clip

Quantiser = Callable[[Network, str], str]


def _linear(
    kind: Any, zero: int, levels: int, *, before: str = "", axis: int | None = None, microsoft: bool = False
) -> Quantiser:
    """QuantizeLinear, DequantizeLinear of one code type."""

    def spell(b: Network, z: str) -> str:
        if before == "Clip":
            z = clip(b, z, 0, 6)
        elif before:
            z = b.op(before, z)
        by_channel = axis if b.of(z).ndim > 1 else None
        step = b.step(z, levels, by_channel)
        dtype = np.dtype(kind)
        small = b.opset < 21 and dtype not in (np.dtype(np.uint8), np.dtype(np.int8))
        domain = MICROSOFT if microsoft or small else ""
        names = [b.hold(step), b.hold(np.full(step.shape, zero).astype(dtype))]
        extra = {"axis": by_channel} if by_channel is not None else {}
        code = b.op("QuantizeLinear", z, *names, domain=domain, **extra)
        return str(b.op("DequantizeLinear", code, *names, domain=domain, **extra))

    return spell


def _no_zero_point(b: Network, z: str) -> str:
    """Without a zero point: uint8 and 0."""
    scale = b.hold(b.step(z, 180))
    return str(b.op("DequantizeLinear", b.op("QuantizeLinear", z, scale), scale))


def _output_type(b: Network, z: str) -> str:
    """The code type by ``output_dtype``, of opset 21 on."""
    scale = b.hold(b.step(z, 100))
    code = b.op("QuantizeLinear", z, scale, output_dtype=floats("int8"))
    return str(b.op("DequantizeLinear", code, scale))


def _levels(b: Network, z: str, low: int, high: int, rounding: str = "Round") -> str:
    step = b.hold(b.step(z, max(high, -low)))
    scaled = b.op("Div", z, step)
    if rounding == "half up":
        level = b.op("Floor", b.op("Add", scaled, 0.5))
    else:
        level = b.op(rounding, scaled)
    return str(b.op("Mul", clip(b, level, low, high), step))


def _lsq(b: Network, z: str) -> str:
    step = b.hold(b.step(z, 12))
    return str(b.op("Mul", b.op("Round", clip(b, b.op("Div", z, step), 0, 15)), step))


def _signed(b: Network, z: str) -> str:
    return _levels(b, z, -8, 7)


def _floor(b: Network, z: str) -> str:
    return _levels(b, z, 0, 7, "Floor")


def _ceil(b: Network, z: str) -> str:
    return _levels(b, z, -1, 12, "Ceil")


def _half_up(b: Network, z: str) -> str:
    return _levels(b, z, 0, 16, "half up")


def _qcfs(b: Network, z: str) -> str:
    """λ·clip(floor(z·Q/λ + 1/2)/Q, 0, 1)."""
    count = 8.0
    bound = b.hold(b.step(z, 1))
    level = b.op("Floor", b.op("Add", b.op("Mul", b.op("Div", z, bound), count), 0.5))
    return str(b.op("Mul", clip(b, b.op("Div", level, count), 0, 1), bound))


def _dorefa(b: Network, z: str) -> str:
    return str(b.op("Div", b.op("Round", b.op("Mul", clip(b, z, 0, 1), 16.0)), 16.0))


def _pact(b: Network, z: str) -> str:
    step = b.step(z, 10)
    clipped = b.op("Min", b.op("Relu", z), 15.0 * step)
    return str(b.op("Mul", b.op("Round", b.op("Div", clipped, step)), step))


def _by_cast(b: Network, z: str) -> str:
    """min(relu(z)/s, 15), cut off to int32."""
    step = b.hold(b.step(z, 15))
    code = b.op("Cast", b.op("Min", b.op("Relu", b.op("Div", z, step)), 15.0), to=floats("int32"))
    return str(b.op("Mul", b.op("Cast", code, to=floats(b.real)), step))


def _by_uint8(b: Network, z: str) -> str:
    """Rounded, clipped, cast to uint8 and back."""
    step = b.hold(b.step(z, 200))
    level = clip(b, b.op("Round", b.op("Div", z, step)), 0, 255)
    return str(b.op("Mul", b.op("Cast", b.op("Cast", level, to=floats("uint8")), to=floats(b.real)), step))


def _fake(b: Network, z: str) -> str:
    """(clip(round(z/s) + zp, 0, 255) − zp)·s."""
    step, zero = b.hold(b.step(z, 120)), b.hold(np.asarray(37.0))
    code = clip(b, b.op("Add", b.op("Round", b.op("Div", z, step)), zero), 0, 255)
    return str(b.op("Mul", b.op("Sub", code, zero), step))


def _max_min(b: Network, z: str) -> str:
    """The clip by Max and Min, by channel."""
    step = b.step(z, 12, 1) if b.of(z).ndim > 1 else b.step(z, 12)
    step = step.reshape(step.shape + (1,) * (b.of(z).ndim - 2)) if step.ndim else step
    level = b.op("Round", b.op("Min", b.op("Max", b.op("Div", z, step), 0.0), 15.0))
    return str(b.op("Mul", level, step))


def _hard_sigmoid(b: Network, z: str) -> str:
    gate = b.op("HardSigmoid", z, alpha=0.25, beta=0.5)
    return str(b.op("Div", b.op("Round", b.op("Mul", gate, 8.0)), 8.0))


def _sign(b: Network, z: str) -> str:
    return str(b.op("Mul", b.op("Sign", b.op("Sub", z, 0.125)), 0.5))


def _comparison(b: Network, z: str) -> str:
    above = b.op("Greater", z, 0.25)
    return str(b.op("Where", above, 0.75, 0.0))


def _comparisons(join: str) -> Quantiser:
    """Two steps by comparisons that And, Or, Xor join, chosen by Where and counted by Cast."""

    def spell(b: Network, z: str) -> str:
        low, high = b.op("GreaterOrEqual", z, 0.25), b.op("Not", b.op("LessOrEqual", z, 1.0))
        both = b.op(join, low, high)
        other = b.op("Cast", b.op("Less", z, -0.5), to=floats(b.real))
        return str(b.op("Add", b.op("Where", both, 0.5, 0.0), b.op("Mul", other, -0.25)))

    return spell


def _equal(b: Network, z: str) -> str:
    """Levels, the third of which is put down to nothing."""
    level = clip(b, b.op("Round", b.op("Div", z, b.hold(b.step(z, 5)))), 0, 3)
    return str(b.op("Where", b.op("Equal", level, 3.0), 0.0, level))


#: Name: its spelling, and the first opset that has it.
QUANTISERS: Mapping[str, tuple[Quantiser, int]] = {
    "QDQ uint8": (_linear(np.uint8, 0, 180), 10),
    "QDQ uint8 zero point": (_linear(np.uint8, 121, 120), 10),
    "QDQ int8": (_linear(np.int8, 0, 100), 10),
    "QDQ int8 odd zero point": (_linear(np.int8, -13, 100), 10),
    "QDQ int8 unsigned range": (_linear(np.int8, -128, 180), 10),
    "QDQ uint8 behind Relu": (_linear(np.uint8, 0, 180, before="Relu"), 10),
    "QDQ uint8 behind Clip": (_linear(np.uint8, 3, 180, before="Clip"), 10),
    "QDQ int8 behind Relu": (_linear(np.int8, -128, 180, before="Relu"), 10),
    "QDQ uint8 by channel": (_linear(np.uint8, 5, 150, axis=1), 13),
    "QDQ int8 by channel": (_linear(np.int8, 0, 100, axis=1), 13),
    "QDQ uint4": (_linear(ml_dtypes.uint4, 2, 11), 21),
    "QDQ int4": (_linear(ml_dtypes.int4, 0, 7), 21),
    "QDQ uint16": (_linear(np.uint16, 31, 30000), 10),
    "QDQ int16": (_linear(np.int16, 0, 20000), 10),
    "QDQ uint8 com.microsoft": (_linear(np.uint8, 9, 180, microsoft=True), 10),
    "QDQ without zero point": (_no_zero_point, 10),
    "QDQ output_dtype": (_output_type, 21),
    "LSQ": (_lsq, 11),
    "signed levels": (_signed, 11),
    "floor": (_floor, 10),
    "ceil": (_ceil, 10),
    "half up": (_half_up, 10),
    "QCFS": (_qcfs, 10),
    "DoReFa": (_dorefa, 11),
    "PACT": (_pact, 11),
    "cast to int32": (_by_cast, 10),
    "cast to uint8": (_by_uint8, 11),
    "fake quantiser": (_fake, 11),
    "max, min by channel": (_max_min, 11),
    "HardSigmoid": (_hard_sigmoid, 11),
    "Sign": (_sign, 10),
    "comparison": (_comparison, 10),
    "comparisons And": (_comparisons("And"), 12),
    "comparisons Or": (_comparisons("Or"), 12),
    "comparisons Xor": (_comparisons("Xor"), 12),
    "Equal": (_equal, 11),
}
