"""Detectors: boxes that are picked by their scores, a sample at a time."""

from __future__ import annotations

import numpy as np
from helpers_quantised import Quantised

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
