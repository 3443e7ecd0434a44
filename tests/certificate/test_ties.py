"""What a tie may add lies within its radius; where nothing is rounded, and away from ties, the radius is zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.dialect.subnetworks import POTENTIAL
from onnx2snn.float64.error_bounds import RunningError
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import split_model
from onnx2snn.operators.signals import Precision, Signal

K = np.random.default_rng(3).integers(0, 256, (40, 4, 6)).astype(np.float32)

#: Every other number is a tie, as far as float32 tells.
SCALES: dict[str, Any] = {"tenth": np.float32(0.1), "third": np.float32(0.3), "coarse": np.float32(0.16)}
DYADIC: dict[str, Any] = {"tenth": np.float32(0.125), "third": np.float32(0.25), "coarse": np.float32(0.0625)}
ROUNDED = [
    node("Mul", ["k", "tenth"], ["a"]),
    node("Mul", ["k", "third"], ["b"]),
    node("Add", ["a", "b"], ["m"]),
    node("Div", ["m", "coarse"], ["d"]),
    node("Round", ["d"], ["r"]),
]
W = np.random.default_rng(4).integers(-3, 4, (6, 5)).astype(np.float32)

#: By name: what follows the first Round, and constants.
BEHIND: dict[str, tuple[list[onnx.NodeProto], dict[str, Any]]] = {
    "nothing": ([node("Identity", ["r"], ["z"])], {}),
    "synapses": ([node("MatMul", ["r", "w"], ["z"])], {"w": W}),
    "maxima": ([node("MaxPool", ["r"], ["z"], kernel_shape=[3])], {}),
    "a second jump": (
        [node("Mul", ["r", "tenth"], ["s"]), node("Floor", ["s"], ["z"])],
        {},
    ),
    "a product": ([node("Mul", ["r", "r"], ["z"])], {}),
    "a comparison": (
        [node("Greater", ["r", "twenty"], ["g"]), node("Where", ["g", "r", "k"], ["z"])],
        {"twenty": np.float32(20)},
    ),
    "codes": (
        [
            node("Cast", ["d"], ["c"], to=onnx.TensorProto.UINT8),
            node("Cast", ["c"], ["f"], to=onnx.TensorProto.FLOAT),
            node("Add", ["f", "r"], ["z"]),
        ],
        {},
    ),
}


def cut(name: str, scales: Mapping[str, Any]) -> onnx.ModelProto:
    nodes, constants = BEHIND[name]
    last = node("Identity", ["z"], [POTENTIAL])
    model = make_model(
        [*ROUNDED, *nodes, last], {**scales, **constants}, {"k": ["N", 4, 6]}, {POTENTIAL: None}
    )
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def computed(model: onnx.ModelProto, x: np.ndarray) -> Signal:
    return RunningError(split_model(model))({"k": x}, {"k": 1.0}, Precision(timesteps=8))


def reach(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    signal = computed(model, x)
    return np.zeros(signal.value.shape) if signal.reach is None else signal.reach


@pytest.mark.parametrize("name", BEHIND)
def test_other_roundings_stay_within_the_radius(name: str) -> None:
    """Float32, and float32 with constants a few ulp away: both networks are among them."""
    near = reach(cut(name, SCALES), K)
    centre = computed(cut(name, SCALES), K).value.astype(np.float64)
    others = []
    for ulps in (-3, 0, 3):
        moved = {n: np.float32(v * (1 + ulps * 2.0**-24)) for n, v in SCALES.items()}
        others.append(run_reference(cut(name, moved), {"k": K})[POTENTIAL])
    apart = [np.abs(other - centre) for other in others]
    assert max(a.max() for a in apart) >= 1  # there are ties, or this would show nothing
    for a in apart:
        np.testing.assert_array_less(a, near + 2.0**-20 * (1 + np.abs(centre)))


def test_most_numbers_are_near_no_tie() -> None:
    x = K + np.random.default_rng(5).random(K.shape).astype(np.float32)
    assert (reach(cut("nothing", SCALES), x) == 0).mean() > 0.98


@pytest.mark.parametrize("name", BEHIND)
def test_what_is_exact_has_no_radius(name: str) -> None:
    if name != "codes":  # of codes themselves nothing is known
        assert not reach(cut(name, DYADIC), K).any()


#: Of one factor, and of the product: their quotient is a power of two.
SCALE, OTHER = 0.0573, 0.0573 * 6 / 255 * 64


def kept_product() -> onnx.ModelProto:
    """HardSwish as quantisers tear it apart: a product, a quantiser, a sixth, another quantiser. The first of these stays."""
    random = np.random.default_rng(7)
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, Any] = {
        "w": random.normal(0, 1, (8, 48)).astype(np.float32),
        "u": random.normal(0, 1, (48, 4)).astype(np.float32),
        "three": np.float32(3),
        "six": np.float32(6),
    }

    def quantised(source: str, target: str, scale: float, zero: int) -> None:
        parameters = [f"{target}/scale", f"{target}/zero"]
        constants.update(zip(parameters, (np.float32(scale), np.uint8(zero)), strict=True))
        nodes.append(node("QuantizeLinear", [source, *parameters], [f"{target}/code"]))
        nodes.append(node("DequantizeLinear", [f"{target}/code", *parameters], [target]))

    nodes.append(node("MatMul", ["x", "w"], ["a"]))
    quantised("a", "c", SCALE, 120)
    nodes.append(node("Add", ["c", "three"], ["p"]))
    quantised("p", "d", 6 / 255, 0)
    nodes.append(node("Mul", ["c", "d"], ["m"]))
    quantised("m", "e", OTHER, 3)
    nodes.append(node("Div", ["e", "six"], ["v"]))
    quantised("v", "g", 0.0193, 2)
    nodes.append(node("MatMul", ["g", "u"], ["f"]))
    quantised("f", "y", 0.31, 128)
    return make_model(nodes, constants, {"x": ["N", 8]}, {"y": ["N", 4]})


def test_a_kept_product_verifies_at_its_ties() -> None:
    source = kept_product()
    conversion = onnx2snn.convert(source, hybrid=True)
    certificate = onnx2snn.verify(source, conversion.model)
    assert certificate.lossless


def test_another_weight_behind_a_kept_product_is_found() -> None:
    source = kept_product()
    conversion = onnx2snn.convert(source, hybrid=True)
    wrong = onnx.ModelProto()
    wrong.CopyFrom(conversion.model)
    for tensor in wrong.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.shape == (48, 4):
            changed = values.copy()
            changed[:, 1] *= 1.001
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
    certificate = onnx2snn.verify(source, wrong)
    assert not certificate.lossless
    assert any(check.differing for check in certificate.maps)
