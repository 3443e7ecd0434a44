"""Operators of QONNX, by their specification, in stock onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples

from onnx2snn.errors import InvalidModelError
from onnx2snn.qonnx_definition import DOMAINS, with_definitions
from onnx2snn.reference import run_reference

X = np.arange(-40, 41, dtype=np.float32).reshape(1, 81) / 8


def network(operator: str, constants: dict[str, float], domain: str, **attributes: object) -> onnx.ModelProto:
    values = {name: np.array(value, np.float32) for name, value in constants.items()}
    one = node(operator, ["x", *values], ["y"], domain=domain, **attributes)
    domains = [domain] if domain else []
    return make_model([one], values, {"x": ["N", 81]}, {"y": ["N", 81]}, domains=domains)


def test_a_model_without_them_is_not_copied() -> None:
    model = make_model([node("Relu", ["x"], ["y"])], {}, {"x": ["N", 2]}, {"y": ["N", 2]})
    assert with_definitions(model) is model


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_quantiser_clamps_then_rounds(domain: str) -> None:
    model = network("Quant", {"s": 0.5, "z": 1, "b": 3}, domain, signed=1, narrow=1, rounding_mode="ROUND")
    expected = (np.rint(np.clip(X / 0.5 + 1, -3, 3)) - 1) * 0.5
    np.testing.assert_array_equal(run_reference(model, {"x": X})["y"], expected)


def test_a_bipolar_quantiser_is_its_scale_or_less_that() -> None:
    model = network("BipolarQuant", {"s": 0.75}, "qonnx.custom_op.general")
    np.testing.assert_array_equal(run_reference(model, {"x": X})["y"], np.where(X >= 0, 0.75, -0.75))


def test_a_mode_that_is_none_is_named() -> None:
    model = network("Quant", {"s": 0.5, "z": 0, "b": 3}, "qonnx.custom_op.general", rounding_mode="SIDEWAYS")
    with pytest.raises(InvalidModelError, match="SIDEWAYS"):
        run_reference(model, {"x": samples(1, 81)})
