"""Formulas of records, one entry at a time, against onnxruntime: the same bits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, run_graph
from onnx import helper

from onnx2snn.operators import every, of
from onnx2snn.passes.importer import import_model

FORMULAS = [operator.name for operator in every() if operator.formula]
#: Both signs, halves, both neighbours of whole numbers, the largest, the smallest, and those that are no numbers of their own.
VALUES = np.array(
    [
        0.0,
        -0.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        np.nextafter(np.float32(3), 0),
        3.0,
        1e-45,
        -1e-38,
        3e38,
        16777217,
        0.1,
        1 / 3,
    ],
    np.float32,
)
GIVEN = np.array([*VALUES, np.inf, -np.inf], np.float32)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_its_operator(name: str) -> None:
    operands = len(
        {place for place in "0123" if f"{{{place}}}" in of(helper.make_node(name, [], [])).formula}
    )
    values = [np.roll(GIVEN, 3 * place) for place in range(operands)]
    logical = name in ("And", "Or", "Xor", "Not")
    nodes, names = [], [f"x{place}" for place in range(operands)]
    for place in range(operands):
        if logical or (name == "Where" and place == 0):
            values[place] = values[place] > 0.4
            nodes.append(helper.make_node("Cast", [f"x{place}"], [f"c{place}"], to=onnx.TensorProto.BOOL))
            names[place] = f"c{place}"
    held = {"to": onnx.TensorProto.FLOAT} if name == "Cast" else {}
    nodes += [helper.make_node(name, names, ["y"], **held)]
    nodes += [helper.make_node("Cast", ["y"], ["z"], to=onnx.TensorProto.FLOAT)]
    sizes: dict[str, list[int | str]] = {f"x{place}": ["N"] for place in range(operands)}
    graph = import_model(make_model(nodes, {}, sizes, {"z": ["N"]}, opset=18))
    given = {f"x{place}": value.astype(np.float32) for place, value in enumerate(values)}
    expected = run_graph(graph, given)["z"]
    formula = of(helper.make_node(name, [], [])).formula
    found = []
    with np.errstate(all="ignore"):
        for entry in range(len(GIVEN)):
            texts = [f"v{place}" for place in range(operands)]
            space = {f"v{place}": values[place][entry] for place in range(operands)}
            found.append(eval(formula.format(*texts), {"np": np, **space}))  # noqa: S307 - a formula of ours
    np.testing.assert_array_equal(np.array(found, np.float32), expected)
