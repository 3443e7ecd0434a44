"""Operators that were kept, and take the samples of a batch together: what they make of some is not what they make of all."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_operators import dyadic

import onnx2snn
from onnx2snn.model.domains import MICROSOFT

PLACES = np.repeat(np.arange(5)[np.newaxis, ::-1], 3, axis=0)
ANGLES = np.arange(9)[:, np.newaxis] / 10.0 ** np.arange(4)
NUMBERS = {
    "w": dyadic(8, 8), "w2": dyadic(8, 8, seed=1), "v": dyadic(8, 3, seed=2), "s": np.float32(0.25), "zero": np.uint8(100),
    "codes": np.random.default_rng(3).integers(-127, 128, (8, 8)).astype(np.int8), "step": np.float32(0.01),
    "places": PLACES, "cosines": np.cos(ANGLES).astype(np.float32), "sines": np.sin(ANGLES).astype(np.float32),
}  # fmt: skip
KEPT: dict[str, tuple[list[str], dict[str, Any]]] = {
    "DynamicQuantizeMatMul": (["codes", "step"], {}),
    "RotaryEmbedding": (["places", "cosines", "sines"], {"scale": 0.5}),
}


def quantiser(z: str, a: str) -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", [z, "s", "zero"], [f"{a}q"]),
        node("DequantizeLinear", [f"{a}q", "s", "zero"], [a]),
    ]


def network(kept: str, batch: int | str) -> onnx.ModelProto:
    """The scale of all samples; places of each, as constants for so many."""
    read, extra = KEPT[kept]
    nodes = [
        node("MatMul", ["x", "w"], ["z"]), *quantiser("z", "a"),
        node(kept, ["a", *read], ["k"], domain=MICROSOFT, **extra),
        node("MatMul", ["k", "w2"], ["z2"]), *quantiser("z2", "b"),
        node("MatMul", ["b", "v"], ["y"]),
    ]  # fmt: skip
    used = {name for n in nodes for name in n.input}
    constants = {name: values for name, values in NUMBERS.items() if name in used}
    return make_model(nodes, constants, {"x": [batch, 5, 8]}, {"y": [batch, 5, 3]}, domains=[MICROSOFT])


@pytest.mark.parametrize(
    ("kept", "batch"),
    [("DynamicQuantizeMatMul", "N"), ("DynamicQuantizeMatMul", 3), ("RotaryEmbedding", 3)],
)
def test_what_mixes_samples_is_compared_with_all_of_them(kept: str, batch: int | str) -> None:
    source, x = network(kept, batch), samples(9, 5, 8)
    conversion = onnx2snn.convert(source, hybrid=True)
    assert conversion.non_spiking
    certificate = onnx2snn.verify(source, conversion, x)
    assert certificate.lossless
    assert certificate.one_at_a_time == (batch == "N")


def test_what_keeps_samples_apart_is_compared_in_batches() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["z"]),
        *quantiser("z", "a"),
        node("Softmax", ["a"], ["k"]),
        node("MatMul", ["k", "w2"], ["z2"]),
        *quantiser("z2", "b"),
        node("MatMul", ["b", "v"], ["y"]),
    ]
    constants = {name: NUMBERS[name] for name in ("w", "w2", "v", "s", "zero")}
    source = make_model(nodes, constants, {"x": ["N", 5, 8]}, {"y": ["N", 5, 3]})
    certificate = onnx2snn.verify(source, onnx2snn.convert(source, hybrid=True), samples(9, 5, 8))
    assert certificate.lossless
    assert not certificate.one_at_a_time
