"""Quantisers whose scale is the range of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.errors import ConversionError
from onnx2snn.model.domains import MICROSOFT
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers

RANDOM = np.random.default_rng(7)


def dense(read: str, name: str) -> list[onnx.NodeProto]:
    """A product as ``quantize_dynamic`` writes it."""
    return [
        node("DynamicQuantizeLinear", [read], [f"{name}q", f"{name}s", f"{name}z"], name=f"quantise_{name}"),
        node("MatMulInteger", [f"{name}q", f"{name}w", f"{name}z", f"{name}wz"], [f"{name}i"]),
        node("Cast", [f"{name}i"], [f"{name}f"], to=1),
        node("Mul", [f"{name}s", f"{name}ws"], [f"{name}ss"]),
        node("Mul", [f"{name}f", f"{name}ss"], [name]),
    ]


def weights(name: str, rows: int, columns: int) -> dict[str, Any]:
    return {
        f"{name}w": RANDOM.integers(0, 256, (rows, columns)).astype(np.uint8),
        f"{name}wz": np.uint8(128),
        f"{name}ws": np.float32(0.01),
    }


def network(batch: int | str = 1, *, places: tuple[int, ...] = (5,)) -> onnx.ModelProto:
    nodes = [*dense("x", "h"), node("Relu", ["h"], ["r"]), *dense("r", "y")]
    constants = weights("h", 8, 16) | weights("y", 16, 4)
    return make_model(nodes, constants, {"x": [batch, *places, 8]}, {"y": [batch, *places, 4]}, opset=13)


@pytest.mark.parametrize("zeros", [False, True])
def test_what_onnxruntime_answers(zeros: bool) -> None:
    x = samples(1, 5, 8) * (not zeros)
    graph = apply_checked(network(), {"x": x}, decompose_quantisers, tolerance=1e-6)
    assert not {"DynamicQuantizeLinear", "MatMulInteger"} & set(operators(graph))


def test_a_convolution() -> None:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("ConvInteger", ["q", "w", "z", "wz"], ["i"]),
        node("Cast", ["i"], ["f"], to=1),
        node("Mul", ["f", "s"], ["y"]),
    ]
    constants = {"w": RANDOM.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8), "wz": np.uint8(120)}
    source = make_model(nodes, constants, {"x": [1, 3, 6, 6]}, {"y": [1, 4, 4, 4]}, opset=13)
    graph = apply_checked(source, {"x": samples(1, 3, 6, 6)}, decompose_quantisers, tolerance=1e-6)
    assert "Conv" in operators(graph)


def test_a_product_that_holds_the_scales() -> None:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulIntegerToFloat", ["q", "hw", "s", "hws", "z", "hwz", "b"], ["y"], domain=MICROSOFT),
    ]
    constants = weights("h", 8, 16) | {"b": samples(16)}
    source = make_model(nodes, constants, {"x": [1, 5, 8]}, {"y": [1, 5, 16]}, opset=13, domains=[MICROSOFT])
    graph = apply_checked(source, {"x": samples(1, 5, 8)}, decompose_quantisers, tolerance=1e-6)
    assert not {"DynamicQuantizeLinear", "MatMulIntegerToFloat"} & set(operators(graph))


def test_each_sample_has_its_own_range() -> None:
    """The source takes one sample at a time, the spiking network all of them."""
    source = network(places=())
    conversion = onnx2snn.convert(source)
    assert conversion.non_spiking == ()
    assert [layer.neurons for layer in conversion.layers] == [1, 16]  # a zero point, and codes
    assert conversion.layers[0].analog["ReduceMax"] == 32
    certificate = onnx2snn.verify(
        source, conversion.model, {"x": samples(20, 8) * 2.0 ** np.arange(-10, 10)[:, None]}
    )
    assert certificate.lossless
    assert sum(layer.unexplained for layer in certificate.layers) == 0


@pytest.mark.parametrize("batch", ["N", 3])
def test_a_scale_of_several_samples_is_refused(batch: int | str) -> None:
    with pytest.raises(
        ConversionError, match="its scale depends on the data, and on all samples of a batch"
    ) as caught:
        onnx2snn.convert(network(batch))
    assert (caught.value.node, caught.value.operator) == ("quantise_y", "DynamicQuantizeLinear")


def test_a_scale_that_meets_fewer_axes_stays() -> None:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("Reshape", ["q", "flat"], ["f"]),
        node("MatMulInteger", ["f", "w", "z"], ["i"]),
        node("Cast", ["i"], ["c"], to=1),
        node("Mul", ["c", "s"], ["y"]),
    ]
    constants = {"w": np.eye(8, dtype=np.uint8), "flat": np.array([5, 8])}
    source = make_model(nodes, constants, {"x": [1, 5, 8]}, {"y": [5, 8]}, opset=13)
    graph = apply_checked(source, {"x": samples(1, 5, 8)}, decompose_quantisers)
    assert "DynamicQuantizeLinear" in operators(graph)
