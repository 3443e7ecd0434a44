"""Networks of QONNX from end to end: the spiking network answers what the definition of each operator says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node
from helpers_qonnx import DOMAIN, MODES
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.errors import ConversionError
from onnx2snn.model.reference import run_reference
from onnx2snn.model.repairs import with_domains

random = np.random.default_rng(0)
X = {"x": (random.integers(-60, 61, (40, 8)) / 16).astype(np.float32)}
WEIGHTS = {
    "w": (random.integers(-8, 9, (8, 6)) / 16).astype(np.float32),
    "v": (random.integers(-8, 9, (6, 3)) / 16).astype(np.float32),
}


def network(
    *quantisers: onnx.NodeProto, constants: Mapping[str, Any], domains: tuple[str, ...] = (DOMAIN,)
) -> onnx.ModelProto:
    """Two dense layers; between them ``quantisers`` from h to a."""
    nodes = [node("MatMul", ["x", "w"], ["h"]), *quantisers, node("MatMul", ["a", "v"], ["y"])]
    values = {**WEIGHTS, **constants}
    return make_model(
        nodes, values, {"x": ["N", 8]}, {"y": ["N", 3]}, opset=21, ir_version=10, domains=domains
    )


def assert_lossless(
    model: onnx.ModelProto, *, layers: int | None = None, hybrid: bool = False
) -> onnx2snn.Conversion:
    conversion = onnx2snn.convert(model, hybrid=hybrid)
    expected = run_reference(model, X)["y"]
    np.testing.assert_array_equal(run_reference(conversion.model, X)["y"], expected)
    assert onnx2snn.verify(model, conversion.model, X).lossless
    assert layers in (None, len(conversion.layers))
    return conversion


def quant(x: str, y: str, **attributes: Any) -> onnx.NodeProto:
    return node("Quant", [x, "s", "z", "b"], [y], domain=DOMAIN, **attributes)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("zero", [0.0, 3.0, 0.5])
def test_behind_a_rectifier_every_rounding_mode_is_one_neuron(mode: str, zero: float) -> None:
    constants = {"s": np.float32(0.25), "z": np.float32(zero), "b": np.float32(4)}
    rectified = [node("Relu", ["h"], ["r"]), quant("r", "a", signed=0, narrow=0, rounding_mode=mode)]
    assert_lossless(network(*rectified, constants=constants), layers=1)


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
def test_numbers_of_both_signs_take_one_neuron(mode: str) -> None:
    """Where rounding turns around at zero, it is one with a table."""
    constants = {"s": np.float32(0.25), "z": np.float32(0), "b": np.float32(4)}
    assert_lossless(
        network(quant("h", "a", signed=1, narrow=1, rounding_mode=mode), constants=constants), layers=1
    )


@pytest.mark.parametrize("signed", [0, 1])
def test_one_bit(signed: int) -> None:
    constants = {"s": np.float32(0.25), "z": np.float32(0), "b": np.float32(1)}
    assert_lossless(network(quant("h", "a", signed=signed, narrow=0), constants=constants), layers=1)


def test_bit_widths_by_channel() -> None:
    bits = np.array([1, 2, 3, 4, 2, 1], np.float32)
    constants = {"s": np.float32(0.25), "z": np.float32(0), "b": bits}
    conversion = assert_lossless(network(quant("h", "a", signed=0, narrow=0), constants=constants), layers=1)
    assert conversion.timesteps == 4


def test_one_bit_with_a_sign_beside_wider_channels() -> None:
    """A table by channel, whatever stands in front; or quantisers of their own."""
    shared = {"s": np.float32(0.25), "z": np.float32(0)}
    mixed = {**shared, "b": np.array([1, 1, 3, 3, 3, 3], np.float32)}
    assert_lossless(network(quant("h", "a", signed=1), constants=mixed), layers=1)
    earlier = [node("BipolarQuant", ["h", "s"], ["q"], domain=DOMAIN), node("MatMul", ["q", "u"], ["g"])]
    rectified = [*earlier, node("Relu", ["g"], ["r"]), quant("r", "a", signed=1)]
    assert_lossless(network(*rectified, constants={**mixed, "u": np.eye(6, dtype=np.float32)}))
    parts = [
        node("Split", ["h", "sizes"], ["h1", "h2"], axis=1),
        quant("h1", "a1", signed=1),
        node("Quant", ["h2", "s", "z", "c"], ["a2"], domain=DOMAIN, signed=1),
        node("Concat", ["a1", "a2"], ["a"], axis=1),
    ]
    own = {**shared, "b": np.float32(1), "c": np.float32(3), "sizes": np.array([2, 4])}
    assert_lossless(network(*parts, constants=own), layers=2)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("mode", ["FLOOR", "ROUND", "CEIL"])
def test_codes_are_truncated(version: int, mode: str) -> None:
    constants = {
        name: np.float32(value) for name, value in {"s": 0.25, "z": 0, "b": 4, "o": 1, "c": 2}.items()
    }
    read = ["q", "s", "z", "b", "c"] if version == 1 else ["q", "s", "z", "b", "o", "c"]
    signed = {"signed": 0, "narrow": 0} if version == 2 else {}
    truncated = node("Trunc", read, ["a"], domain=DOMAIN, rounding_mode=mode, **signed)
    model = network(quant("h", "q", signed=0, narrow=0), truncated, constants=constants)
    model.opset_import[1].version = version
    assert_lossless(model)


@pytest.mark.parametrize("channels", [1, 6])
def test_thresholds_at_equal_distances_are_one_neuron(channels: int) -> None:
    thresholds = (np.arange(7) * 0.25 - 0.5 + np.arange(channels)[:, None] / 8).astype(np.float32)
    counted = node(
        "MultiThreshold", ["h", "t"], ["a"], domain=DOMAIN, out_dtype="INT4", out_scale=0.5, out_bias=-1.0
    )
    conversion = assert_lossless(network(counted, constants={"t": thresholds}), layers=1)
    assert conversion.timesteps == 3


def test_thresholds_at_any_distance_are_one_neuron() -> None:
    thresholds = np.array([[-1, -0.5, 0, 0.25, 1.5]], np.float32)
    counted = node("MultiThreshold", ["h", "t"], ["a"], domain=DOMAIN, out_dtype="UINT4")
    assert_lossless(network(counted, constants={"t": thresholds}), layers=1)


@pytest.mark.parametrize("domain", ["", "onnx.brevitas", "finn.custom_op.general"])
def test_domains_that_no_file_imports(domain: str) -> None:
    constants = {"s": np.float32(0.25), "z": np.int64(0), "b": np.int64(3)}
    model = network(quant("h", "a", signed=0, narrow=0), constants=constants, domains=())
    model.graph.node[1].domain = domain
    before = model.SerializeToString()
    assert_lossless(model, layers=1)
    assert model.SerializeToString() == before
    assert {opset.domain for opset in with_domains(model).opset_import} == {"", domain or DOMAIN}


FLOATS = {"fs": 1, "e": 4, "m": 3, "c": 7, "top": 240}
SMALL_FLOAT = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1}


def float_quant(x: str, y: str) -> onnx.NodeProto:
    return node("FloatQuant", [x, *FLOATS], [y], domain=DOMAIN, **SMALL_FLOAT)


FLOAT_CONSTANTS = {name: np.float32(value) for name, value in FLOATS.items()}


def test_weights_that_are_small_floats_are_constants() -> None:
    constants = {"s": np.float32(0.25), "z": np.float32(0), "b": np.float32(4), **FLOAT_CONSTANTS}
    model = network(quant("h", "a", signed=0, narrow=0), constants=constants)
    model.graph.node.insert(0, float_quant("w", "wq"))
    model.graph.node[1].input[1] = "wq"
    assert_lossless(model, layers=1)


def test_activations_that_are_small_floats_are_tables() -> None:
    conversion = assert_lossless(network(float_quant("h", "a"), constants=FLOAT_CONSTANTS), layers=1)
    assert conversion.layers[0].rounding == "table"


def quantised_to(code: int, **attributes: Any) -> onnx.ModelProto:
    zero = helper.make_tensor("z", code, [], np.zeros(1, np.float32))
    between = [
        node("QuantizeLinear", ["h", "s", "z"], ["q"], **attributes),
        node("DequantizeLinear", ["q", "s", "z"], ["a"], **attributes),
    ]
    model = network(*between, constants={"s": np.float32(0.25)}, domains=())
    model.graph.initializer.append(zero)
    model.opset_import[0].version = 23
    return model


@pytest.mark.parametrize("code", ["FLOAT8E5M2", "FLOAT4E2M1"])
def test_codes_that_are_small_floats_of_too_many_levels_are_refused_by_name(code: str) -> None:
    """So are those that onnxruntime does not compute."""
    with pytest.raises(ConversionError, match="small floats"):
        onnx2snn.convert(quantised_to(getattr(TensorProto, code)))


@pytest.mark.parametrize("code", ["INT4", "UINT4", "INT8", "UINT16"])
def test_integers_in_their_place_are_a_neuron(code: str) -> None:
    assert_lossless(quantised_to(getattr(TensorProto, code)), layers=1)


def test_scales_by_block_are_refused_by_name() -> None:
    model = quantised_to(TensorProto.UINT8, block_size=3)
    scales = np.full((40, 2), 0.25, np.float32)
    del model.graph.initializer[:]
    values = {**WEIGHTS, "s": scales, "z": np.zeros((40, 2), np.uint8)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in values.items())
    with pytest.raises(ConversionError, match="a scale for each block"):
        onnx2snn.convert(model)


@pytest.mark.parametrize(
    ("domain", "operator", "reason"),
    [
        ("finn.custom_op.fpgadataflow.hls", "MVAU_hls", "hardware that FINN generates"),
        ("qonnx.custom_op.general", "GenericPartition", "not defined here"),
    ],
)
def test_what_only_tools_know_is_refused_with_the_reason(domain: str, operator: str, reason: str) -> None:
    model = network(node(operator, ["h"], ["a"], domain=domain), constants={}, domains=())
    with pytest.raises(ConversionError, match=reason) as refused:
        onnx2snn.convert(model)
    assert (refused.value.node, refused.value.operator) == ("a", operator)
