"""The quantisers of QONNX: what their domain says, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_graphs import make_model, node, run_graph, samples

from onnx2snn.model_file import load_model
from onnx2snn.passes.decompose_quantisers import decompose_quantisers
from onnx2snn.passes.importer import import_model

SHAPE = ["N", 3, 8, 8]
X = {"x": samples(2, 3, 8, 8)}
QONNX = "qonnx.custom_op.general"


def quant(
    x: np.ndarray, scale: float, zero: float, bits: float, rounding: Any, signed: int, narrow: int
) -> Any:
    """The definition of QONNX, in float32."""
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    low = -(2 ** (bits - 1)) + narrow if signed else 0
    level = np.clip(rounding(x / np.float32(scale)) + np.float32(zero), low, high)
    return (level - np.float32(zero)) * np.float32(scale)


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("narrow", [0, 1])
@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR"])
@pytest.mark.parametrize(("bits", "zero"), [(2.0, 0.0), (4.0, 3.0)])
def test_quant(signed: int, narrow: int, mode: str, bits: float, zero: float) -> None:
    quantiser = node(
        "Quant", ["x", "s", "z", "b"], ["y"], domain=QONNX, signed=signed, narrow=narrow, rounding_mode=mode
    )
    constants = {"s": np.float32(0.25), "z": np.float32(zero), "b": np.float32(bits)}
    model = make_model([quantiser], constants, {"x": SHAPE}, {"y": SHAPE}, domains=[QONNX])
    graph = decompose_quantisers(import_model(load_model(model)))
    rounding = {"ROUND": np.round, "CEIL": np.ceil, "FLOOR": np.floor}[mode]
    expected = quant(X["x"], 0.25, zero, bits, rounding, signed, narrow)
    np.testing.assert_array_equal(run_graph(graph, X)["y"], expected)


def test_bipolar_quant() -> None:
    model = make_model(
        [node("BipolarQuant", ["x", "s"], ["y"], domain=QONNX)],
        {"s": np.float32(0.5)},
        {"x": SHAPE},
        {"y": SHAPE},
        domains=[QONNX],
    )
    graph = decompose_quantisers(import_model(load_model(model)))
    expected = np.where(X["x"] >= 0, np.float32(0.5), np.float32(-0.5))
    np.testing.assert_array_equal(run_graph(graph, X)["y"], expected)
