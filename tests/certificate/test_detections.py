"""Detectors: boxes that are picked by their scores, a sample at a time."""

from __future__ import annotations

import numpy as np
from helpers_quantised import Quantised
from onnx import TensorProto

import onnx2snn


def test_a_detector_of_a_fixed_batch_is_certified() -> None:
    net = Quantised(3)
    x = net.quantised(net.add("Relu", net.add("Conv", "x", net.weights(6, 3, 3, 3), strides=[2, 2])), 0.02)
    heads = [net.add("Conv", x, net.weights(channels, 6, 3, 3), pads=[1] * 4) for channels in (8, 4)]
    sizes = net.hold(np.array([1, 4, -1])), net.hold(np.array([1, 2, -1]))
    boxes, scores = (net.add("Reshape", head, size) for head, size in zip(heads, sizes, strict=True))
    boxes = net.add("Exp", net.add("Transpose", boxes, perm=[0, 2, 1]), output="boxes")
    most, share, least = net.hold(np.array([3])), net.hold(np.float32([0.5])), net.hold(np.float32([-9]))
    picked = net.add("NonMaxSuppression", boxes, net.add("Sigmoid", scores), most, share, least)
    places = net.add("Gather", picked, net.hold(np.array(2)), axis=1)
    net.add("Gather", boxes, places, output="detections", axis=1)
    source = net.model({"x": [1, 3, 9, 9]}, {"boxes": [1, 32, 4], "detections": [1, "K", 4]})
    draws = np.random.default_rng(0).normal(0, 1, (3, 3, 9, 9)).astype(np.float32)
    certificate = onnx2snn.verify(source, onnx2snn.convert(source), {"x": draws})
    assert certificate.lossless
    assert certificate.samples == 3


def test_rows_of_a_batch_of_any_size_are_compared_as_a_whole() -> None:
    """As many rows as samples, of which each names its own."""
    net = Quantised(3)
    hidden = net.quantised(net.add("Relu", net.add("MatMul", "x", net.weights(6, 20))), 0.02)
    scores = net.add("MatMul", hidden, net.weights(20, 8))
    boxes = net.add("Reshape", scores, net.hold(np.array([0, 2, 4])))
    scores = net.add("Reshape", scores, net.hold(np.array([0, 4, 2])))
    limits = net.hold(np.array([1])), net.hold(np.float32([0.5])), net.hold(np.float32([0.0]))
    rows = net.add("NonMaxSuppression", boxes, scores, *limits)
    net.add("Cast", rows, output="picked", to=TensorProto.FLOAT)
    source = net.model({"x": ["N", 6]}, {"picked": ["K", 3]})
    for data in (None, {"x": np.random.default_rng(0).normal(0, 1, (64, 6)).astype(np.float32)}):
        assert onnx2snn.verify(source, onnx2snn.convert(source), data).lossless
