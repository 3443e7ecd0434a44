"""What a network is given: each input type, and how its numbers become those that synapses read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from drawn_cases.building import FLOAT, MICROSOFT, Network, floats

Source = Callable[[Network, tuple[int, ...]], np.ndarray]
#: From an input's name to the name of floats.
Reading = Callable[[Network, str], str]


def _real(b: Network, shape: tuple[int, ...]) -> np.ndarray:
    """Quarters up to two, or any floats."""
    if b.dyadic:
        return b.random.integers(-8, 9, shape) / 4.0
    return b.random.normal(0, 1.2, shape)


def _whole(low: int, high: int) -> Source:
    return lambda b, shape: b.random.integers(low, high + 1, shape)


def _plain(b: Network, x: str) -> str:
    return x


def _cast(b: Network, x: str) -> str:
    return str(b.op("Cast", x, to=floats(b.real)))


def _scaled(b: Network, x: str) -> str:
    return str(b.op("Mul", _cast(b, x), b.step(x, 4)))


def _standardised(b: Network, x: str) -> str:
    """Pixels less their mean, divided by their deviation, by channel."""
    channels = b.of(x).shape[1]
    column = (channels,) + (1,) * (b.of(x).ndim - 2)
    mean = np.linspace(112, 128, channels).reshape(column)
    mean = np.round(mean) if b.dyadic else mean + 0.3
    return str(
        b.op("Div", b.op("Sub", _cast(b, x), mean), 64.0 * np.ones(column) if b.dyadic else 57.3 + 0 * mean)
    )


def _dequantised(zero: int) -> Reading:
    def read(b: Network, x: str) -> str:
        kind = b.of(x).dtype
        foreign = b.opset < 21 and kind.itemsize == 2
        scale = b.step(x, 4)
        zeros = [np.asarray(zero, kind)] if kind != np.int32 else []
        code = b.op("DequantizeLinear", x, b.hold(scale), *zeros, domain=MICROSOFT if foreign else "")
        return str(code)

    return read


def _dequantised_by_channel(b: Network, x: str) -> str:
    channels = b.of(x).shape[1]
    scale = b.step(x, 4) * np.exp2(-np.arange(channels) % 2)
    zero = (np.arange(channels) + 3).astype(b.of(x).dtype)
    return str(b.op("DequantizeLinear", x, b.hold(scale), zero, axis=1))


def _requantised(b: Network, x: str) -> str:
    """As exporters write a quantised input: QuantizeLinear, DequantizeLinear."""
    step = b.step(x, 100)
    names = [b.hold(step), b.hold(np.asarray(3, np.int8))]
    return str(b.op("DequantizeLinear", b.op("QuantizeLinear", x, *names), *names))


#: Name: type of the input, what it holds, how it is read.
SOURCES: Mapping[str, tuple[str, Source, Reading]] = {
    "float32": ("float32", _real, _plain),
    "float32 quantised": ("float32", _real, _requantised),
    "float16 cast": ("float16", _real, _cast),
    "float64 cast": ("float64", _real, _cast),
    "uint8 cast": ("uint8", _whole(0, 20), _cast),
    "uint8 cast mul": ("uint8", _whole(0, 255), _scaled),
    "uint8 standardised": ("uint8", _whole(0, 255), _standardised),
    "uint8 dequantised": ("uint8", _whole(0, 255), _dequantised(113)),
    "uint8 dequantised by channel": ("uint8", _whole(0, 255), _dequantised_by_channel),
    "int8 cast mul": ("int8", _whole(-128, 127), _scaled),
    "int8 dequantised": ("int8", _whole(-128, 127), _dequantised(-7)),
    "int16 cast mul": ("int16", _whole(-300, 300), _scaled),
    "int16 dequantised": ("int16", _whole(-1000, 1000), _dequantised(5)),
    "uint16 dequantised": ("uint16", _whole(0, 2000), _dequantised(1000)),
    "int32 cast mul": ("int32", _whole(-300, 300), _scaled),
    "int32 dequantised": ("int32", _whole(-300, 300), _dequantised(0)),
    "int64 cast": ("int64", _whole(-3, 3), _cast),
    "bool cast": ("bool", _whole(0, 1), _cast),
    # These compute in another type than float32.
    "float16 throughout": ("float16", _real, _plain),
    "float64 throughout": ("float64", _real, _plain),
}

REALS = {"float16 throughout": np.float16, "float64 throughout": np.float64}

__all__ = ["FLOAT", "REALS", "SOURCES"]
