"""Levels that passes have moved are read from the file all the same: it holds them in other places."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_quantised import Quantised

from onnx2snn.certificate.reading import with_tensors
from onnx2snn.certificate.source_network import SourceNetwork
from onnx2snn.model.reference import make_runner
from onnx2snn.model.weights import split_model

X = np.random.default_rng(3).normal(0, 1, (5, 6, 8)).astype(np.float32)
SCALE, ZERO = 0.008, 117


def moved(move: str) -> tuple[onnx.ModelProto, str]:
    """Keys of length 1, moved in front of their quantiser, which passes let move behind it; and its tensor."""
    net = Quantised()
    keys = net.quantised(net.add("MatMul", "x", net.weights(8, 8)), 0.0417, 131)
    length = net.add("ReduceL2", keys, axes=[-1], keepdims=1)
    unit = net.add("Div", keys, net.add("Clip", length, net.hold(np.float32(1e-12))))
    if move == "Reshape":
        curved = net.quantised(
            net.add("Tanh", net.add("Reshape", keys, net.hold(np.array([-1, 48])))), SCALE, ZERO
        )
        net.add("MatMul", curved, net.weights(48, 5), output="y")
        return net.model({"x": ["N", 6, 8]}, {"y": ["N", 5]}), curved
    turned = net.quantised(net.add("Transpose", unit, perm=[0, 2, 1]), SCALE, ZERO)
    scores = net.quantised(net.add("MatMul", keys, turned), 0.03, 128)
    net.add("MatMul", scores, net.weights(6, 5), output="y")
    return net.model({"x": ["N", 6, 8]}, {"y": ["N", 6, 5]}), turned


@pytest.mark.parametrize("move", ["Transpose", "Reshape"])
def test_what_the_file_holds_in_other_places_is_read_there(move: str) -> None:
    model, tensor = moved(move)
    file = split_model(model)
    source = SourceNetwork(file)
    answer = source({"x": X})
    assert source.unread == ()
    values = make_runner(with_tensors(file, [tensor]))({"x": X})[tensor]
    codes = np.rint(values / np.float32(SCALE * 1.0371713)) + ZERO
    (levels,) = (k for name, k in answer.levels.items() if name.startswith(tensor))
    there = codes.transpose(0, 2, 1) if move == "Transpose" else codes.reshape(levels.shape)
    np.testing.assert_array_equal(levels, there)
