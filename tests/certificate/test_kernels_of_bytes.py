"""What the int8 execution rounds once more is excused, and no more: a multiplier that is off is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.parser import parse_model

import onnx2snn
from onnx2snn.compile import byte_lines

_BODY = """a_q = QuantizeLinear(x, s, z) a = DequantizeLinear(a_q, s, z) w = DequantizeLinear(w_q, w_s, w_z)
    c = Conv<pads = [1, 1, 1, 1], group = 16>(a, w) y_q = QuantizeLinear(c, t, z) y = DequantizeLinear(y_q, t, z)"""


def network(s: float, w_s: float, t: float, seed: float) -> onnx.ModelProto:
    """A depthwise convolution between 8-bit quantisers of these scales; each test has its own, so that none meets a cache."""
    held = f"float s = {{{s}}}, float t = {{{t}}}, float w_s = {{{w_s}}}, uint8 z = {{120}}, int8 w_z = {{0}}"
    text = f"agraph (float[N, 16, 8, 8] x) => (float[N, 16, 8, 8] y) <{held}> {{ {_BODY} }}"
    model = parse_model(f'<ir_version: 8, opset_import: ["" : 17]>\n{text}')
    weights = np.random.default_rng(int(seed * 2**23)).integers(-127, 128, (16, 1, 3, 3)).astype(np.int8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w_q"))
    return model


def multiplied(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Let kernels multiply by so much more."""
    known = byte_lines.fitted

    def more(*given: Any) -> Any:
        found = known(*given)
        return found and found._replace(multiplier=(found.multiplier * np.float32(factor)).astype(np.float32))

    monkeypatch.setattr(byte_lines, "fitted", more)


@pytest.mark.parametrize(
    ("scales", "factor", "lossless"),
    [
        ((0.0471, 0.0037, 0.0613), 1, True),
        ((0.0471, 0.0037, 0.0613), 1 + 2**-22, True),
        ((0.0471, 0.0037, 0.0613), 1 + 2**-12, False),
        ((0.0625, 0.00390625, 0.0625), 1, True),
        ((0.0625, 0.00390625, 0.0625), 1 + 2**-22, False),
    ],
    ids=["as it is", "nearly", "off", "exact", "exact, nearly"],
)
def test_multipliers(
    scales: tuple[float, float, float], factor: float, lossless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where scales are powers of two nothing is rounded, and nothing excused."""
    source = network(*scales, seed=factor)
    converted = onnx2snn.convert(source).model
    x = np.random.default_rng(1).normal(0, 3, (32, 16, 8, 8)).astype(np.float32)
    multiplied(monkeypatch, factor)
    assert onnx2snn.verify(source, converted, {"x": x}, execution="int8").lossless is lossless
