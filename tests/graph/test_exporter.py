"""A graph as a structure and its weights apart."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from helpers_graphs import make_model, node
from onnx import TensorProto

import onnx2snn
from onnx2snn.graph.exporter import to_model, to_split_model
from onnx2snn.model.files import load_model
from onnx2snn.model.reference import Reference
from onnx2snn.passes.importer import import_model

SMALL_FLOATS = ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")
RANDOM = np.random.default_rng(6)


def test_weights_that_are_a_view_are_laid_out_as_runtimes_read_them() -> None:
    values = np.arange(64 * 32, dtype=np.float32).reshape(64, 32).T
    x, y = gs.Variable("x", np.float32, ["N", 32]), gs.Variable("y", np.float32, ["N", 64])
    node = gs.Node("MatMul", "product", inputs=[x, gs.Constant("w", values)], outputs=[y])
    model = to_split_model(gs.Graph([node], inputs=[x], outputs=[y], opset=21))
    assert model.weights["w"].flags.c_contiguous
    np.testing.assert_array_equal(Reference(model).run({"x": np.eye(32, dtype=np.float32)})["y"], values)


def rounded_by_casts(kind: int) -> onnx.ModelProto:
    """Levels that are rounded to floats of 8 bits, and come back, between a quantiser and synapses."""
    held = {
        "w": RANDOM.normal(0, 0.5, (8, 12)).astype(np.float32),
        "s": np.float32(0.11),
        "z": np.uint8(120),
        "step": np.float32(0.07),
        "v": RANDOM.normal(0, 0.3, (12, 3)).astype(np.float32),
    }
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("QuantizeLinear", ["a", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("Div", ["d", "step"], ["e"]),
        node("Cast", ["e"], ["small"], to=kind),
        node("Cast", ["small"], ["f"], to=TensorProto.FLOAT),
        node("MatMul", ["f", "v"], ["y"]),
    ]
    return make_model(nodes, held, {"x": ["N", 8]}, {"y": ["N", 3]}, opset=21, ir_version=10)


@pytest.mark.parametrize("name", SMALL_FLOATS)
def test_a_tensor_of_small_floats_keeps_its_type(name: str) -> None:
    kind = TensorProto.DataType.Value(name)
    source = rounded_by_casts(kind)
    known = {info.name: info for info in to_model(import_model(load_model(source))).graph.value_info}
    assert known["small"].type.tensor_type.elem_type == kind
    x = RANDOM.normal(0, 2, (32, 8)).astype(np.float32)
    assert onnx2snn.verify(source, onnx2snn.convert(source), {"x": x}).lossless
