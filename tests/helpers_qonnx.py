"""Calls of QONNX operators, drawn; each a model of one node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from helpers_graphs import make_model, node

#: What qonnx's own executor answers to :func:`draw`, one after the other; made by ``tests/helpers_qonnx_executor.py``.
ANSWERS = Path(__file__).parent / "qonnx_answers.npy"
#: How many of them, and which.
COUNT, SEED = 300, 0

DOMAIN = "qonnx.custom_op.general"
MODES = ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "round"]


@dataclass(frozen=True)
class Call:
    """One operator, its version, attributes, inputs, and the shape of what it writes."""

    operator: str
    version: int
    attributes: dict[str, Any]
    inputs: list[np.ndarray]
    shape: tuple[int, ...]

    def model(self, opset: int = 13) -> onnx.ModelProto:
        """Of this node alone, from ``i0`` to ``y``."""
        names = [f"i{k}" for k in range(len(self.inputs))]
        one = node(self.operator, names, ["y"], domain=DOMAIN, **self.attributes)
        constants = dict(zip(names[1:], self.inputs[1:], strict=True))
        made = make_model(
            [one],
            constants,
            {"i0": self.inputs[0].shape},
            {"y": self.shape},
            opset=opset,
            domains=[DOMAIN],
            ir_version=8,
        )
        made.opset_import[1].version = self.version
        return made


def draw(count: int, seed: int) -> Iterator[Call]:
    """``count`` calls; values are multiples of half a step more often than not, so that ties are met."""
    random = np.random.RandomState(seed)
    for _ in range(count):
        yield _CALLS[random.choice(len(_CALLS), p=_WEIGHTS)](random)


def _tensor(random: Any, step: float) -> np.ndarray:
    shape = [(2, 3), (1, 3, 4, 4), (2, 3, 5)][random.randint(3)]
    if random.rand() < 0.6:
        return (random.randint(-40, 41, shape) * (step / 2)).astype(np.float32)
    return (random.rand(*shape) * 24 * step - 12 * step).astype(np.float32)


def _step(random: Any) -> float:
    return float(random.choice([0.25, 0.5, 0.1, 0.037, 1.0]))


def _zero(random: Any) -> np.float32:
    return np.float32(random.choice([0, 0, 1, 3, -2, 0.5, 2.25]))


def _attributes(random: Any) -> dict[str, Any]:
    return {
        "signed": int(random.randint(2)),
        "narrow": int(random.randint(2)),
        "rounding_mode": str(random.choice(MODES)),
    }


def _quant(random: Any) -> Call:
    step = _step(random)
    x = _tensor(random, step)
    channels = (1, 3) + (1,) * (x.ndim - 2)
    scale = (0.5 + 1.5 * random.rand(*channels)) * step if random.rand() < 0.3 else step
    inputs = [x, np.float32(scale), _zero(random), np.float32(random.choice([1, 2, 3, 4, 8]))]
    return Call(str(random.choice(["Quant", "IntQuant"])), 1, _attributes(random), inputs, x.shape)


def _bipolar(random: Any) -> Call:
    x = _tensor(random, 0.25)
    return Call("BipolarQuant", 1, {}, [x, np.float32(_step(random))], x.shape)


def _trunc(random: Any) -> Call:
    step, bits = _step(random), int(random.randint(3, 9))
    less = int(random.randint(1, bits))
    x = _tensor(random, step)
    inputs = [x, np.float32(step), _zero(random), np.float32(bits)]
    attributes = _attributes(random)
    if random.rand() < 0.5:
        inputs += [np.float32(step * 2 ** (bits - less)), np.float32(less)]
        return Call("Trunc", 2, attributes, inputs, x.shape)
    mode = {"rounding_mode": attributes["rounding_mode"]}
    return Call("Trunc", 1, mode, [*inputs, np.float32(less)], x.shape)


def _multi_threshold(random: Any) -> Call:
    step = _step(random)
    x = _tensor(random, step)
    layouts = {2: ["NC", ""], 3: ["NCW", "NWC", ""], 4: ["NCHW", "NHWC", ""]}
    layout = str(random.choice(layouts[x.ndim]))
    position = -1 if layout in ("NWC", "NHWC") or (not layout and x.ndim == 3) else 1
    channels = x.shape[position] if random.rand() < 0.7 else 1
    thresholds = random.randint(-40, 41, (channels, int(random.randint(1, 9)))) * (step / 2)
    attributes = {
        "out_dtype": "UINT4",
        "out_scale": float(random.choice([1, 0.5, 2])),
        "out_bias": float(random.choice([0, -1, 3])),
    }
    attributes |= {"data_layout": layout} if layout else {}
    return Call("MultiThreshold", 1, attributes, [x, np.sort(thresholds, axis=1).astype(np.float32)], x.shape)


def _float_quant(random: Any) -> Call:
    step, exponent = _step(random), int(random.randint(2, 5))
    x = _tensor(random, step)
    numbers = [step, exponent, random.randint(1, 4), 2 ** (exponent - 1) - 1, random.choice([1e9, 3.0])]
    attributes = {
        "rounding_mode": str(random.choice(["ROUND", "FLOOR", "CEIL"])),
        "has_inf": 0,
        "has_nan": 0,
        "has_subnormal": 1,
        "saturation": 1,
    }
    return Call("FloatQuant", 1, attributes, [x, *map(np.float32, numbers)], x.shape)


def _xnor(random: Any) -> Call:
    bits = [random.randint(0, 2, shape).astype(np.float32) for shape in ((3, 8), (8, 5))]
    return Call("XnorPopcountMatMul", 1, {}, bits, (3, 5))


def _average(random: Any) -> Call:
    codes = random.randint(0, 16, (1, 3, 4, 4)).astype(np.float32)
    attributes = {
        "stride": 2,
        "kernel": 2,
        "ibits": 4,
        "obits": int(random.randint(2, 7)),
        "signed": 0,
        "data_layout": "NCHW",
    }
    return Call("QuantAvgPool2d", 1, attributes, [codes], (1, 3, 2, 2))


_CALLS = [_quant, _trunc, _multi_threshold, _float_quant, _bipolar, _xnor, _average]
_WEIGHTS = [0.4, 0.2, 0.18, 0.08, 0.05, 0.05, 0.04]
