"""A task that is learned in seconds, and a network for it in the manner of tf2onnx."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES, SAMPLES = 3, 240


def samples() -> dict[str, np.ndarray]:
    """Stripes, rows or dots in noise: learnable in seconds."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, SAMPLES)
    patterns = np.zeros((CLASSES, 8, 8), np.float32)
    patterns[0, ::2], patterns[1, :, ::2], patterns[2, ::2, ::2] = 1, 1, 1
    images = patterns[labels][:, None] + rng.normal(0, 0.4, (SAMPLES, 1, 8, 8))
    return {"x": images.astype(np.float32), "labels": labels}


def channels_last() -> onnx.ModelProto:
    """A network in the manner of tf2onnx: images with channels last, a kernel in a MatMul, then a softmax."""
    rng = np.random.default_rng(1)
    weights = {
        "kernel": rng.normal(0, 0.4, (6, 1, 3, 3)),
        "bias": rng.normal(0, 0.1, 6),
        "dense": rng.normal(0, 0.3, (6, CLASSES)),
        "last": np.zeros(CLASSES),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2], name="model/transpose"),
        helper.make_node("Conv", ["t", "kernel", "bias"], ["c"], name="model/conv2d/BiasAdd"),
        helper.make_node("Relu", ["c"], ["r"], name="model/activation"),
        helper.make_node("ReduceMean", ["r"], ["m"], axes=[2, 3], keepdims=0, name="model/pool/Mean"),
        helper.make_node("MatMul", ["m", "dense"], ["d"], name="model/dense/MatMul"),
        helper.make_node("Add", ["d", "last"], ["a"], name="model/dense/BiasAdd"),
        helper.make_node("Softmax", ["a"], ["probabilities"], axis=1, name="model/dense/Softmax"),
    ]
    graph = helper.make_graph(
        nodes,
        "keras",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8, 8, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
