"""Quantised activations, in the spellings of papers, exporters and hands: a = step·clip(R(z/step), low, high) and others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto

from random_networks.arithmetic import Grid, clipped, divided, multiplied, rounded
from random_networks.building import MICROSOFT, Building, Tensor
from random_networks.versions import clip

Spelling = Callable[[Building, str, Grid], str]


def activate(b: Building, x: Tensor, *, grid: Grid | None = None) -> Tensor:
    """A quantised activation of ``x``."""
    name = b.pick([n for n, (_, allowed) in SPELLINGS.items() if allowed(b, x)])
    spelling, _ = SPELLINGS[name]
    grid = _drawn_grid(b, x, name) if grid is None else grid
    result = spelling(b, x.name, grid)
    top = float(np.max(grid.step)) * (max(abs(grid.low), abs(grid.high)) + 1)
    unit = float(np.min(grid.step))
    if name == "one bit":  # or one of two other values
        top, unit = max(top, 1.0), min(unit, 0.5)
    return b.value(result, like=x, unit=unit, top=top, levels=name != "thresholds", finite=True, bent=False)


def _drawn_grid(b: Building, x: Tensor, name: str) -> Grid:
    low, high = b.pick(_RANGES.get(name, _CODES))
    by_axis = name not in _SCALAR and (name != "QuantizeLinear" or b.opset >= 13)
    per_channel = by_axis and len(x.shape) in (1, 3, 4) and b.flip() and b.flip()
    reach = min(x.top, 16.0) / (2 if b.flip() else 8)
    step = 2.0 ** round(math.log2(reach / max(high, -low)))
    step = max(step, x.unit / 64)
    shape = (x.channels,) + (1,) * (len(x.shape) - 1) if per_channel else ()
    if not b.exact:
        return Grid(np.asarray(step * b.random.uniform(0.6, 1.4, shape), np.float32), low, high)
    return Grid(np.asarray(np.ldexp(step, b.random.integers(-1, 1, shape)), np.float32), low, high)


#: Lowest and highest code: K = 1 to 16 bits, unsigned, signed, asymmetric.
_CODES = [
    (0, 15),
    (0, 4),
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 7),
    (0, 16),
    (0, 100),
    (0, 255),
    (-8, 7),
    (-4, 4),
    (-128, 127),
    (-3, 12),
    (-5, 250),
    (-1, 1),
    (0, 4095),
    (0, 65535),
]
_POWERS = [(0, 4), (0, 1), (0, 2), (0, 8), (0, 16), (0, 64), (0, 256)]
_UNSIGNED = [pair for pair in _CODES if pair[0] == 0]


# The spellings.


def levels_clipped(b: Building, x: str, grid: Grid) -> str:
    """step·clip(R(z/step), low, high): LSQ, and what most exporters write."""
    return multiplied(b, clipped(b, rounded(b, divided(b, x, grid)), grid.low, grid.high), grid)


def clipped_first(b: Building, x: str, grid: Grid) -> str:
    """step·R(clip(z/step, low, high)): LSQ as in its paper."""
    return multiplied(b, rounded(b, clipped(b, divided(b, x, grid), grid.low, grid.high)), grid)


def pact(b: Building, x: str, grid: Grid) -> str:
    """R(clip(z, 0, α)·K/α)·α/K: PACT, clipped in units of z."""
    top = np.float32(grid.step * np.float32(grid.high))
    return multiplied(b, rounded(b, divided(b, clipped(b, x, np.zeros_like(top), top), grid)), grid)


def pact_of_absolutes(b: Building, x: str, grid: Grid) -> str:
    """PACT as its paper writes it: clip(z, 0, α) = (|z| − |z − α| + α)/2."""
    top = np.float32(grid.step * np.float32(grid.high))
    distance = b.op("Abs", b.op("Sub", x, top))
    clipped = b.op("Mul", b.op("Add", b.op("Sub", b.op("Abs", x), distance), top), 0.5)
    # On data that are not dyadic float32 clips such a sum with an error of its own, which only rounding to nearest removes.
    return multiplied(b, rounded(b, divided(b, clipped, grid), nearest=True), grid)


def qcfs(b: Building, x: str, grid: Grid) -> str:
    """λ·clip(floor(z·Q/λ + 1/2)/Q, 0, 1): QCFS, its operators in several orders."""
    count = np.float32(grid.high)
    bound = np.float32(grid.step * count)
    ratio = b.op("Div", x, bound)
    if b.flip():
        ratio = clip(b, ratio, 0, 1)
    level = b.op("Floor", b.op("Add", b.op("Mul", ratio, count), 0.5))
    share = clip(b, b.op("Div", level, count), 0, 1)
    return b.op("Mul", share, bound)


def dorefa(b: Building, x: str, grid: Grid) -> str:
    """round(clip(z, 0, 1)·K)/K: DoReFa."""
    count = np.float32(grid.high)
    return b.op("Div", rounded(b, b.op("Mul", clipped(b, x, 0, 1), count)), count)


def straight_through(b: Building, x: str, grid: Grid) -> str:
    """c + (q − c), as a straight-through estimator is exported."""
    c = clipped(b, x, grid.step * np.float32(grid.low), grid.step * np.float32(grid.high))
    q = multiplied(b, rounded(b, divided(b, c, grid)), grid)
    return b.op("Add", c, b.op("Sub", q, c))


def fake_quantiser(b: Building, x: str, grid: Grid) -> str:
    """(clip(round(z/s) + zp, 0, K) − zp)·s: fake-quantisation, spelled out."""
    zero = np.float32(-grid.low)
    code = clipped(b, b.op("Add", rounded(b, divided(b, x, grid)), zero), 0, grid.levels)
    return multiplied(b, b.op("Sub", code, zero), grid)


def cast_to_integer(b: Building, x: str, grid: Grid) -> str:
    """float(int(min(relu(z)/s, K)))·s."""
    scaled = b.op("Min", divided(b, b.op("Relu", x), grid), np.float32(grid.high))
    whole = b.op("Cast", scaled, to=b.pick([TensorProto.INT32, TensorProto.INT64]))
    return multiplied(b, b.op("Cast", whole, to=TensorProto.FLOAT), grid)


def hard_sigmoid(b: Building, x: str, grid: Grid) -> str:
    """round(HardSigmoid(z)·K)/K·K·s."""
    count = np.float32(grid.high)
    slope = 1.0 / float(grid.step * count)
    level = rounded(b, b.op("Mul", b.op("HardSigmoid", x, alpha=slope, beta=b.pick([0.5, 0.0, 0.25])), count))
    return multiplied(b, level, grid)


def sign(b: Building, x: str, grid: Grid) -> str:
    """s·sign(z), at a threshold of its own or not."""
    z = b.op("Sub", x, grid.step) if b.flip() else x
    return b.op("Mul", b.op("Sign", z), grid.step)


def one_bit(b: Building, x: str, grid: Grid) -> str:
    """A comparison with a threshold: cast, or choosing between two values."""
    later = ["GreaterOrEqual", "LessOrEqual"] if b.opset >= 12 else []
    mask = b.op(b.pick(["Greater", "Less", *later]), x, grid.step)
    if b.flip():
        mask = b.op("Not", mask)
    if b.flip():
        return b.op("Where", mask, grid.step, np.float32(b.pick([0.0, -1.0])))
    return multiplied(b, b.op("Cast", mask, to=TensorProto.FLOAT), grid)


def thresholds(b: Building, x: str, grid: Grid) -> str:
    """Σ_j a_j·[z > t_j]: a table of thresholds, at any distances."""
    total = None
    for j in range(b.number(1, 3)):
        gap = np.float32(b.pick([1, 2, 3, 5]) * (j + 1))
        above = b.op("Cast", b.op("Greater", x, grid.step * gap), to=TensorProto.FLOAT)
        part = b.op("Mul", above, grid.step * np.float32(b.pick([1, 2, -1])))
        total = part if total is None else b.op("Add", total, part)
    return total


_CODE_TYPES = {
    (0, 255): np.uint8,
    (-128, 127): np.int8,
    (0, 65535): np.uint16,
    (-32768, 32767): np.int16,
    (0, 15): "uint4",
    (-8, 7): "int4",
}


def quantise_linear(b: Building, x: str, grid: Grid) -> str:
    """QuantizeLinear and DequantizeLinear, of any code type; 16- and 4-bit ones in com.microsoft before opset 21."""
    import ml_dtypes  # noqa: PLC0415 - a library of onnx's

    kind = _CODE_TYPES[grid.low, grid.high]
    kind = np.dtype(getattr(ml_dtypes, kind)) if isinstance(kind, str) else np.dtype(kind)
    foreign = b.opset < 21 and kind not in (np.dtype(np.uint8), np.dtype(np.int8))
    offset = b.pick([0, 1, 2, 7]) if grid.levels > 1 else 0
    scale = np.atleast_1d(grid.step.reshape(-1)) if not grid.scalar else grid.step.reshape(())
    zero = np.full(scale.shape, offset if grid.low == 0 else offset - 3 if offset else 0).astype(kind)
    attributes = {} if grid.scalar else {"axis": b.pick([1, -len(b.shape(x))])}
    z = b.op("Relu", x) if b.flip() else clip(b, x, 0, 6) if b.flip() else x
    names = [b.hold(scale), b.hold(zero, kind)]
    code = b.op("QuantizeLinear", z, *names, domain=MICROSOFT if foreign else "", **attributes)
    if foreign:
        b.declare(code, z, int(_element(kind)))
    result = b.op("DequantizeLinear", code, *names, domain=MICROSOFT if foreign else "", **attributes)
    return b.declare(result, z) if foreign else result


def _element(kind: np.dtype[Any]) -> int:
    from onnx import helper  # noqa: PLC0415

    return int(helper.np_dtype_to_tensor_dtype(kind))


def two_quantisers(b: Building, x: str, grid: Grid) -> str:
    """A quantiser behind a quantiser of a finer grid: a neuron behind a neuron."""
    fine = Grid(np.float32(grid.step / 2), 4 * grid.low, 4 * grid.high + 3)
    return levels_clipped(b, levels_clipped(b, x, fine), grid)


def _always(b: Building, x: Tensor) -> bool:
    return True


def _any_opset_per_axis(b: Building, x: Tensor) -> bool:
    return b.opset >= 10


def _general(b: Building, x: Tensor) -> bool:
    return not b.exact


def _straight(b: Building, x: Tensor) -> bool:
    return not x.bent


_SCALAR = ("hard sigmoid", "dorefa", "two quantisers")
_QUANTISER_RANGES = [(0, 255), (-128, 127), (0, 15), (-8, 7), (0, 65535), (-32768, 32767)]
_RANGES = {
    "pact": _UNSIGNED,
    "pact of absolutes": _UNSIGNED,
    "qcfs": _POWERS,
    "dorefa": _UNSIGNED,
    "hard sigmoid": _POWERS,
    "cast to integer": _UNSIGNED,
    "sign": [(-1, 1)],
    "one bit": [(0, 1)],
    "thresholds": [(-3, 6)],
    "QuantizeLinear": _QUANTISER_RANGES,
    "two quantisers": [(0, 3), (0, 7), (-2, 2)],
}

SPELLINGS: Mapping[str, tuple[Spelling, Callable[[Building, Tensor], bool]]] = {
    "levels clipped": (levels_clipped, _always),
    "clipped first": (clipped_first, _always),
    "pact": (pact, _always),
    "pact of absolutes": (pact_of_absolutes, _always),
    "qcfs": (qcfs, _always),
    "dorefa": (dorefa, _general),
    "straight-through": (straight_through, _always),
    "fake quantiser": (fake_quantiser, _always),
    "cast to integer": (cast_to_integer, _always),
    "hard sigmoid": (hard_sigmoid, _always),
    "sign": (sign, _straight),
    "one bit": (one_bit, _always),
    "thresholds": (thresholds, _always),
    "QuantizeLinear": (quantise_linear, _any_opset_per_axis),
    "two quantisers": (two_quantisers, _always),
}
