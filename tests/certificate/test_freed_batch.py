"""A batch of 1 is open in the file that is written, wherever samples do not meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node

import onnx2snn
from onnx2snn.model.reference import make_runner
from onnx2snn.runtime import SpikingSession

W = ((np.arange(24).reshape(4, 6) - 11) / 8).astype(np.float32)
V = ((np.arange(18).reshape(6, 3) - 8) / 8).astype(np.float32)
X = np.random.default_rng(0).integers(-16, 17, (5, 4)).astype(np.float32) / 8

#: By name: what stands behind the product, the output's shape, and what becomes of it; None: nothing is opened.
TAILS: dict[str, tuple[list[onnx.NodeProto], list[int], list[Any] | None]] = {
    "nothing": ([node("Identity", ["e"], ["y"])], [1, 3], ["N", 3]),
    "softmax": ([node("Softmax", ["e"], ["y"], axis=-1)], [1, 3], ["N", 3]),
    "rows of a sample": ([node("Reshape", ["e", "r"], ["y"])], [3, 1], ["3*N", 1]),
    "no batch axis": ([node("Squeeze", ["e", "z"], ["y"])], [3], ["3*N"]),
    "softmax of all": (
        [node("Squeeze", ["e", "z"], ["f"]), node("Softmax", ["f"], ["y"], axis=0)],
        [3],
        None,
    ),
}


def source(name: str, batch: int = 1) -> onnx.ModelProto:
    tail, shape, _ = TAILS[name]
    nodes = [
        node("MatMul", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "s"], ["q"]),
        node("DequantizeLinear", ["q", "s"], ["d"]),
        node("MatMul", ["d", "v"], ["e"]),
        *tail,
    ]
    constants = {"w": W, "v": V, "s": np.float32(0.25), "z": np.array([0]), "r": np.array([3, 1])}
    return make_model(nodes, constants, {"x": [batch, 4]}, {"y": [batch * shape[0], *shape[1:]]}, opset=17)


def sizes(value: onnx.ValueInfoProto) -> list[Any]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("name", TAILS)
def test_it_is_declared_as_it_is(name: str) -> None:
    model, opened = source(name), TAILS[name][2]
    conversion = onnx2snn.convert(model)
    (x,), (y,) = conversion.model.graph.input, conversion.model.graph.output
    assert sizes(x) == [1 if opened is None else "N", 4]
    assert sizes(y) == (TAILS[name][1] if opened is None else opened)
    (note,) = conversion.notes
    assert ("it is freed" in note) is (opened is not None)
    expected = make_runner(model)({"x": X})["y"]
    content = conversion.model.SerializeToString()
    if opened is not None:
        onnx.checker.check_model(conversion.model, full_check=True)
        session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, {"x": X})[0], expected, rtol=1e-6)
    np.testing.assert_allclose(SpikingSession(content).run({"x": X}).outputs["y"], expected, rtol=1e-6)
    assert onnx2snn.verify(model, conversion.model, {"x": X}).lossless


def test_other_batches_stay() -> None:
    conversion = onnx2snn.convert(source("nothing", 2))
    assert sizes(conversion.model.graph.input[0]) == [2, 4]
    assert "2 at a time" in conversion.notes[0]


def test_what_is_not_tried_stays() -> None:
    conversion = onnx2snn.convert(source("nothing"), check=False)
    assert sizes(conversion.model.graph.input[0]) == [1, 4]
