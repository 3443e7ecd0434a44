"""A quantiser behind a move that gives back what it is given is none; the certificate reads the first one in the file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.passes.normalise.compute_in_float32 import compute_in_float32
from onnx2snn.passes.normalise.decompose_quantisers import decompose_quantisers
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.drop_requantisers import drop_requantisers

X = {"x": samples(5, 2, 4, 4)}
PASSES = (compute_in_float32, decompose_quantisers, infer_shapes)


def quantised(x: str, y: str, scale: str) -> list[onnx.NodeProto]:
    return [
        node("QuantizeLinear", [x, scale, "zero"], [f"{y}_q"]),
        node("DequantizeLinear", [f"{y}_q", scale, "zero"], [y]),
    ]


def network(move: onnx.NodeProto, second: str) -> onnx.ModelProto:
    """A quantised average, ``move``, and a quantiser of scale ``second`` in front of a layer of synapses."""
    constants = {
        "w": samples(3, 2, 3, 3, seed=1), "v": samples(12, 4, seed=2), "sizes": np.array([0, 12], np.int64),
        "s": np.float32(0.05), "half": np.float32(0.1), "zero": np.uint8(7),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w"], ["z"], pads=[1, 1, 1, 1]), *quantised("z", "a", "s"),
        node("AveragePool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 2]), *quantised("b", "c", "s"),
        move, *quantised("d", "e", second), node("MatMul", ["e", "v"], ["g"]), *quantised("g", "y", "s"),
    ]  # fmt: skip
    return make_model(nodes, constants, {"x": ["N", 2, 4, 4]}, {"y": ["N", 4]})


MOVES = {"Flatten": node("Flatten", ["c"], ["d"]), "Reshape": node("Reshape", ["c", "sizes"], ["d"])}


@pytest.mark.parametrize("move", MOVES)
def test_the_second_is_gone(move: str) -> None:
    source = network(MOVES[move], "s")
    graph = apply_checked(source, X, *PASSES, drop_requantisers)
    assert operators(graph).count("Round") == 3
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 3
    certificate = onnx2snn.verify(source, conversion.model, X)
    assert certificate.lossless
    assert [layer.read_from for layer in certificate.layers] == ["file"] * 3


def test_one_that_changes_levels_stays() -> None:
    source = network(MOVES["Flatten"], "half")
    assert operators(apply_checked(source, X, *PASSES, drop_requantisers)).count("Round") == 4
    assert onnx2snn.verify(source, onnx2snn.convert(source).model, X).lossless
