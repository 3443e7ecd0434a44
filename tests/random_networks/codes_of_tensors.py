"""Tensors of integer codes: from floats, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import TensorProto

from random_networks.building import Building, Tensor

#: By the type of a code, zero points.
_ZEROS = {np.uint8: (0, 3, 128), np.int8: (0, -5, -128)}
_ELEMENTS = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}


@dataclass(frozen=True)
class Codes:
    """A tensor whose values are scale · (code − zero).

    Attributes:
        name: Of the tensor.
        scale: A power of two in an exact network.
        kind: Type of a code.
        parameters: Names of scale and zero point.
    """

    name: str
    scale: float
    kind: Any
    parameters: tuple[str, str]

    @property
    def element(self) -> int:
        """ONNX's number of the type."""
        return int(_ELEMENTS[self.kind])

    def scaled(self, b: Building, factor: float) -> Codes:
        """Codes of another scale, and another zero point."""
        return _held(b, self.scale * factor, self.kind)

    def named(self, name: str) -> Codes:
        """The tensor ``name`` with these parameters."""
        return replace(self, name=name)


def _held(b: Building, scale: float, kind: Any) -> Codes:
    return Codes("", scale, kind, (b.hold(scale), b.hold(b.pick(_ZEROS[kind]), kind)))


def coded(b: Building, x: Tensor, kind: Any = None) -> Codes:
    """Codes of ``x``."""
    scale = 2.0 ** (round(math.log2(max(x.top, 1e-3))) - 6)
    held = _held(
        b,
        scale if b.exact else float(np.float32(scale * b.random.uniform(0.7, 1.3))),
        kind or b.pick([np.uint8, np.uint8, np.int8]),
    )
    return held.named(b.op("QuantizeLinear", x, *held.parameters))


def decoded(b: Building, code: Codes, like: Tensor) -> Tensor:
    """What codes stand for; activations' values."""
    name = b.op("DequantizeLinear", code.name, *code.parameters)
    top = 256 * code.scale
    return b.value(name, like=like, unit=code.scale, top=top, levels=True, finite=True)


def codes_fit(b: Building, x: Tensor, fan_in: int) -> bool:
    """Whether sums of codes are exact, and a scale of ordinary size exists."""
    return b.opset >= 10 and 256 * 4 * fan_in < 2**20 and x.top < 2**16


def small_codes(b: Building, shape: tuple[int, ...]) -> np.ndarray:
    """Weights."""
    return np.asarray(b.random.integers(-4, 5, shape), np.int8)


def weight_scales(b: Building, shape: Any = ()) -> np.ndarray:
    """Scales of weights; powers of two in an exact network."""
    scales = np.ldexp(1.0, b.random.integers(-3, 0, shape))
    return np.asarray(scales if b.exact else scales * b.random.uniform(0.6, 1.4, shape), np.float32)
