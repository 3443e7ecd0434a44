"""One staircase, however it is written: each spelling is recognised, and its neuron answers bit for bit the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from onnx import TensorProto

import onnx2snn

#: Potentials are multiples of 1/8, so many stand exactly on a threshold, and every sum is exact in float32.
X = {"x": (np.round(samples(48, 6) * 8) / 8).astype(np.float32)}
W = np.round(samples(6, 8, seed=1)).astype(np.float32)
V = (np.round(samples(8, 3, seed=2) * 8) / 8).astype(np.float32)

S, K = np.float32(0.25), np.float32(7)
TOP = np.float32(1.75)
ZERO, ONE, HALF, FOUR = (np.float32(v) for v in (0, 1, 0.5, 4))
COLUMN = (np.float32(2) ** -np.arange(1, 9) * 8).astype(np.float32)  # a threshold for each of 8 channels

#: By name: nodes from z to a, and the expected (θ, K, rounding).
Spelling = tuple[list[onnx.NodeProto], dict[str, Any], tuple[float | None, int, str]]

SPELLINGS: dict[str, Spelling] = {
    "qcfs": (
        [
            node("Div", ["z", "s"], ["1"]), node("Add", ["1", "half"], ["2"]), node("Floor", ["2"], ["3"]),
            node("Clip", ["3", "zero", "k"], ["4"]), node("Mul", ["4", "s"], ["a"]),
        ],
        {"s": S, "half": HALF, "zero": ZERO, "k": K}, (0.25, 7, "floor"),
    ),
    "clipped before it is rounded": (
        [
            node("Clip", ["z", "zero", "top"], ["1"]), node("Mul", ["1", "four"], ["2"]), node("Add", ["2", "half"], ["3"]),
            node("Floor", ["3"], ["4"]), node("Div", ["4", "four"], ["a"]),
        ],
        {"zero": ZERO, "top": TOP, "four": FOUR, "half": HALF}, (0.25, 7, "floor"),
    ),
    "relu and min": (
        [
            node("Relu", ["z"], ["1"]), node("Min", ["1", "top"], ["2"]), node("Mul", ["four", "2"], ["3"]),
            node("Round", ["3"], ["4"]), node("Mul", ["s", "4"], ["a"]),
        ],
        {"top": TOP, "four": FOUR, "s": S}, (0.25, 7, "half_even"),
    ),
    "max and min of the levels": (
        [
            node("Div", ["z", "s"], ["1"]), node("Floor", ["1"], ["2"]), node("Max", ["zero", "2"], ["3"]),
            node("Min", ["k", "3"], ["4"]), node("Mul", ["4", "s"], ["a"]),
        ],
        {"s": S, "zero": ZERO, "k": K}, (0.25, 7, "floor"),
    ),
    "rounded up": (
        [
            node("Div", ["z", "s"], ["1"]), node("Ceil", ["1"], ["2"]), node("Clip", ["2", "zero", "k"], ["3"]),
            node("Mul", ["3", "s"], ["a"]),
        ],
        {"s": S, "zero": ZERO, "k": K}, (0.25, 7, "ceil"),
    ),
    "floor of the negative is ceil": (
        [
            node("Div", ["z", "s"], ["1"]), node("Neg", ["1"], ["2"]), node("Floor", ["2"], ["3"]), node("Neg", ["3"], ["4"]),
            node("Clip", ["4", "zero", "k"], ["5"]), node("Mul", ["5", "s"], ["a"]),
        ],
        {"s": S, "zero": ZERO, "k": K}, (0.25, 7, "ceil"),
    ),
    "cast to integer behind relu": (
        [
            node("Relu", ["z"], ["1"]), node("Mul", ["1", "four"], ["2"]), node("Min", ["2", "k"], ["3"]),
            node("Cast", ["3"], ["4"], to=TensorProto.INT32), node("Cast", ["4"], ["5"], to=TensorProto.FLOAT),
            node("Mul", ["5", "s"], ["a"]),
        ],
        {"four": FOUR, "k": K, "s": S}, (0.25, 7, "floor"),
    ),
    "towards zero, by its sign and size": (
        [
            node("Clip", ["z", "zero", "top"], ["c"]), node("Mul", ["c", "four"], ["1"]), node("Abs", ["1"], ["2"]),
            node("Floor", ["2"], ["3"]), node("Sign", ["1"], ["4"]), node("Mul", ["3", "4"], ["5"]),
            node("Mul", ["5", "s"], ["a"]),
        ],
        {"zero": ZERO, "top": TOP, "four": FOUR, "s": S}, (0.25, 7, "floor"),
    ),
    "a fraction more where it is large": (
        [
            node("Clip", ["z", "zero", "top"], ["c"]), node("Mul", ["c", "four"], ["1"]), node("Round", ["1"], ["2"]),
            node("Greater", ["z", "top"], ["m"]), node("Where", ["m", "k", "2"], ["3"]), node("Mul", ["3", "s"], ["a"]),
        ],
        {"zero": ZERO, "top": TOP, "four": FOUR, "k": K, "s": S}, (0.25, 7, "half_even"),
    ),
    "straight-through": (
        [
            node("Clip", ["z", "zero", "top"], ["c"]), node("Mul", ["c", "four"], ["1"]), node("Round", ["1"], ["2"]),
            node("Div", ["2", "four"], ["q"]), node("Sub", ["q", "c"], ["d"]), node("Add", ["c", "d"], ["a"]),
        ],
        {"zero": ZERO, "top": TOP, "four": FOUR}, (0.25, 7, "half_even"),
    ),
    "rounded by the fraction": (
        [
            node("Mul", ["z", "four"], ["1"]), node("Floor", ["1"], ["f"]), node("Max", ["f", "zero"], ["2"]),
            node("Greater", ["2", "k"], ["m"]), node("Where", ["m", "k", "2"], ["3"]), node("Div", ["3", "four"], ["a"]),
        ],
        {"four": FOUR, "zero": ZERO, "k": K}, (0.25, 7, "floor"),
    ),
    "hard sigmoid": (
        [
            node("HardSigmoid", ["z"], ["1"], alpha=0.25, beta=0.5), node("Mul", ["1", "k"], ["2"]), node("Round", ["2"], ["3"]),
            node("Div", ["3", "k"], ["a"]),
        ],
        {"k": K + ONE}, (0.5, 8, "half_even"),
    ),
    "8-bit quantiser": (
        [node("QuantizeLinear", ["z", "s", "o"], ["q"]), node("DequantizeLinear", ["q", "s", "o"], ["a"])],
        {"s": S, "o": np.uint8(0)}, (0.25, 255, "half_even"),
    ),
    "signed quantiser": (
        [node("QuantizeLinear", ["z", "s", "o"], ["q"]), node("DequantizeLinear", ["q", "s", "o"], ["a"])],
        {"s": S, "o": np.int8(0)}, (0.25, 255, "half_even"),
    ),
    "asymmetric quantiser, odd zero point": (
        [node("QuantizeLinear", ["z", "s", "o"], ["q"]), node("DequantizeLinear", ["q", "s", "o"], ["a"])],
        {"s": S, "o": np.uint8(7)}, (0.25, 255, "half_odd"),
    ),
    "relu behind a signed quantiser": (
        [
            node("QuantizeLinear", ["z", "s", "o"], ["q"]), node("DequantizeLinear", ["q", "s", "o"], ["d"]),
            node("Relu", ["d"], ["a"]),
        ],
        {"s": S, "o": np.int8(0)}, (0.25, 127, "half_even"),
    ),
    "one bit": (
        [node("GreaterOrEqual", ["z", "half"], ["m"]), node("Cast", ["m"], ["1"], to=1), node("Mul", ["1", "half"], ["a"])],
        {"half": HALF}, (None, 1, "floor"),
    ),
    "one bit, strict": (
        [node("Greater", ["z", "half"], ["m"]), node("Where", ["m", "one", "half"], ["a"])],
        {"half": HALF, "one": ONE}, (None, 1, "ceil"),
    ),
    "one bit, the other way round": (
        [node("Less", ["half", "z"], ["m"]), node("Not", ["m"], ["n"]), node("Where", ["n", "zero", "one"], ["a"])],
        {"half": HALF, "zero": ZERO, "one": ONE}, (None, 1, "ceil"),
    ),
    "falling": (
        [
            node("Mul", ["z", "four"], ["1"]), node("Floor", ["1"], ["2"]), node("Clip", ["2", "zero", "k"], ["3"]),
            node("Sub", ["k", "3"], ["4"]), node("Mul", ["4", "s"], ["a"]),
        ],
        {"four": FOUR, "zero": ZERO, "k": K, "s": S}, (0.25, 7, "floor"),
    ),
    "per channel": (
        [
            node("Div", ["z", "c"], ["1"]), node("Add", ["1", "half"], ["2"]), node("Floor", ["2"], ["3"]),
            node("Clip", ["3", "zero", "k"], ["4"]), node("Mul", ["4", "c"], ["a"]),
        ],
        {"c": COLUMN, "half": HALF, "zero": ZERO, "k": K}, (None, 7, "floor"),
    ),
    "16 bits": (
        [node("QuantizeLinear", ["z", "s", "o"], ["q"]), node("DequantizeLinear", ["q", "s", "o"], ["a"])],
        {"s": np.float32(2**-10), "o": np.uint16(0)}, (2**-10, 65535, "half_even"),
    ),
    "4 bits": (
        [node("QuantizeLinear", ["z", "s"], ["q"], output_dtype=TensorProto.UINT4), node("DequantizeLinear", ["q", "s"], ["a"])],
        {"s": S}, (0.25, 15, "half_even"),
    ),
}  # fmt: skip


def network(
    activation: list[onnx.NodeProto], constants: dict[str, Any], *, opset: int = 21
) -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "w"], ["z"]), *activation, node("MatMul", ["a", "v"], ["y"])]
    return make_model(
        nodes, {"w": W, "v": V, **constants}, {"x": ["N", 6]}, {"y": ["N", 3]}, opset=opset, ir_version=10
    )


@pytest.mark.parametrize("name", SPELLINGS)
def test_it_is_recognised_and_answers_the_same(name: str) -> None:
    activation, constants, (threshold, levels, rounding) = SPELLINGS[name]
    source = network(activation, constants)
    conversion = onnx2snn.convert(source)
    (layer,) = conversion.layers
    assert (layer.levels, layer.rounding) == (levels, rounding)
    if threshold is not None:
        np.testing.assert_allclose(layer.threshold, threshold)
    certificate = onnx2snn.verify(source, conversion.model, X)
    assert certificate.lossless
    assert certificate.max_abs_error == 0
    assert certificate.layers[0].exact == certificate.layers[0].levels_compared


@pytest.mark.parametrize("levels", [3, 7, 15, 41, 49, 255])
def test_a_level_that_rounding_puts_on_the_clip_is_one_neuron(levels: int) -> None:
    """fl(1/K)·K is not 1 in exact arithmetic, but it is in float32: K levels, not K − 1 and a smaller one."""
    activation = [
        node("Mul", ["z", "k"], ["1"]), node("Add", ["1", "half"], ["2"]), node("Floor", ["2"], ["3"]),
        node("Mul", ["3", "r"], ["4"]), node("Clip", ["4", "zero", "one"], ["a"]),
    ]  # fmt: skip
    k = np.float32(levels)
    source = network(activation, {"k": k, "half": HALF, "r": ONE / k, "zero": ZERO, "one": ONE})
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [levels]
    x = samples(64, 6, seed=3) / 4
    assert onnx2snn.verify(source, conversion.model, {"x": x}).lossless


def test_a_clip_between_two_levels_stays_where_it_is() -> None:
    """A ten-thousandth of a level is no rounding."""
    activation = [
        node("Round", ["z"], ["1"]), node("Clip", ["1", "zero", "top"], ["a"]),
    ]  # fmt: skip
    source = network(activation, {"zero": ZERO, "top": np.float32(3.0001)})
    conversion = onnx2snn.convert(source)
    assert sorted(layer.levels for layer in conversion.layers) == [1, 3]
    assert onnx2snn.verify(source, conversion.model, X).lossless


#: Not a finite staircase of one tensor; the error names the node and says why.
REJECTED: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], str]] = {
    "not quantised": ([node("Relu", ["z"], ["a"])], {}, "it is a float network"),
    "no bound": (
        [node("Relu", ["z"], ["1"]), node("Round", ["1"], ["a"])], {}, "nothing bounds its levels above",
    ),
    "smooth": ([node("Tanh", ["z"], ["a"])], {}, "it is a float network"),
    "leaky": ([node("LeakyRelu", ["z"], ["a"])], {}, "it is a float network"),
    "its own square": ([node("Mul", ["z", "z"], ["a"])], {}, "it is a float network"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_staircase_says_why(name: str) -> None:
    activation, constants, why = REJECTED[name]
    with pytest.raises(onnx2snn.ConversionError, match=why) as caught:
        onnx2snn.convert(network(activation, constants))
    assert "remedy" in str(caught.value)


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 18, 23])
def test_every_opset(opset: int) -> None:
    """Clip takes its bounds as attributes before opset 11."""
    bounds = (
        node("Clip", ["3"], ["4"], min=0.0, max=7.0)
        if opset < 11
        else node("Clip", ["3", "zero", "k"], ["4"])
    )
    nodes = [
        node("Div", ["z", "s"], ["1"]),
        node("Add", ["1", "half"], ["2"]),
        node("Floor", ["2"], ["3"]),
        bounds,
        node("Mul", ["4", "s"], ["a"]),
    ]
    constants: dict[str, Any] = {"s": S, "half": HALF, **({} if opset < 11 else {"zero": ZERO, "k": K})}
    source = network(nodes, constants, opset=opset)
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, X)
    assert certificate.max_abs_error == 0
