"""Operators of QONNX, by their specification, in stock onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_qonnx import ANSWERS, COUNT, SEED, draw
from helpers_qonnx_executor import executed, executed_network

import onnx2snn
from onnx2snn.errors import InvalidModelError
from onnx2snn.model.qonnx_definition import DOMAINS, with_definitions
from onnx2snn.model.reference import run_reference

NETWORKS = sorted((Path(__file__).parent / "corpus").rglob("*-qonnx.onnx")) + sorted(
    Path(os.environ["QONNX_NETWORKS"]).glob("*.onnx") if "QONNX_NETWORKS" in os.environ else ()
)
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


@pytest.mark.parametrize("opset", [9, 11, 13, 21])
def test_every_operator_answers_what_qonnx_answers(opset: int) -> None:
    answers, first = np.load(ANSWERS), 0
    for call in draw(COUNT, SEED):
        found = run_reference(call.model(opset), {"i0": call.inputs[0]})["y"]
        assert found.shape == call.shape
        expected = answers[first : first + found.size].reshape(call.shape)
        np.testing.assert_array_equal(found, expected, f"{call.operator} {call.attributes}")
        first += found.size
    assert first == answers.size


def test_other_calls_answer_what_qonnx_answers() -> None:
    pytest.importorskip("qonnx")
    for call in draw(200, 1):
        found = run_reference(call.model(), {"i0": call.inputs[0]})["y"]
        np.testing.assert_array_equal(found, executed(call), f"{call.operator} {call.attributes}")


@pytest.mark.filterwarnings("ignore::UserWarning:qonnx")
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_whole_networks_answer_what_qonnx_answers(path: Path) -> None:
    """Those of the corpus and, beside them, of the folder that ``QONNX_NETWORKS`` names."""
    pytest.importorskip("qonnx")
    model = onnx.load(path)
    inputs, expected = executed_network(model)
    found = run_reference(model, inputs)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name], name)
    assert onnx2snn.verify(model, onnx2snn.convert(model), inputs).lossless


@pytest.mark.parametrize("signed", [0, 1])
def test_bit_widths_by_channel(signed: int) -> None:
    """Each channel is quantised as one alone would be, a signed one of one bit among them."""
    x = samples(2, 4, 9)
    bits = np.array([1, 2, 4, 3], np.float32).reshape(1, 4, 1)

    def quantised(x: np.ndarray, bits: np.ndarray) -> np.ndarray:
        values = {"s": np.float32(0.25), "z": np.float32(0), "b": bits}
        one = node("Quant", ["x", *values], ["y"], domain="onnx.brevitas", signed=signed)
        model = make_model([one], values, {"x": x.shape}, {"y": x.shape}, domains=["onnx.brevitas"])
        return run_reference(model, {"x": x})["y"]

    alone = [quantised(x[:, c : c + 1], bits[0, c, 0]) for c in range(4)]
    np.testing.assert_array_equal(quantised(x, bits), np.concatenate(alone, axis=1))


def test_integer_parameters_are_numbers() -> None:
    values = {"s": np.float32(0.5), "z": np.int64(1), "b": np.int64(3)}
    one = node("Quant", ["x", *values], ["y"], domain="", signed=0, narrow=0)
    model = make_model([one], values, {"x": ["N", 81]}, {"y": ["N", 81]}, opset=9, ir_version=4)
    expected = (np.rint(np.clip(X / 0.5 + 1, 0, 7)) - 1) * 0.5
    np.testing.assert_array_equal(run_reference(model, {"x": X})["y"], expected)


def test_a_mode_that_is_none_is_named() -> None:
    model = network("Quant", {"s": 0.5, "z": 0, "b": 3}, "qonnx.custom_op.general", rounding_mode="SIDEWAYS")
    with pytest.raises(InvalidModelError, match="SIDEWAYS"):
        run_reference(model, {"x": samples(1, 81)})
