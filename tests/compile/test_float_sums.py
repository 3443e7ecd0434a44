"""Sums of bytes through 8-bit weights that flow on as floats: exact where all is whole, and rounded twice elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node

from onnx2snn.compile.draft import Draft
from onnx2snn.compile.int8 import Int8Writer
from onnx2snn.model.weights import split_model
from onnx2snn.runtime.target import Target

DRAWS = np.random.default_rng(3)
CODES = DRAWS.integers(-127, 128, (24, 10))
HERE = Target(elements=True, contributed=True)


def written(nodes: list[onnx.NodeProto], constants: dict[str, Any], target: Target = HERE) -> onnx.ModelProto:
    """The network of neurons ``x`` (N, 3, 24), T = 8, and what reads them, as an int8 execution."""
    neuron = node(
        "IF", ["v", "zero", "compare", "subtract", "ceiling"], ["x"],
        timesteps=8, levels=255, input_steps=1, domain="onnx2snn",
    )  # fmt: skip
    powers = 2.0 ** np.arange(7, -1, -1).reshape(-1, 1, 1)
    held = {
        "zero": np.zeros(1), "compare": powers - 0.5, "subtract": powers, "ceiling": np.full(1, 255.0), **constants,
    }  # fmt: skip
    model = make_model(
        [neuron, *nodes],
        {name: np.float32(value) for name, value in held.items()},
        {"v": ["N", 3, 24]},
        {"y": ["N", 3, 10]},
        domains=["onnx2snn"],
    )
    inner = [one.output[0] for one in (neuron, *nodes[:-1])]
    model.graph.value_info.extend(onnx.helper.make_tensor_value_info(name, 1, ["N", 3, 24]) for name in inner)
    draft = Draft(split_model(model), target)
    Int8Writer(draft).run()
    return draft.finished().whole()


def answers(model: onnx.ModelProto, v: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"v": v})[0])


def operators(model: onnx.ModelProto) -> list[str]:
    return [one.op_type for one in model.graph.node]


POTENTIALS = np.float32(DRAWS.uniform(-20, 300, (5, 3, 24)))
LEVELS = np.clip(np.rint(POTENTIALS), 0, 255)


@pytest.mark.parametrize("unit", [1, 0.25, 0.375])
def test_whole_numbers_are_summed_exactly(unit: float) -> None:
    model = written([node("MatMul", ["x", "w"], ["y"])], {"w": CODES * unit})
    assert "MatMulIntegerToFloat" in operators(model)
    assert "MatMul" not in operators(model)
    np.testing.assert_array_equal(answers(model, POTENTIALS), LEVELS @ CODES * unit)


def test_a_weighted_shifted_byte_and_units_by_channel() -> None:
    """What reads the neurons is 0.03·(k − 100), as behind a quantiser with a zero point."""
    units = DRAWS.uniform(0.001, 0.1, 10)
    nodes = [
        node("Sub", ["x", "middle"], ["centred"]), node("Mul", ["centred", "step"], ["s"]), node("MatMul", ["s", "w"], ["y"]),
    ]  # fmt: skip
    model = written(nodes, {"middle": 100, "step": 0.03, "w": (CODES * units).astype(np.float32)})
    assert "MatMulIntegerToFloat" in operators(model)
    expected = np.float32(0.03) * (LEVELS - 100) @ (CODES * units)
    np.testing.assert_allclose(answers(model, POTENTIALS), expected, rtol=2e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("weights", "target"),
    [
        (DRAWS.normal(0, 1, (24, 10)), HERE),  # no whole numbers of any unit
        (CODES, Target(elements=True)),  # a place without the kernel
    ],
)
def test_other_weights_and_places_keep_their_floats(weights: np.ndarray, target: Target) -> None:
    model = written([node("MatMul", ["x", "w"], ["y"])], {"w": weights}, target)
    assert "MatMulIntegerToFloat" not in operators(model)
    np.testing.assert_allclose(answers(model, POTENTIALS), LEVELS @ np.float32(weights), rtol=1e-4, atol=1e-2)
