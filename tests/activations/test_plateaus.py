"""Plateaus that float32 does not hold: a clip by absolute values rounds anew for each number."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

BOUNDS = np.random.default_rng(0).uniform(0.3, 6, 6).astype(np.float32)


def pact(bound: np.float32, levels: int, rounding: str) -> onnx.ModelProto:
    """(|z| − |z − a| + a)/2 on a grid: in exact arithmetic the clip of z to 0 and a, both of which are levels."""
    step = np.float32(bound / np.float32(levels))
    nodes = [
        node("Identity", ["x"], ["z"]),
        node("Abs", ["z"], ["p"]),
        node("Sub", ["z", "a"], ["d"]),
        node("Abs", ["d"], ["q"]),
        node("Sub", ["p", "q"], ["u"]),
        node("Add", ["u", "a"], ["v"]),
        node("Mul", ["v", "half"], ["y"]),
        node("Div", ["y", "step"], ["r"]),
        node(rounding, ["r"], ["k"]),
        node("Mul", ["k", "step"], ["h"], name="quantised"),
        node("MatMul", ["h", "w"], ["o"]),
    ]
    constants = {"a": bound, "half": np.float32(0.5), "step": step, "w": np.eye(4, dtype=np.float32)}
    return make_model(nodes, constants, {"x": ["N", 4]}, {"o": ["N", 4]})


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("rounding", ["Floor", "Ceil"])
def test_rounding_decides_between_two_levels(bound: np.float32, rounding: str) -> None:
    """Refused, and what the refusal says of the source is so."""
    source = pact(bound, 7, rounding)
    with pytest.raises(onnx2snn.ConversionError, match="in float32 it is no staircase") as caught:
        onnx2snn.convert(source)
    said = caught.value.message
    answers = re.findall(r"at ([-\d.e]+) it answers ([-\d.e]+)", said)
    answers += re.findall(r"at ([-\d.e]+), on the same plateau, ([-\d.e]+)", said)
    x, expected = np.array(answers, np.float32).T
    found = run_reference(source, {"x": np.repeat(x[:, None], 4, axis=1)})["o"][:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(found) == 1 or found[0] != found[1]


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_nearest_level_is_the_same_everywhere(bound: np.float32) -> None:
    source = pact(bound, 7, "Round")
    x = np.random.default_rng(1).uniform(-6 * bound, 6 * bound, (500, 4)).astype(np.float32)
    conversion = onnx2snn.convert(source)
    found = SpikingSession(conversion.model.SerializeToString()).run({"x": x}).outputs["o"]
    np.testing.assert_allclose(found, run_reference(source, {"x": x})["o"], atol=1e-5)
