"""Nothing in a spiking file is in vain: tools that optimise files (onnxslim) find nothing to remove, and no train to rename."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_control_flow import quantised
from helpers_graphs import make_model, node, samples
from helpers_operators import dyadic
from onnx import numpy_helper

import onnx2snn

HELD = {
    "w": dyadic(8, 8), "u": dyadic(8, 8, seed=1), "v": dyadic(8, 3, seed=2), "half": np.float32(0.5), "zero": np.float32(0),
    "five": np.float32(5),
}  # fmt: skip


def skipping(scale: float) -> onnx.ModelProto:
    """A layer of neurons is read by synapses, and by a sum behind them."""
    nodes = [
        node("MatMul", ["x", "w"], ["c"]), *quantised("c", "a"),
        node("MatMul", ["a", "u"], ["d"]), *quantised("d", "b"),
        node("Add", ["a", "b"], ["e"]), *quantised("e", "f"),
        node("MatMul", ["f", "v"], ["y"]),
    ]  # fmt: skip
    return make_model(nodes, HELD | {"half": np.float32(scale)}, {"x": ["N", 8]}, {"y": ["N", 3]})


@pytest.mark.parametrize("scale", [0.5, 1.0, 0.3])
def test_no_operator_repeats_its_train(scale: float) -> None:
    source = skipping(scale)
    conversion = onnx2snn.convert(source)
    constants = {t.name: numpy_helper.to_array(t) for t in conversion.model.graph.initializer}
    ones = {name for name, values in constants.items() if values.dtype.kind == "f" and np.all(values == 1)}
    in_vain = [
        n.name
        for n in conversion.model.graph.node
        if n.op_type == "Identity" or (n.op_type == "Mul" and ones & set(n.input))
    ]
    assert in_vain == []
    assert onnx2snn.verify(source, conversion, samples(20, 8)).lossless
