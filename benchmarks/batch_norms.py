"""Batch norms put back behind convolutions that have taken theirs in: what a network looks like before it is fused."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.model.reference import run_reference

EPSILON = 1e-5


def with_batch_norms(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The same function, with a batch norm behind each convolution that holds the statistics of ``inputs`` there."""
    found = _convolved(model, inputs)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.node[:]
    for node in model.graph.node:
        changed.graph.node.append(node)
        if node.op_type != "Conv":
            continue
        name, held = node.output[0], changed.graph.node[-1]
        held.output[0] = f"{name}/convolved"
        mean, variance = found[name].mean(axis=(0, 2, 3)), found[name].var(axis=(0, 2, 3))
        given = {"scale": np.sqrt(variance + EPSILON), "shift": mean, "mean": mean, "variance": variance}
        changed.graph.initializer.extend(
            numpy_helper.from_array(v.astype(np.float32), f"{name}/{key}") for key, v in given.items()
        )
        read = [held.output[0], *(f"{name}/{key}" for key in given)]
        changed.graph.node.append(
            helper.make_node("BatchNormalization", read, [name], f"{name}/norm", epsilon=EPSILON)
        )
    return changed


def _convolved(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    answer = run_reference(watched, inputs)
    return {name: answer[name] for name in names}
