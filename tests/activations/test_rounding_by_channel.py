"""A rounding rule for each channel: zero points of both parities in one layer, behind levels where ties are frequent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnx2snn
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.choices import EXECUTIONS

TYPES = {
    "uint8": (onnx.TensorProto.UINT8, 0, 255),
    "int8": (onnx.TensorProto.INT8, -128, 127),
    "uint4": (onnx.TensorProto.UINT4, 0, 15),
    "int4": (onnx.TensorProto.INT4, -8, 7),
}

QUANTISERS = {
    "uint8 behind uint8": ("uint8", [0, 3, 128, 7], "uint8", [2]),
    "int8 behind uint8": ("int8", [-128, 3, -1, 6], "uint8", [128]),
    "uint4 behind int8": ("uint4", [0, 3, 8, 15], "int8", [-5]),
    "int4 behind uint4": ("int4", [-8, 3, -1, 0], "uint4", [7]),
    "int4 behind int8 by channel": ("int4", [-1, 0, 2, -3], "int8", [0, 1, -8, 5]),
}

#: What lies between both quantisers, and behind them.
BETWEEN = {
    "nothing": (["e = Identity(d)"], ["h2 = Identity(h)"]),
    "synapses": (["e = Conv(d, w2)"], ["h2 = Identity(h)"]),
    "a sum": (["c2 = Conv(x, w2)", "Q(c2 → g)", "e = Add(d, g)"], ["h2 = Identity(h)"]),
    "a ReLU": (["e = Relu(d)"], ["h2 = Identity(h)"]),
    "a maximum behind": (["e = Identity(d)"], ["h2 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(h)"]),
    "two side by side, and a maximum": (
        ["e = Identity(d)"],
        ["h1 = Concat<axis=1>(h, d)", "h3 = MaxPool<kernel_shape=[3,3]>(h1)", "h2 = Conv(h3, w4)"],
    ),
}  # fmt: skip


def network(quantisers: str, between: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray[Any, Any]]]:
    """Four channels, quantised with one zero point, then each with its own; dyadic, so that sums are exact and ties frequent."""
    second, zeros, first, starts = QUANTISERS[quantisers]
    rng = np.random.default_rng(0)
    held: dict[str, onnx.TensorProto] = {}

    def constant(name: str, values: Any) -> None:
        held[name] = numpy_helper.from_array(np.asarray(values, np.float32), name)

    def quantised(x: str, y: str, kind: str, zero: list[int], scale: list[float]) -> list[str]:
        axis = "<axis=1>" if len(zero) > 1 else ""
        shape = [len(zero)] if len(zero) > 1 else []
        held[f"{y}z"] = onnx.helper.make_tensor(f"{y}z", TYPES[kind][0], shape, zero)
        constant(f"{y}s", scale if shape else scale[0])
        return [f"{y}q = QuantizeLinear{axis}({x}, {y}s, {y}z)", f"{y} = DequantizeLinear{axis}({y}q, {y}s, {y}z)"]  # fmt: skip

    for name, shape in (("w", (4, 4, 1, 1)), ("w2", (4, 4, 1, 1)), ("w4", (4, 8, 1, 1)), ("v", (3, 4, 1, 1))):
        constant(name, rng.integers(-8, 9, shape) / 16)
    middle, behind = BETWEEN[between]
    lines = ["c = Conv(x, w)", *quantised("c", "d", first, starts, [0.25, 0.125, 0.5, 0.25][: len(starts)])]
    for line in middle:
        lines += (
            quantised("c2", "g", second, zeros, [0.25, 0.5, 0.5, 0.125]) if line.startswith("Q(") else [line]
        )
    lines += [*quantised("e", "h", second, zeros, [0.125, 0.25, 0.5, 0.375]), *behind, "y = Conv(h2, v)"]
    text = "\n".join(lines)
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]> g (float[N,4,4,4] x) => (float[N,3,a,b] y) {{ {text} }}'
    )
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(tensor for name, tensor in held.items() if name in read)
    return model, {"x": (rng.integers(-16, 17, (50, 4, 4, 4)) / 4).astype(np.float32)}


CASES = [(name, "nothing") for name in QUANTISERS] + [
    ("uint4 behind int8", name) for name in BETWEEN if name != "nothing"
]


@pytest.mark.parametrize(("quantisers", "between"), CASES)
def test_channels_round_ties_to_their_own_side(quantisers: str, between: str, tmp_path: Path) -> None:
    """The file answers as the source's does, is certified, and all executions agree on every spike."""
    source, data = network(quantisers, between)
    conversion = onnx2snn.convert(source)
    if between != "a ReLU":  # behind which every level is counted from zero
        assert any({"half_even", "half_odd"} == set(layer.rounding) for layer in conversion.layers)
    certificate = onnx2snn.verify(source, conversion.model, data)
    assert certificate.lossless
    assert certificate.max_abs_error == 0
    path = tmp_path / "snn.onnx"
    conversion.save(path)
    spikes = [SpikingSession(path, execution=name).run(data).spikes for name in EXECUTIONS]
    spikes.append(SpikingSession(path, backend="numpy").run(data).spikes)
    for name, counts in spikes[0].items():
        for other in spikes[1:]:
            np.testing.assert_array_equal(other[name], counts)


def test_the_file_says_the_rule_of_each_channel() -> None:
    source, _ = network("uint8 behind uint8", "nothing")
    conversion = onnx2snn.convert(source)
    layer = conversion.layers[-1]
    assert layer.rounding == ["half_even", "half_odd", "half_even", "half_odd"]
    neuron = next(node for node in conversion.model.graph.node if node.name == layer.name)
    said = next(onnx.helper.get_attribute_value(a) for a in neuron.attribute if a.name == "rounding")
    assert [name.decode() for name in said] == layer.rounding
    again = onnx2snn.inspect_model(conversion.model)
    assert again.activations[-1].rounding == layer.rounding
    assert again.activations[-1].formula.startswith("α·clip(R(z/θ)")
