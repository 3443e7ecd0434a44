"""Fused convolutions, dense layers and products as operators of ONNX."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from drawn_cases.frames import optimised
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.passes.normalise.expand_fused_operators import expand_fused_operators
from onnx2snn.passes.normalise.infer_shapes import infer_shapes

WEIGHTS = {"w": samples(3, 3, 1, 1, seed=1), "b": samples(3, seed=2), "z": samples(1, 3, 4, 4, seed=3)}


@pytest.mark.parametrize(
    ("activation", "parameters", "last"),
    [
        ("Relu", [], "Relu"),
        ("Clip", [0.0, 1.5], "Clip"),
        ("LeakyRelu", [0.25], "LeakyRelu"),
        ("", [], "Identity"),
    ],
)
def test_convolutions(activation: str, parameters: list[float], last: str) -> None:
    extra: dict[str, Any] = {"activation": activation} if activation else {}
    extra |= {"activation_params": parameters} if parameters else {}
    fused = node("FusedConv", ["x", "w", "b"], ["y"], domain=MICROSOFT, strides=[2, 2], **extra)
    source = make_model([fused], WEIGHTS, {"x": ["N", 3, 4, 4]}, {"y": ["N", 3, 2, 2]}, domains=[MICROSOFT])
    graph = apply_checked(source, {"x": samples(2, 3, 4, 4)}, expand_fused_operators)
    assert operators(graph) == ["Conv", last]


def test_a_convolution_and_a_summand() -> None:
    fused = node("FusedConv", ["x", "w", "", "z"], ["y"], domain=MICROSOFT, activation="Relu")
    constants = {k: WEIGHTS[k] for k in "wz"}
    source = make_model([fused], constants, {"x": [1, 3, 4, 4]}, {"y": [1, 3, 4, 4]}, domains=[MICROSOFT])
    graph = apply_checked(source, {"x": samples(1, 3, 4, 4)}, expand_fused_operators)
    assert operators(graph) == ["Conv", "Add", "Relu"]


def test_a_dense_layer() -> None:
    extra = {"activation": "HardSigmoid", "activation_alpha": 0.25, "activation_beta": 0.5, "transB": 1}
    fused = node("FusedGemm", ["x", "w", "b"], ["y"], domain=MICROSOFT, alpha=0.5, **extra)
    constants = {"w": samples(3, 6, seed=1), "b": samples(3, seed=2)}
    source = make_model([fused], constants, {"x": ["N", 6]}, {"y": ["N", 3]}, domains=[MICROSOFT])
    graph = apply_checked(source, {"x": samples(2, 6)}, expand_fused_operators, tolerance=1e-6)
    assert operators(graph) == ["Gemm", "HardSigmoid"]
    assert graph.nodes[1].attrs["alpha"] == 0.25


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_products(rank: int) -> None:
    """Of what is transposed, and of what has the first axis of its batch in front of the last one."""
    batch, sides = [4, 5][: rank - 2], list(itertools.product((0, 1), repeat=2 if rank > 2 else 1))
    for ours, theirs in itertools.product(sides, repeat=2):
        turns = dict(zip(("transA", "transBatchA"), ours, strict=False))
        turns |= dict(zip(("transB", "transBatchB"), theirs, strict=False))
        fused = node("FusedMatMul", ["x", "w"], ["y"], domain=MICROSOFT, alpha=0.5, **turns)
        x, w = _laid_out([*batch, 2, 3], *ours), _laid_out([*batch, 3, 6], *theirs)
        constants = {"w": samples(*w, seed=1)}
        source = make_model([fused], constants, {"x": x}, {"y": [*batch, 2, 6]}, domains=[MICROSOFT])
        graph = apply_checked(source, {"x": samples(*x)}, infer_shapes, expand_fused_operators)
        assert operators(graph) == ["Transpose"] * (any(ours) + any(theirs)) + ["MatMul", "Mul"]


def _laid_out(shape: list[int], last: int, batch: int = 0) -> list[int]:
    """Sizes of an operand that becomes ``shape`` when it is transposed."""
    *front, rows, columns = [*shape[:-2], shape[-1], shape[-2]] if last else shape
    return [rows, *front, columns] if batch else [*front, rows, columns]


def test_an_optimised_file_converts() -> None:
    """Conv, Relu and a quantiser, as onnxruntime writes them at its extended level."""
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"]),
        node("Relu", ["c"], ["r"]),
        node("QuantizeLinear", ["r", "s", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "s", "zero"], ["d"]),
        node("Conv", ["d", "w", "b"], ["y"]),
    ]
    constants = {"w": WEIGHTS["w"], "b": WEIGHTS["b"], "s": np.float32(0.03125), "zero": np.uint8(7)}
    source = make_model(nodes, constants, {"x": ["N", 3, 4, 4]}, {"y": ["N", 3, 4, 4]})
    file = optimised(source, "extended")
    assert "FusedConv" in {n.op_type for n in file.graph.node}
    conversion = onnx2snn.convert(file)
    assert conversion.non_spiking == ()
    assert onnx2snn.verify(file, conversion.model, {"x": samples(4, 3, 4, 4)}).lossless


PACKED: dict[str, tuple[tuple[int, ...], ...]] = {
    "a zero point a byte": ((4, 2, 8), (4, 2), (4, 2)),
    "scales the other way round": ((4, 2, 8), (2, 4), (2, 4)),
    "fewer scales": ((4, 2, 8), (4, 1), (4, 1)),
    "codes of other blocks": ((4, 2, 16), (4, 2), (4, 1)),
}


@pytest.mark.parametrize("shapes", PACKED.values(), ids=PACKED)
def test_weights_that_are_not_of_the_sizes_that_their_product_says_are_not_read(
    shapes: tuple[tuple[int, ...], ...],
) -> None:
    """No runtime computes them: that is said, and they are not taken for others."""
    random = np.random.default_rng(2)
    held: dict[str, Any] = {
        "s": np.float32(0.1),
        "z": np.uint8(100),
        "w": random.integers(0, 256, shapes[0]).astype(np.uint8),
        "sw": random.uniform(0.01, 0.02, shapes[1]).astype(np.float32),
        "zw": random.integers(0, 256, shapes[2]).astype(np.uint8),
        "v": samples(4, 3, seed=1),
    }
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node(
            "MatMulNBits", ["d", "w", "sw", "zw"], ["p"], domain=MICROSOFT, K=32, N=4, bits=4, block_size=16
        ),
        node("QuantizeLinear", ["p", "s", "z"], ["r"]),
        node("DequantizeLinear", ["r", "s", "z"], ["e"]),
        node("MatMul", ["e", "v"], ["y"]),
    ]
    source = make_model(nodes, held, {"x": ["N", 32]}, {"y": ["N", 3]}, domains=[MICROSOFT])
    with pytest.raises((onnx2snn.ConversionError, onnx2snn.InvalidModelError), match="MatMulNBits"):
        onnx2snn.convert(source)
