"""Sums and products of codes and constants at ties: the codes of the runtime's kernels, for every code."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, run_graph

import onnx2snn
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers

MICROSOFT = "com.microsoft"


def near_ties(operator: str, kind: Any, random: np.random.Generator) -> dict[str, Any]:
    """Constants of an operator of two operands: its steps are in ratios of powers of two, or 10⁻⁷ beside them."""
    ends = np.iinfo(kind)
    zeros = random.integers(ends.min, ends.max + 1, 3).astype(kind)
    sx = np.float32(random.uniform(0.01, 2))
    sw = np.float32(sx * random.choice([0.25, 0.5, 1, 2]))
    unit = sx * sw if operator == "QLinearMul" else sx
    beside = 1 + random.choice([0, 1e-7, -1e-7, 3e-7, 1e-6])
    sy = np.float32(unit * random.choice([0.5, 1, 2, 4]) * beside)
    held = {"sx": sx, "zx": zeros[0], "sw": sw, "zw": zeros[1], "sy": sy, "zy": zeros[2]}
    return {"w": random.integers(ends.min, ends.max + 1, (3, 1)).astype(kind), **held}


@pytest.mark.parametrize("turned", [False, True], ids=["behind", "in front"])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_all_codes_and_a_constant_near_ties(operator: str, kind: Any, turned: bool) -> None:
    random = np.random.default_rng(3)
    ends = np.iinfo(kind)
    x = np.arange(ends.min, ends.max + 1).astype(kind)[None].repeat(3, axis=0)
    operands = ["x", "sx", "zx"], ["w", "sw", "zw"]
    inputs = [*operands[turned], *operands[not turned], "sy", "zy"]
    nodes = [
        node(operator, inputs, ["r"], domain=MICROSOFT),
        node("DequantizeLinear", ["r", "sy", "zy"], ["y"]),
    ]
    types = {"x": onnx.helper.np_dtype_to_tensor_dtype(x.dtype)}
    for _ in range(20):
        held = near_ties(operator, kind, random)
        source = make_model(
            nodes, held, {"x": [3, 256]}, {"y": [3, 256]}, types=types, domains=[MICROSOFT], opset=21
        )
        graph = decompose_quantisers(import_model(load_model(source)))
        assert not [n.op for n in graph.nodes if n.domain]
        answer = run_graph(graph, {"x": x})["y"]
        np.testing.assert_array_equal(answer, run_reference(source, {"x": x})["y"])


def test_a_gelu_of_integer_operators_is_certified() -> None:
    """Its 1 is half a step of the sum's codes, so that every code lies at a tie but for the last bits."""
    random = np.random.default_rng(5)
    held: dict[str, Any] = {
        "sx": np.float32(0.034769222140312195),
        "zx": np.uint8(127),
        "root": np.float32(np.sqrt(2)),
        "se": np.float32(0.00784306414425373),
        "ze": np.uint8(127),
        "one": np.uint8(255),
        "s1": np.float32(1 / 255),
        "z1": np.uint8(0),
        "sp": np.float32(0.007843105122447014),
        "half": np.uint8(255),
        "sh": np.float32(0.5 / 255),
        "sm": np.float32(0.003921552561223507),
        "sg": np.float32(0.018159063532948494),
        "zg": np.uint8(9),
        "w": random.integers(-127, 128, (32, 16)).astype(np.int8),
        "sw": np.float32(0.0019678),
        "zw": np.int8(0),
        "sy": np.float32(0.0253459),
        "zy": np.uint8(135),
    }
    own = {"domain": MICROSOFT}
    nodes = [
        node("QuantizeLinear", ["x", "sx", "zx"], ["q"]),
        node("DequantizeLinear", ["q", "sx", "zx"], ["d"]),
        node("Div", ["d", "root"], ["r"]),
        node("Erf", ["r"], ["e"]),
        node("QuantizeLinear", ["e", "se", "ze"], ["eq"]),
        node("QLinearAdd", ["eq", "se", "ze", "one", "s1", "z1", "sp", "z1"], ["p"], **own),
        node("QLinearMul", ["half", "sh", "z1", "p", "sp", "z1", "sm", "z1"], ["m"], **own),
        node("QLinearMul", ["q", "sx", "zx", "m", "sm", "z1", "sg", "zg"], ["g"], **own),
        node("QLinearMatMul", ["g", "sg", "zg", "w", "sw", "zw", "sy", "zy"], ["k"]),
        node("DequantizeLinear", ["k", "sy", "zy"], ["y"]),
    ]
    source = make_model(nodes, held, {"x": ["N", 32]}, {"y": ["N", 16]}, domains=[MICROSOFT], opset=17)
    x = random.normal(0, 1.5, (64, 32)).astype(np.float32)
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, {"x": x})
    assert certificate.lossless
    assert not certificate.max_abs_error
