"""One operator at a time answers what the whole model in float64 answers, and holds less."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

from onnx2snn.float64 import Float64Network, streamed
from onnx2snn.model.weights import split_model

RANDOM = np.random.default_rng(0)


def model_of(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], output: str, rank: int
) -> onnx.ModelProto:
    held = {name: np.asarray(values) for name, values in constants.items()}
    shape = [f"d{i}" for i in range(rank)]
    return make_model(nodes, held, {}, {output: shape}, opset=21, ir_version=10)


def weights(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def layer(
    op: str, x: tuple[int, ...], w: tuple[int, ...], *bias: tuple[int, ...], **attributes: Any
) -> onnx.ModelProto:
    constants = {"x": weights(*x), "w": weights(*w), **{f"b{i}": weights(*b) for i, b in enumerate(bias)}}
    return model_of([node(op, list(constants), ["y"], "n", **attributes)], constants, "y", len(x))


LAYERS = {
    "Conv": layer("Conv", (1, 16, 6, 6), (40, 16, 3, 3), (40,), pads=[1, 1, 1, 1]),
    "Conv without bias": layer("Conv", (1, 16, 6), (40, 16, 3)),
    "Conv in groups": layer("Conv", (1, 16, 6, 6), (40, 8, 3, 3), (40,), group=2),
    "ConvTranspose": layer("ConvTranspose", (1, 16, 6, 6), (16, 40, 3, 3), (40,)),
    "Gemm": layer("Gemm", (3, 50), (50, 64), (64,), alpha=0.5, beta=2.0),
    "Gemm, transposed": layer("Gemm", (3, 50), (64, 50), (3, 1), transB=1),
    "Gemm, one bias": layer("Gemm", (3, 50), (64, 50), (), transB=1),
    "Gemm, a bias for each": layer("Gemm", (3, 50), (50, 64), (3, 64)),
    "MatMul": layer("MatMul", (2, 3, 50), (50, 64)),
    "MatMul of many": layer("MatMul", (2, 3, 50), (2, 50, 64)),
    "MatMul from the left": model_of(
        [node("MatMul", ["w", "x"], ["y"], "n")], {"w": weights(64, 50), "x": weights(50, 3)}, "y", 2
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_whole_and_in_slices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LAYERS[name]
    expected = Float64Network(model).run({})["y"]
    np.testing.assert_array_equal(streamed(split_model(model))["y"], expected)
    monkeypatch.setattr("onnx2snn.float64.one_by_one.SLICE", 300)
    found = streamed(split_model(model))["y"]
    assert found.dtype == np.float64
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert not np.array_equal(found, expected.astype(np.float32))


def test_what_jumps_is_computed_in_float32_and_forks_are_kept() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["t"], "n0"),
        node("Round", ["t"], ["r"], "n1"),
        node("Add", ["t", "r"], ["a"], "n2"),
        node("MatMul", ["a", "v"], ["b"], "n3"),
        node("Concat", ["a", "b"], ["y"], "n4", axis=1),
    ]
    model = model_of(nodes, {"x": weights(4, 50), "w": weights(50, 40), "v": weights(40, 40)}, "y", 2)
    np.testing.assert_array_equal(streamed(split_model(model))["y"], Float64Network(model).run({})["y"])


def test_subgraphs_see_what_lies_outside() -> None:
    inner = onnx.helper.make_graph(
        [node("MatMul", ["x", "w"], ["inside"], "n")],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("inside", onnx.TensorProto.FLOAT, None)],
    )
    nodes = [node("If", ["yes"], ["y"], "n", then_branch=inner, else_branch=inner)]
    constants = {"yes": np.array(True), "x": weights(4, 50), "w": weights(50, 40)}
    model = model_of(nodes, constants, "y", 2)
    np.testing.assert_array_equal(streamed(split_model(model))["y"], Float64Network(model).run({})["y"])


def test_no_more_is_held_than_one_slice_of_weights() -> None:
    """Ten layers of 4 MB: their float64 copies would be 84 MB, one of them 8.4 MB."""
    names = [f"w{i}" for i in range(10)]
    nodes = [node("MatMul", [f"x{i}", name], [f"x{i + 1}"], f"n{i}") for i, name in enumerate(names)]
    model = model_of(nodes, {"x0": weights(1, 1024), **{n: weights(1024, 1024) for n in names}}, "x10", 2)
    split = split_model(model)
    tracemalloc.start()
    streamed(split)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6
