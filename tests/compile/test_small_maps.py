"""Convolutions of maps smaller than their kernel, tap by tap, against onnxruntime's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node, samples

from onnx2snn.compile.draft import Draft, attributes
from onnx2snn.compile.small_images import dense_matrix, tap_by_tap
from onnx2snn.model.weights import split_model

#: Of 3 channels to 5: (sizes of the map, of the kernel, of the result, attributes).
CASES: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int], dict[str, Any]]] = {
    "2×2": ((2, 2), (3, 3), (2, 2), {"pads": [1, 1, 1, 1]}),
    "one pixel": ((1, 1), (3, 3), (1, 1), {"pads": [1, 1, 1, 1]}),
    "no square": ((1, 2), (3, 3), (1, 2), {"pads": [1, 1, 1, 1]}),
    "strided": ((2, 2), (3, 3), (1, 1), {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    "dilated": ((2, 2), (3, 3), (2, 2), {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
    "padded on one side": ((2, 2), (3, 3), (2, 2), {"pads": [2, 0, 0, 2]}),
    "beyond the map": ((1, 1), (2, 2), (2, 1), {"pads": [1, 1, 1, 0]}),
}
LEFT = {
    "as large as the kernel": ((3, 3), (3, 3), (3, 3), {"pads": [1, 1, 1, 1]}),
    "padding by name": ((2, 2), (3, 3), (2, 2), {"auto_pad": "SAME_UPPER"}),
    "more pairs than twice the places": ((2, 2), (3, 3), (6, 6), {"pads": [3, 3, 3, 3]}),
}


def convolution(case: tuple[Any, ...], *, bias: bool) -> Draft:
    size, kernel, result, held = case
    constants = {"w": samples(5, 3, *kernel, seed=1), **({"b": samples(5, seed=2)} if bias else {})}
    model = make_model(
        [node("Conv", ["x", *constants], ["y"], "n", **held)],
        constants,
        {"x": ["N", 3, *size]},
        {"y": ["N", 5, *result]},
    )
    return Draft(split_model(model))


def answers(draft: Draft, x: np.ndarray) -> np.ndarray:
    content = draft.finished().whole().SerializeToString()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_each_tap_is_a_product_of_its_own(name: str, bias: bool) -> None:
    draft, plain = convolution(CASES[name], bias=bias), convolution(CASES[name], bias=bias)
    plain.keep(plain.nodes[0])
    assert tap_by_tap(draft.nodes[0], draft)
    x = samples(4, 3, *CASES[name][0], seed=3)
    np.testing.assert_allclose(answers(draft, x), answers(plain, x), atol=1e-5)


@pytest.mark.parametrize("name", LEFT)
def test_other_convolutions_are_left_as_they_are(name: str) -> None:
    draft = convolution(LEFT[name], bias=False)
    assert not tap_by_tap(draft.nodes[0], draft)


def test_weights_are_held_once() -> None:
    draft = convolution(CASES["2×2"], bias=False)
    assert tap_by_tap(draft.nodes[0], draft)
    graph = draft.finished().structure.graph
    assert [node.op_type for node in graph.node].count("MatMul") == 9 + 1
    assert "w" not in {tensor.name for tensor in graph.initializer}


def test_the_matrix_is_the_same_map() -> None:
    size, _, result, _ = CASES["2×2"]
    draft = convolution(CASES["2×2"], bias=False)
    weights, held = draft.value("w"), attributes(draft.nodes[0])
    assert weights is not None
    matrix = dense_matrix(weights, (3, *size), (5, *result), held, 2.0)
    assert matrix is not None
    assert dense_matrix(weights, (3, *size), (5, *result), held, 1.0) is None
    draft.keep(draft.nodes[0])
    x = samples(4, 3, *size, seed=3)
    dense = (x.reshape(4, -1) @ matrix).reshape(4, 5, *result)
    np.testing.assert_allclose(answers(draft, x), dense, atol=1e-5)
