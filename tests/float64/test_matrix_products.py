"""Products of matrices in float64: as onnxruntime's, and equal rows have equal answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_graphs import make_model, node, samples

from onnx2snn.float64 import Float64Network
from onnx2snn.float64.matrix_products import multiplied
from onnx2snn.model.reference import run_reference


@pytest.mark.parametrize("rows", [2, 5, 17, 34])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_equal_rows_have_equal_answers(rows: int, batch: tuple[int, ...]) -> None:
    row = samples(*batch, 1, 77).astype(np.float64)
    weights = samples(77, 131).astype(np.float64)
    found = multiplied(np.repeat(row, rows, axis=-2), weights)
    assert found.shape == (*batch, rows, 131)
    assert np.array_equal(found, np.broadcast_to(row @ weights, found.shape))


@pytest.mark.parametrize("changed", [0, 2, 4])
def test_a_row_that_differs_is_multiplied(changed: int) -> None:
    rows = np.ones((5, 3))
    rows[changed] = 2
    assert multiplied(rows, np.eye(3)).tolist() == rows.tolist()


@pytest.mark.parametrize(
    "attributes", [{}, {"alpha": 0.5, "beta": 2.0}, {"transA": 1}, {"transB": 1, "beta": 0.0}, {"alpha": 0.0}]
)
def test_gemm(attributes: dict[str, Any]) -> None:
    x, w = samples(6, 4), samples(4, 3)
    x, w = x.T if attributes.get("transA") else x, w.T if attributes.get("transB") else w
    for held in ({"w": w}, {"w": w, "c": samples(3)}):
        nodes = [node("Gemm", ["x", *held], ["y"], **attributes)]
        model = make_model(nodes, held, {"x": list(x.shape)}, {"y": [6, 3]})
        wide = Float64Network(model).run({"x": x})["y"]
        assert wide.dtype == np.float64
        np.testing.assert_allclose(wide, run_reference(model, {"x": x})["y"], atol=1e-5)


@pytest.mark.parametrize(
    ("left", "right"), [((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 5, 3), (2, 3, 4))]
)
def test_matmul(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    model = make_model(
        [node("MatMul", ["x", "w"], ["y"])], {"w": samples(*right)}, {"x": list(left)}, {"y": None}
    )
    x = samples(*left, seed=1)
    wide = Float64Network(model).run({"x": x})["y"]
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, run_reference(model, {"x": x})["y"], atol=1e-5)
