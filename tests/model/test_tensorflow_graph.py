"""Fake quantisers of TensorFlow in operators of ONNX: by the definition of TensorFlow, whatever their width."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, samples

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.model.tensorflow_graph import write_fake_quantiser


class FakeGraph:
    """What is asked of tf2onnx's graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.removed: list[str] = []

    def make_node(
        self, operator: str, inputs: list[str], name: str = "last", outputs: Any = None, **_: Any
    ) -> Any:
        node = onnx.helper.make_node(operator, inputs, outputs or [f"{name}:0"], name)
        self.nodes.append(node)
        return node

    def make_const(self, name: str, values: np.ndarray) -> Any:
        self.constants[name] = values
        return type("Constant", (), {"output": [name]})

    def remove_node(self, name: str) -> None:
        self.removed.append(name)


class FakeNode:
    """What is asked of its nodes."""

    name, output, output_shapes, output_dtypes = "fq", ["y"], [[-1]], [1]

    def __init__(self, inputs: list[str], **attributes: Any) -> None:
        self.input, self._attributes = inputs, attributes

    def get_attr_value(self, name: str, default: Any = None) -> Any:
        return self._attributes.get(name, default)


def definition(x: np.ndarray, low: Any, high: Any, bits: int, narrow: bool) -> np.ndarray:
    """Of the documentation of tf.quantization.fake_quant_with_min_max_vars."""
    first, last = int(narrow), 2**bits - 1
    scale = (np.asarray(high, np.float64) - low) / (last - first)
    zero = np.clip(np.floor(first - low / scale + 0.5), first, last)
    lower, upper = (first - zero) * scale, (last - zero) * scale
    return np.floor((np.clip(x, lower, upper) - lower) / scale + 0.5) * scale + lower


@pytest.mark.parametrize(
    ("low", "high", "bits", "narrow"),
    [
        (0.0, 6.0, 4, False),
        (-1.0, 1.0, 8, True),
        (-0.9, 1.3, 2, False),
        (np.array([-1.0, 0.0, -2.0]), np.array([1.0, 4.0, 0.5]), 4, True),
    ],
)
@pytest.mark.parametrize("attributes", [True, False])
def test_they_are_what_tensorflow_defines(
    low: Any, high: Any, bits: int, narrow: bool, attributes: bool
) -> None:
    if attributes and np.ndim(low):
        pytest.skip("attributes are single numbers")
    graph = FakeGraph()
    given = {"min": low, "max": high} if attributes else {}
    node = FakeNode(["x"] if attributes else ["x", "l", "h"], num_bits=bits, narrow_range=narrow, **given)
    write_fake_quantiser(graph, node)
    limits = {} if attributes else {"l": np.float32(low), "h": np.float32(high)}
    model = make_model(graph.nodes, graph.constants | limits, {"x": ["N", 3]}, {"y": ["N", 3]})
    x = 4 * samples(200, 3)
    assert graph.removed == ["fq"]
    expected = definition(x, low, high, bits, narrow)
    np.testing.assert_allclose(run_reference(model, {"x": x})["y"], expected, atol=1e-5)


def test_they_become_neurons_of_their_width() -> None:
    graph = FakeGraph()
    write_fake_quantiser(graph, FakeNode(["z"], num_bits=4, min=0.0, max=6.0))
    first = onnx.helper.make_node("Gemm", ["x", "w"], ["z"], "dense")
    last = onnx.helper.make_node("Gemm", ["y", "v"], ["out"], "readout")
    weights = {"w": samples(3, 5), "v": samples(5, 2)}
    nodes = [first, *graph.nodes, last]
    model = make_model(nodes, graph.constants | weights, {"x": ["N", 3]}, {"out": ["N", 2]})
    conversion = onnx2snn.convert(model)
    assert conversion.timesteps == 4
    assert onnx2snn.verify(model, conversion).lossless
