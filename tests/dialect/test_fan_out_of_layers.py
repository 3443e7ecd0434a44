"""How many potentials a spike reaches, as the layer table tells it."""

from __future__ import annotations

import numpy as np
from helpers_networks import Builder

import onnx2snn


def test_synapses_behind_synapses_are_multiplied() -> None:
    b = Builder()
    first = b.act(b.conv("x", (1, 4), 1))
    sums = b.add("Conv", first, np.ones((4, 1, 2, 2), np.float32), group=4, strides=[2, 2])
    second = b.act(b.add("Conv", sums, np.ones((5, 4, 3, 3), np.float32), pads=[1, 1, 1, 1]))
    last = b.add("Conv", second, np.ones((2, 5, 3, 3), np.float32), pads=[1, 1, 1, 1])
    out = b.add("GlobalAveragePool", last)
    model = b.model({"x": ["N", 1, 8, 8]}, {"y": (out, ["N", 2, 1, 1])})
    assert [layer.fan_out for layer in onnx2snn.convert(model, check=False).layers] == [9 * 5, 9 * 2]
