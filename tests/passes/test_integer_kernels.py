"""onnxruntime's own integer operators, attribute by attribute: the same codes as its kernels answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, run_graph
from onnx import TensorProto

from onnx2snn.model.files import load_model
from onnx2snn.model.reference import run_reference
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.normalise.channels_first import channels_first
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers

MICROSOFT = "com.microsoft"
KINDS = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}
RANDOM = np.random.default_rng(17)


def all_codes(kind: Any) -> np.ndarray:
    ends = np.iinfo(kind)
    return np.arange(ends.min, ends.max + 1).astype(kind)


def codes(kind: Any, *shape: int) -> np.ndarray:
    return RANDOM.choice(all_codes(kind), shape)


def assert_same_codes(
    operator: str, kind: Any, inputs: list[str], held: dict[str, Any], feeds: dict[str, Any], **options: Any
) -> None:
    """The operator, dequantised, before and after it is written in float32: dyadic scales, so that ties are ties."""
    nodes = [
        node(operator, inputs, ["r"], domain=MICROSOFT, **options),
        node("DequantizeLinear", ["r", "sy", "zy"], ["y"]),
    ]
    shapes = {name: list(value.shape) for name, value in feeds.items()}
    types = {name: onnx.helper.np_dtype_to_tensor_dtype(value.dtype) for name, value in feeds.items()}
    source = make_model(nodes, held, shapes, {"y": [None]}, types=types, domains=[MICROSOFT], opset=21)
    rank = run_reference(_any_rank(source), feeds)["y"].ndim
    source.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * rank))
    expected = run_reference(source, feeds)["y"]
    graph = decompose_quantisers(channels_first(import_model(load_model(source))))
    assert not [n.op for n in graph.nodes if n.domain or n.op.startswith("Q")]
    np.testing.assert_array_equal(run_graph(graph, feeds)["y"], expected)


def _any_rank(model: onnx.ModelProto) -> onnx.ModelProto:
    free = onnx.ModelProto()
    free.CopyFrom(model)
    free.graph.output[0].type.tensor_type.ClearField("shape")
    return free


@pytest.mark.parametrize("zero", [0, 3, 100])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_all_pairs_of_codes(operator: str, kind: Any, zero: int) -> None:
    """The zero point is added before rounding: with an odd one, ties go to the other side."""
    held = {
        "sx": np.float32(0.25),
        "zx": kind(5),
        "sw": np.float32(0.5),
        "zw": kind(2),
        "sy": np.float32(2 if operator == "QLinearAdd" else 32),
        "zy": kind(zero),
    }
    feeds = {
        "x": all_codes(kind)[:, None].repeat(256, axis=1),
        "w": all_codes(kind)[None].repeat(256, axis=0),
    }
    assert_same_codes(operator, kind, ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"], held, feeds)


POOLS: list[dict[str, Any]] = [
    {"kernel_shape": [2, 2]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1, "count_include_pad": 1},
    {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "count_include_pad": 1},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [4, 2], "strides": [3, 2], "pads": [1, 1, 2, 0], "ceil_mode": 1, "count_include_pad": 1},
    {"kernel_shape": [4, 2], "strides": [3, 2], "pads": [1, 1, 2, 0], "count_include_pad": 1},
    {"kernel_shape": [4, 2], "strides": [3, 2], "pads": [1, 1, 2, 0]},
    {"kernel_shape": [4, 2], "auto_pad": "SAME_UPPER", "count_include_pad": 1},
    {"kernel_shape": [4, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [2, 2], "strides": [2, 2], "channels_last": 1, "ceil_mode": 1, "count_include_pad": 1},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", POOLS, ids=str)
def test_averages(options: dict[str, Any], kind: Any) -> None:
    held = {"sx": np.float32(0.25), "zx": kind(5), "sy": np.float32(0.5), "zy": kind(7)}
    feeds = {"x": codes(kind, 2, 7, 7, 7)}
    assert_same_codes("QLinearAveragePool", kind, ["x", "sx", "zx", "sy", "zy"], held, feeds, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_choice_between_codes(kind: Any) -> None:
    held = {
        "sx": np.float32(0.25),
        "zx": kind(5),
        "sw": np.float32(0.5),
        "zw": kind(2),
        "sy": np.float32(0.5),
        "zy": kind(7),
    }
    feeds = {"c": RANDOM.random((4, 9)) < 0.5, "x": codes(kind, 4, 9), "w": codes(kind, 1, 9)}
    inputs = ["c", "x", "sx", "zx", "w", "sw", "zw", "sy", "zy"]
    assert_same_codes("QLinearWhere", kind, inputs, held, feeds)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_product_of_codes_that_is_written_as_numbers(kind: Any, bias: bool) -> None:
    held: dict[str, Any] = {
        "w": codes(kind, 9, 4),
        "sx": np.float32(0.25),
        "sw": np.array([0.5, 1, 2, 0.25], np.float32),
        "zx": kind(5),
        "zw": np.arange(4).astype(kind),
        "b": np.array([1, -2, 3, 0.5], np.float32),
    }
    inputs = ["x", "w", "sx", "sw", "zx", "zw", *(["b"] if bias else [])]
    held = {name: held[name] for name in inputs if name != "x"}
    x = codes(kind, 5, 9)
    source = make_model(
        [node("MatMulIntegerToFloat", inputs, ["y"], domain=MICROSOFT)],
        held,
        {"x": [5, 9]},
        {"y": [5, 4]},
        types={"x": KINDS[kind]},
        domains=[MICROSOFT],
    )
    graph = decompose_quantisers(import_model(load_model(source)))
    assert not [n.op for n in graph.nodes if n.domain]
    np.testing.assert_array_equal(run_graph(graph, {"x": x})["y"], run_reference(source, {"x": x})["y"])
