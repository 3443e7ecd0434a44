"""Whatever stands between neurons may be an output, too: passes leave its values as they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_networks import dyadic

import onnx2snn
from onnx2snn.model.reference import run_reference

NODES = [
    node("QuantizeLinear", ["x", "fine", "middle"], ["codes"]),
    node("DequantizeLinear", ["codes", "fine", "middle"], ["input"]),
    node("Conv", ["input", "w"], ["potential"], pads=[1, 1, 1, 1]),
    node("BatchNormalization", ["potential", "gamma", "beta", "mean", "var"], ["normed"]),
    node("QuantizeLinear", ["normed", "coarse", "zero"], ["levels"]),
    node("DequantizeLinear", ["levels", "coarse", "zero"], ["activation"]),
    node("AveragePool", ["activation"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
    node("Conv", ["pooled", "v"], ["second"]),
    node("Mul", ["second", "gain"], ["gained"]),
    node("QuantizeLinear", ["gained", "coarse", "zero"], ["last"]),
    node("DequantizeLinear", ["last", "coarse", "zero"], ["fired"]),
    node("QuantizeLinear", ["second", "fine", "middle"], ["others"]),
    node("DequantizeLinear", ["others", "fine", "middle"], ["beside"]),
    node("Flatten", ["fired"], ["flat"]),
    node("MatMul", ["flat", "u"], ["y"]),
    node("ReduceMean", ["beside"], ["z"], axes=[2, 3], keepdims=0),
]
SIZES: dict[str, list[int | str]] = {
    **{name: ["N", 6, 4, 4] for name in ("potential", "normed", "activation")},
    **{name: ["N", 4, 2, 2] for name in ("second", "gained", "fired", "beside")},
    "input": ["N", 2, 4, 4],
    "pooled": ["N", 6, 2, 2],
    "flat": ["N", 16],
}


def network(tapped: str, integers: bool) -> onnx.ModelProto:
    """Weights of few bits, or general ones; another factor in front of the second neurons than in front of those beside them."""
    factor = 1.0 if integers else 1.0371
    constants = {
        "w": dyadic(6, 2, 3, 3, seed=0) * factor,
        "v": dyadic(4, 6, 1, 1, seed=1) * factor,
        "u": dyadic(16, 3, seed=2),
    }
    constants |= {"gamma": dyadic(6, seed=3) + 2, "beta": dyadic(6, seed=4), "mean": dyadic(6, seed=5)}
    constants |= {"var": np.full(6, 0.25 - 1e-5), "gain": np.array(0.75)}
    constants |= {"fine": np.array(0.25), "coarse": np.array(0.5)}
    held = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    held |= {"middle": np.array(0, np.int8), "zero": np.array(0, np.uint8)}
    outputs: dict[str, list[int | str]] = {"y": ["N", 3], "z": ["N", 4], tapped: SIZES[tapped]}
    return make_model(NODES, held, {"x": ["N", 2, 4, 4]}, outputs)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("tapped", SIZES)
def test_its_values_stay(tapped: str, integers: bool) -> None:
    model, inputs = network(tapped, integers), {"x": dyadic(4, 2, 4, 4, seed=6, top=16)}
    conversion = onnx2snn.convert(model, check=inputs)
    assert onnx2snn.verify(model, conversion, inputs).lossless
    expected = run_reference(model, inputs)[tapped]
    found = run_reference(conversion.model, inputs)[tapped]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
