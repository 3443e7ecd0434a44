"""What a network computes of sizes and constants alone is constant once it is compiled, once per place where it differs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.parser import parse_model

from onnx2snn.compile.silent_constants import without_silence
from onnx2snn.model.weights import SplitModel

_NETWORK = """
    <ir_version: 8, opset_import: ["" : 17, "onnx2snn" : 2]>
    agraph (float[N, 6, 2] x) => (float[N, 6, 2] y)
    <int64[1] one = {1}, float[1] offset = {-3.5}, float[2, 2] w = {1, 2, 3, 4}, float[1] theta = {1}, float[1] top = {1}>
    {
        sizes = Shape<start = 1>(x)
        sample = Concat<axis = 0>(one, sizes)
        zeros = ConstantOfShape(sample)
        silent = Add(zeros, offset)
        carried = MatMul(silent, w)
        z = MatMul(x, w)
        y = onnx2snn.IF<timesteps = 1, levels = 1, input_steps = 1>(z, carried, theta, theta, top)
    }"""


def network(text: str = _NETWORK) -> SplitModel:
    return SplitModel(parse_model(text), {})


def test_a_bias_that_zeros_make_is_a_constant_of_one_place() -> None:
    found = without_silence(network()).structure.graph
    assert [node.op_type for node in found.node] == ["MatMul", "IF"]
    bias = next(t for t in found.initializer if t.name == found.node[1].input[1])
    values = onnx.numpy_helper.to_array(bias)
    np.testing.assert_array_equal(values, [[-14.0, -21.0]])  # the same in all six rows


def test_what_is_constant_declares_the_sizes_that_it_has() -> None:
    """Whoever infers shapes later refuses two that differ."""
    split = network()
    declared = onnx.helper.make_tensor_value_info("carried", onnx.TensorProto.FLOAT, ["N", 6, 2])
    split.structure.graph.value_info.append(declared)
    found = without_silence(split).structure
    onnx.shape_inference.infer_shapes(found)
    sizes = [axis.dim_value for axis in found.graph.value_info[0].type.tensor_type.shape.dim]
    assert sizes == [1, 2]


@pytest.mark.parametrize("size", ["", "M"])
def test_sizes_that_are_open_stay_computed(size: str) -> None:
    open_ = _NETWORK.replace("[N, 6, 2] x", f"[N, {size or '?'}, 2] x")
    split = network(open_ if size else open_.replace("?", "K"))
    assert without_silence(split) is split
