"""8-bit integers: what they may be used for, and that every integer potential gets the neuron's level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.activations.neuron import Staircase, neuron_parameters
from onnx2snn.compile import int8_kernels
from onnx2snn.compile.executions import write_execution
from onnx2snn.compile.int8_kernels import integer_kernels_are_exact
from onnx2snn.compile.integers import operand, whole_rounding
from onnx2snn.compile.network import read_network
from onnx2snn.compile.thresholds import Thresholds
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.choices import EXECUTIONS
from onnx2snn.runtime.providers import target_of


def neuron(theta: np.ndarray, levels: int, rounding: str) -> Thresholds:
    column = theta.reshape(-1, 1, 1)
    staircase = Staircase(
        column,
        0 * column,
        levels,
        np.full(1, levels),
        column,
        0 * column,
        np.asarray(rounding),
    )
    held = neuron_parameters(staircase, staircase.timesteps)
    return Thresholds(held.compare, held.subtract, held.ceiling)


def test_the_kernels_of_this_machine_are_exact_at_the_extremes() -> None:
    assert integer_kernels_are_exact()


def test_kernels_that_err_in_a_part_of_a_block_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of onnxruntime 1.24 on processors with AMX: 32 rows or more, 17 to 31 columns."""
    exact = int8_kernels._run

    def run(node: Any, constants: Any, x: Any, kind: int) -> Any:
        answer = exact(node, constants, x, kind)
        rows, columns = answer.shape if answer.ndim == 2 else (answer[0, 0].size, answer.shape[1])
        return answer + 1 if rows >= 32 and 17 <= columns <= 31 else answer

    monkeypatch.setattr(int8_kernels, "_run", run)
    assert not integer_kernels_are_exact.__wrapped__()


@pytest.mark.parametrize("levels", [1, 3, 15, 255])
@pytest.mark.parametrize("rounding", ["half_even", "floor", "ceil", "half_odd"])
def test_requantisation_equals_the_neuron_for_every_integer(rounding: str, levels: int) -> None:
    """Steps that make ties (dyadic), and steps that do not; every potential from below the first to above the last."""
    theta = np.array([8.0, 2.5, 37.3, 4.0, 100.7, 6.25])
    bias = np.array([0.0, 3.0, -5.0, 1.0, 17.0, -2.0], np.float32)
    made = neuron(theta, levels, rounding)
    found = whole_rounding(made, bias.reshape(-1, 1, 1), (len(theta), 1, 1))
    if rounding == "half_even":
        assert found is not None
    if found is None:
        return  # not every rule has whole-number thresholds of that form
    v = np.arange(-300, int(theta.max() * (levels + 2)))[:, None] + np.zeros(len(theta))
    shift = 0 if found.shift is None else found.shift.reshape(-1)
    multiplier = np.ones(1, np.float32) if found.multiplier is None else found.multiplier.reshape(-1)
    scaled = np.maximum((v - shift).astype(np.float32), 0) * multiplier
    np.testing.assert_array_equal(np.rint(np.clip(scaled, 0, levels)), made.levels(v))


def test_operands_are_chosen_so_that_pairs_of_products_fit_in_16_bits() -> None:
    weights = np.array([[127, -127]], np.int8)
    for highest, dtype in ((1, np.int8), (15, np.int8), (127, np.int8), (255, np.uint8)):
        values, zero = operand(weights, highest)
        assert values.dtype == dtype
        np.testing.assert_array_equal(values.astype(int) - int(zero), weights)


def quantised(
    levels: int, make: Callable[[str], list[onnx.NodeProto]], weights: np.ndarray
) -> onnx.ModelProto:
    """Two quantisers around one layer of integer weights; ``make`` gives its node from "a" and "w" to "z"."""
    top = float(levels)
    constants = {
        "one": np.float32(1.0),
        "step": np.float32(0.25),
        "zero": np.uint8(0),
        "low": np.float32(0),
        "high": np.float32(top),
        "limit": np.float32(top / 4),
        "w_scale": np.full(weights.shape[0], 2.0**-6, np.float32),
        "w_zero": np.zeros(weights.shape[0], np.int8),
        "w_integers": weights,
        "eye": np.eye(8, dtype=np.float32)[:, :, None, None],
    }
    nodes = [
        node("Conv", ["x", "eye"], ["x_in"], "in"),
        node("Clip", ["x_in", "low", "high"], ["x_cut"], "cut"),
        node("QuantizeLinear", ["x_cut", "one", "zero"], ["x_q"], "q1"),
        node("DequantizeLinear", ["x_q", "one", "zero"], ["a"], "d1"),
        node("DequantizeLinear", ["w_integers", "w_scale", "w_zero"], ["w"], "dw", axis=0),
        *make("w"),
        node("Clip", ["z", "low", "limit"], ["z_cut"], "cut2"),
        node("QuantizeLinear", ["z_cut", "step", "zero"], ["z_q"], "q2"),
        node("DequantizeLinear", ["z_q", "step", "zero"], ["y"], "d2"),
    ]
    return make_model(nodes, constants, {"x": ["N", 8, 6, 6]}, {"y": ["N", *[None] * 3]})  # type: ignore[list-item]


CONVOLUTIONS = {
    "plain": ((5, 8, 3, 3), {"pads": [1, 1, 1, 1]}),
    "strided": ((5, 8, 3, 3), {"pads": [1, 0, 0, 1], "strides": [2, 1]}),
    "dilated": ((5, 8, 2, 3), {"dilations": [2, 2], "pads": [1, 2, 1, 2]}),
    "point": ((5, 8, 1, 1), {"strides": [2, 2]}),
    "grouped": ((8, 2, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}),
    "wide": ((5, 8, 7, 7), {"pads": [3, 3, 3, 3], "strides": [6, 6]}),
}


@pytest.mark.parametrize("levels", [15, 255])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_executions_agree_on_integer_weights_at_the_extremes(name: str, levels: int) -> None:
    """Weights of ±127 and levels at their highest: sums at the ends of their range, and many ties."""
    shape, attributes = CONVOLUTIONS[name]
    random = np.random.default_rng(0)
    weights = random.choice(np.array([-127, -64, 1, 64, 127], np.int8), shape)
    weights[0] = 127
    model = quantised(
        levels,
        lambda w: [node("Conv", ["a", w], ["z"], "conv", kernel_shape=shape[2:], **attributes)],
        weights,
    )
    content = onnx2snn.convert(model).model.SerializeToString()
    x = random.integers(0, levels + 1, (6, 8, 6, 6)).astype(np.float32)
    x[0], x[1] = levels, 0
    reference = SpikingSession(content, backend="numpy", count="spikes").levels({"x": x})
    for execution in EXECUTIONS:
        found = SpikingSession(content, execution=execution, count="spikes").levels({"x": x})
        for key, value in reference.items():
            np.testing.assert_array_equal(found[key], value, err_msg=f"{execution} {key}")


def test_integer_operators_are_used_where_weights_are_integers() -> None:
    shape, attributes = CONVOLUTIONS["plain"]
    weights = np.random.default_rng(1).integers(-127, 128, shape).astype(np.int8)
    model = quantised(15, lambda w: [node("Conv", ["a", w], ["z"], "conv", **attributes)], weights)
    network = read_network(onnx2snn.convert(model).model)
    for execution, operator in (("int8", "QLinearConv"), ("spiking", "MatMulInteger")):
        operators = [n.op_type for n in write_execution(network, execution).structure.graph.node]
        assert operator in operators
        assert operators.count("Conv") == 1  # the one that reads the image
        elsewhere = write_execution(
            network, execution, target=target_of("onnxruntime", ["CUDAExecutionProvider"])
        )
        assert not {"QLinearConv", "MatMulInteger"} & {n.op_type for n in elsewhere.structure.graph.node}
