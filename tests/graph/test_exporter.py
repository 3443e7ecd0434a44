"""A graph as a structure and its weights apart."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.exporter import to_split_model
from onnx2snn.model.reference import Reference


def test_weights_that_are_a_view_are_laid_out_as_runtimes_read_them() -> None:
    values = np.arange(64 * 32, dtype=np.float32).reshape(64, 32).T
    x, y = gs.Variable("x", np.float32, ["N", 32]), gs.Variable("y", np.float32, ["N", 64])
    node = gs.Node("MatMul", "product", inputs=[x, gs.Constant("w", values)], outputs=[y])
    model = to_split_model(gs.Graph([node], inputs=[x], outputs=[y], opset=21))
    assert model.weights["w"].flags.c_contiguous
    np.testing.assert_array_equal(Reference(model).run({"x": np.eye(32, dtype=np.float32)})["y"], values)
