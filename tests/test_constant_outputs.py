"""A constant may be an output, whoever reads it besides: the spiking network answers it, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_networks import dyadic

import onnx2snn
from onnx2snn.model.reference import run_reference
from onnx2snn.runtime import SpikingSession

WIDE = np.arange(4 * 400, dtype=np.uint8).reshape(4, 400)


def written(values: Any) -> onnx.NodeProto:
    return node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(np.asarray(values)))


#: What is read of the constant ``c`` besides, how it comes about, further initializers, and the outputs' sizes.
CASES: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], dict[str, list[int | str]]]] = {
    "an initializer": ([], {"c": dyadic(4, seed=3)}, {"c": [4]}),
    "a node": ([written(dyadic(4, seed=3))], {}, {"c": [4]}),
    "a node, copied": (
        [written(dyadic(4, seed=3)), node("Identity", ["c"], ["d"])],
        {},
        {"c": [4], "d": [4]},
    ),
    "a node, read by a computed constant": (
        [written(dyadic(4, seed=3)), node("Neg", ["c"], ["d"])],
        {},
        {"c": [4], "d": [4]},
    ),
    "a node, added to a sample": (
        [written(dyadic(4, seed=3)), node("Add", ["x", "c"], ["d"])],
        {},
        {"c": [4], "d": ["N", 4]},
    ),
    "a node, sizes": (
        [written([-1, 2, 2]), node("Reshape", ["x", "c"], ["d"])],
        {},
        {"c": [3], "d": ["N", 2, 2]},
    ),
    "a name that is taken": (
        [written(dyadic(4, seed=3)), node("Add", ["x", "c/value"], ["d"])],
        {"c/value": dyadic(4, seed=5)},
        {"c": [4], "d": ["N", 4]},
    ),
    "dequantised weights": (
        [node("DequantizeLinear", ["codes", "step", "zero"], ["c"]), node("MatMul", ["x", "c"], ["d"])],
        {"codes": np.arange(16, dtype=np.uint8).reshape(4, 4)},
        {"c": [4, 4], "d": ["N", 4]},
    ),
    "many numbers": (
        [node("MatMul", ["x", "c"], ["d"])],
        {"c": dyadic(4, 400, seed=3)},
        {"c": [4, 400], "d": ["N", 400]},
    ),
    "many numbers that nobody reads": ([], {"c": dyadic(4, 400, seed=3)}, {"c": [4, 400]}),
    "codes of weights": (
        [node("DequantizeLinear", ["c", "step", "zero"], ["e"]), node("MatMul", ["x", "e"], ["d"])],
        {"c": WIDE},
        {"c": [4, 400], "d": ["N", 400]},
    ),
    "text": ([node("Constant", [], ["c"], value_strings=["cat", "dog"])], {}, {"c": [2]}),
}


def network(name: str) -> onnx.ModelProto:
    first, held, outputs = CASES[name]
    nodes = [
        *first,
        node("MatMul", ["x", "w"], ["potential"]),
        node("QuantizeLinear", ["potential", "step", "zero"], ["levels"]),
        node("DequantizeLinear", ["levels", "step", "zero"], ["activation"]),
        node("MatMul", ["activation", "v"], ["y"]),
    ]
    constants = {
        "w": dyadic(4, 6, seed=0),
        "v": dyadic(6, 3, seed=1),
        "step": np.float32(0.25),
        "zero": np.uint8(0),
    }
    kinds = {
        "sizes": onnx.TensorProto.INT64,
        "text": onnx.TensorProto.STRING,
        "codes of weights": onnx.TensorProto.UINT8,
    }
    kind = next((kind for word, kind in kinds.items() if name.endswith(word)), onnx.TensorProto.FLOAT)
    return make_model(
        nodes, {**constants, **held}, {"x": ["N", 4]}, {"y": ["N", 3], **outputs}, types={"c": kind}
    )


@pytest.mark.parametrize("name", CASES)
def test_it_is_answered_and_certified(name: str) -> None:
    source = network(name)
    conversion = onnx2snn.convert(source)
    x = samples(5, 4)
    assert onnx2snn.verify(source, conversion, {"x": x}).lossless
    expected = run_reference(source, {"x": x})
    for execution in ("spiking", "fused"):
        found = SpikingSession(conversion, execution=execution).run({"x": x}).outputs
        assert list(found) == list(expected)
        for output, value in expected.items():
            np.testing.assert_array_equal(found[output], value)
            assert found[output].dtype == value.dtype
