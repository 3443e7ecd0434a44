"""What a network is given: each input type, and how its numbers become the floats that synapses read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from random_networks.building import Building, Tensor

#: From an input's name and its step, the name of floats.
Reading = Callable[[Building, str, float], str]


@dataclass(frozen=True)
class Kind:
    """A type of input.

    Attributes:
        dtype: Of numpy.
        read: How it becomes float32.
        low: Lowest number; of floats the lowest quarter.
        high: Highest.
        zero: What is taken off before the step multiplies it.
        opset: The first that has its operators.
    """

    dtype: str
    read: Reading
    low: int = -8
    high: int = 8
    zero: int = 0
    opset: int = 9

    @property
    def whole(self) -> bool:
        """Whether its numbers are integers."""
        return not self.dtype.startswith("float")

    def draw(self, b: Building, shape: tuple[int, ...]) -> np.ndarray:
        """Integers; quarters, or any floats."""
        if self.whole or b.exact:
            values = b.random.integers(self.low, self.high + 1, shape)
            return np.asarray(values if self.whole else values * 0.25).astype(self.dtype)
        return b.random.normal(0, 1.5, shape).astype(self.dtype)

    def opposite(self, values: np.ndarray) -> np.ndarray:
        """Other numbers of this type, far from those."""
        if not self.whole:
            return np.asarray(values * -4, values.dtype)
        return np.asarray(self.low + self.high - values.astype(np.int64)).astype(values.dtype)


def _plain(b: Building, x: str, step: float) -> str:
    return x


def _cast(b: Building, x: str, step: float) -> str:
    return str(b.op("Cast", x, to=TensorProto.FLOAT))


def _scaled(b: Building, x: str, step: float) -> str:
    return str(b.op("Mul", _cast(b, x, step), step))


def _dequantised(dtype: str, zero: int) -> Reading:
    def read(b: Building, x: str, step: float) -> str:
        zeros = [] if dtype == "int32" else [b.hold(zero, dtype)]
        return str(b.op("DequantizeLinear", x, step, *zeros))

    return read


#: The simplest first.
KINDS: Mapping[str, Kind] = {
    "float32": Kind("float32", _plain),
    "float64": Kind("float64", _cast),
    "float16": Kind("float16", _cast),
    "uint8": Kind("uint8", _scaled, 0, 8),
    "int8": Kind("int8", _scaled),
    "int16": Kind("int16", _scaled),
    "int32": Kind("int32", _scaled),
    "int64": Kind("int64", _scaled),
    "bool": Kind("bool", _scaled, 0, 1),
    "uint8 codes": Kind("uint8", _dequantised("uint8", 113), 105, 121, 113, 10),
    "int8 codes": Kind("int8", _dequantised("int8", -7), -15, 1, -7, 10),
    "int32 codes": Kind("int32", _dequantised("int32", 0), opset=10),
}


def drawn_input(b: Building, shape: tuple[int, ...]) -> Tensor:
    """A new input of any type, as floats: multiples of 1/4 up to 2, or any."""
    allowed = [name for name, kind in KINDS.items() if kind.opset <= b.opset]
    kind = KINDS[b.pick(["float32", b.pick(allowed)])]
    name = b.add_input(kind.dtype, shape)
    step = 0.25 if b.exact else 0.23
    b.kinds[name] = kind
    return Tensor(kind.read(b, name, step), shape, 0.25, 2.0 if b.exact else 8.0)
