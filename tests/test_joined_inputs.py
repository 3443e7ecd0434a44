"""A branch of the input beside spikes goes its own way through the synapses: conv(concat(a, x)) = conv(a) + conv(x)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.errors import ConversionError

RANDOM = np.random.default_rng(5)
PADS = [1, 1, 1, 1]


def weights(outputs: int, inputs: int) -> np.ndarray:
    return (RANDOM.normal(0, 1, (outputs, inputs, 3, 3)) / np.sqrt(9 * inputs)).astype(np.float32)


HELD = {
    "s": np.float32(0.0713),
    "t": np.float32(0.0917),
    "z": np.uint8(0),
    "w": weights(4, 3),
    "u": weights(3, 3),
    "k": weights(3, 4),
    "scales": np.array([1, 1, 2, 2], np.float32),
    **{name: RANDOM.uniform(0.5, 1.5, 7).astype(np.float32) for name in ("g", "b", "m", "v")},
}


def quantised(read: str, made: str, step: str) -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", [read, step, "z"], [f"{made}/codes"]),
        node("DequantizeLinear", [f"{made}/codes", step, "z"], [made]),
    ]


def network(*between: onnx.NodeProto, channels: int = 7) -> onnx.ModelProto:
    """Neurons ``a`` of the input ``x``; ``between`` makes j of both, which a convolution and further neurons read."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=PADS),
        *quantised("c", "a", "s"),
        *between,
        node("Conv", ["j", "last"], ["d"], pads=PADS),
        *quantised("d", "e", "t"),
        node("GlobalAveragePool", ["e"], ["y"]),
    ]
    sizes = {"x": ["N", 3, 8, 8]}
    return make_model(nodes, {**HELD, "last": weights(5, channels)}, sizes, {"y": ["N", 5, 1, 1]}, opset=17)


def joined(*names: str, made: str = "j") -> onnx.NodeProto:
    return node("Concat", list(names), [made], axis=1)


POOLED = {"kernel_shape": [2, 2], "strides": [2, 2]}
CASES: dict[str, tuple[onnx.NodeProto, ...]] = {
    "joined": (joined("a", "x"),),
    "the input first": (joined("x", "a"),),
    "behind synapses of its own": (node("Conv", ["x", "u"], ["cx"], pads=PADS), joined("a", "cx")),
    "behind a function": (node("Sigmoid", ["x"], ["sx"]), joined("a", "sx")),
    "pooled": (
        node("MaxPool", ["a"], ["pa"], **POOLED),
        node("AveragePool", ["x"], ["px"], **POOLED),
        joined("pa", "px"),
    ),
    "in front of a batch norm": (
        joined("a", "x", made="i"),
        node("BatchNormalization", ["i", "g", "b", "m", "v"], ["j"]),
    ),
    "made larger": (joined("a", "x", made="i"), node("Resize", ["i", "", "scales"], ["j"], mode="nearest")),
    "beside currents": (node("Conv", ["a", "k"], ["ca"], pads=PADS), joined("a", "ca")),
}


@pytest.mark.parametrize("case", CASES)
def test_spikes_alone_reach_the_synapses_behind_neurons(case: str) -> None:
    source = network(*CASES[case])
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 2
    assert conversion.non_spiking == ()
    assert list(dense_synapses(conversion.model)) == []
    assert onnx2snn.verify(source, conversion).lossless


def test_an_activation_of_both_that_is_not_quantised_is_named() -> None:
    rectified = joined("a", "x", made="i"), node("Relu", ["i"], ["j"], name="rectified")
    with pytest.raises(ConversionError, match="not quantised") as refused:
        onnx2snn.convert(network(*rectified))
    assert refused.value.node == "rectified"
    hybrid = onnx2snn.convert(network(*rectified), hybrid=True)
    assert [kept.name for kept in hybrid.non_spiking] == ["rectified"]
    assert list(dense_synapses(hybrid.model)) == ["Conv"]  # it is seen where it is


def dense_synapses(model: onnx.ModelProto) -> Iterator[str]:
    """Synapses that read values decoded from spikes, in front of neurons: multiplications that no spike saves."""
    decoded: set[str] = set()
    found: list[Any] = []
    for each in model.graph.node:
        if each.domain == "onnx2snn":
            decoded |= set(each.output) if each.op_type.startswith("Integrate") else set()
        elif decoded & set(each.input):
            decoded |= set(each.output)
            found += [each] if each.op_type in ("Conv", "MatMul", "Gemm") else []
    feeding: set[str] = set()
    for each in reversed(model.graph.node):
        if each.op_type.startswith("IF") or feeding & set(each.output):
            feeding |= set(each.input)
    return (each.op_type for each in found if feeding & set(each.output))
