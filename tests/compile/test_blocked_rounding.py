"""Rounding by convolutions, against the neurons' own operators: the same levels, ties and extremes among them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from helpers_graphs import samples
from helpers_networks import Builder, dyadic

import onnx2snn
from onnx2snn.compile.blocked_rounding import half_a_unit
from onnx2snn.compile.executions import write_execution
from onnx2snn.compile.network import read_network
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.target import ANYWHERE, Target

BLOCKED = Target(blocked=True)

PADS = {"pads": [1, 1, 1, 1]}


def network(rounding: str, levels: int, *, top: int = 4, general: bool = False) -> onnx.ModelProto:
    """Convolutions, one of channels apart, a maximum, and a sum of two convolutions; weights of ``top`` steps to both sides."""
    b = Builder()
    first = b.act(b.conv("x", (3, 8), 1), levels=levels, rounding=rounding)
    weights = samples(8, 1, 3, 3, seed=2) if general else dyadic(8, 1, 3, 3, seed=2, unit=1 / top, top=top)
    z = b.add("Conv", first, weights, dyadic(8, seed=3), group=8, **PADS)
    apart = b.act(b.add("MaxPool", z, kernel_shape=[2, 2], strides=[2, 2]), levels=levels, rounding=rounding)
    one, other = b.conv(apart, (8, 8), 4), b.conv(apart, (8, 8), 6)
    out = b.conv(b.act(b.add("Add", one, other), levels=levels, rounding=rounding), (8, 4), 8)
    return b.model({"x": ["N", 3, 6, 6]}, {"y": (out, ["N", 4, 3, 3])})


def operators(model: onnx.ModelProto, target: Target = ANYWHERE) -> Counter[str]:
    made = write_execution(read_network(onnx2snn.convert(model).model), "fused", target=target)
    return Counter(node.op_type for node in made.structure.graph.node)


@pytest.mark.parametrize("levels", [1, 4, 15, 16])
@pytest.mark.parametrize("top", [4, 1024])
@pytest.mark.parametrize("rounding", ["Floor", "Round", "Ceil"])
def test_levels_are_those_of_the_rounding_operator(rounding: str, top: int, levels: int) -> None:
    model = network(rounding, levels, top=top)
    content = onnx2snn.convert(model).model.SerializeToString()
    x = np.random.default_rng(0).integers(-16, 17, (5, 3, 6, 6)).astype(np.float32) / 4
    expected = SpikingSession(content, backend="numpy").levels({"x": x})
    found = SpikingSession(content, execution="fused").levels({"x": x})
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    written = operators(model, BLOCKED)
    left = 0 if rounding == "Round" else 1  # the image lies on no grid that is known
    assert written[rounding] == left
    assert written["HardSigmoid"] == 2 - left
    assert operators(model)[rounding] >= 2
    assert not operators(model)["HardSigmoid"]


def test_what_rounds_down_does_so_where_no_grid_is_known() -> None:
    assert operators(network("Floor", 15, general=True), BLOCKED)["Floor"] == 2


@pytest.mark.parametrize("apart", [1, 8])
def test_whole_weights_are_scaled_channel_by_channel(apart: int) -> None:
    """A product with the scale of each channel, rounded once or twice, has to reach each level at the same whole number."""
    b, random = Builder(), np.random.default_rng(1)
    k = b.act("x", step=1.0, rounding="Round")
    scales = random.uniform(0.001, 0.1, 8).astype(np.float32)
    weights = random.integers(-127, 128, (8, 8 // apart, 3, 3)).astype(np.float32)
    bias = random.integers(-99, 99, 8).astype(np.float32) * scales
    z = b.add("Conv", k, weights * scales.reshape(-1, 1, 1, 1), bias, group=apart, **PADS)
    y = b.act(z, step=1.0, rounding="Round")
    model = b.model({"x": ["N", 8, 6, 6]}, {"y": (y, ["N", 8, 6, 6])})
    content = onnx2snn.convert(model).model.SerializeToString()
    x = random.integers(0, 16, (40, 8, 6, 6)).astype(np.float32)
    expected = SpikingSession(content, execution="spiking").levels({"x": x})
    for name, value in SpikingSession(content, execution="fused").levels({"x": x}).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_half_a_unit_needs_room() -> None:
    """Sums of 2¹⁴ − 1 at most in steps of 2⁻⁹ leave one bit; one more step is none."""
    fits = np.full((1, 1), 2.0**-9)
    assert half_a_unit([(fits, 1), (np.full((1, 1), 2.0**14 - 2), 1)]) == 2.0**-10
    assert half_a_unit([(fits, 1), (np.full((1, 1), 2.0**14), 1)]) is None
    assert half_a_unit([(np.full((1, 1), 0.1), 1)]) is None
    assert half_a_unit([(np.full((1, 1), 2.0**23), 2)]) is None
