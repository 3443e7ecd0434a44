"""Synaptic operations in plain counting: of each operator its matrix, value by value, and one operation for each way through."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.model.reference import run_reference

Counts = NDArray[np.float64]


def operations(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], train: str, spikes: Counts
) -> Counts:
    """Synaptic operations of ``spikes`` (N, ...) of one layer's train, (N,).

    Args:
        model: A converted network.
        shapes: Of one sample, by the names of its tensors.
        train: The layer's output.
        spikes: How often each neuron spiked.
    """
    counts = {train: spikes.reshape(len(spikes), -1)}
    arrived = np.zeros(len(spikes))
    held = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        for name in dict.fromkeys(n for n in node.input if n in counts):
            if node.domain == DOMAIN:
                arrived += counts[name].sum(axis=1)
                continue
            for output, matrix in patterns(node, name, shapes, held, model.opset_import).items():
                counts[output] = counts.get(output, 0) + counts[name] @ matrix
    return arrived


def patterns(
    node: onnx.NodeProto,
    read: str,
    shapes: Mapping[str, tuple[int, ...]],
    held: Mapping[str, NDArray[np.generic]],
    opsets: list[onnx.OperatorSetIdProto],
) -> dict[str, Counts]:
    """How many of ``node``'s reads of ``read`` carry each of its values to each value of each output.

    Every value alone is presented as a sample: an operator that is linear answers its column of the matrix.
    """
    size = int(np.prod(shapes[read]))
    ones = np.concatenate([np.eye(size), np.zeros((1, size))]).astype(np.float32)
    total: dict[str, Counts] = {}
    for position in (i for i, name in enumerate(node.input) if name == read):
        inputs, feed, constants = [], {}, []
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for i, name in enumerate(node.input):
            if not name:
                continue
            copy.input[i] = f"in{i}"
            if name in held:
                constants.append(numpy_helper.from_array(held[name], f"in{i}"))
                continue
            shape = shapes[name]
            value = ones if i == position else np.zeros((size + 1, int(np.prod(shape))), np.float32)
            feed[f"in{i}"] = value.reshape(-1, *shape)
            inputs.append(helper.make_tensor_value_info(f"in{i}", TensorProto.FLOAT, [size + 1, *shape]))
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in node.output]
        graph = helper.make_graph([copy], "one", inputs, outputs, constants)
        plain = [o for o in opsets if o.domain == ""]
        answers = run_reference(helper.make_model(graph, opset_imports=plain, ir_version=9), feed)
        for name, answer in answers.items():
            flat = answer.reshape(size + 1, -1)
            total[name] = total.get(name, 0) + (flat[:-1] != flat[-1:]).astype(np.float64)
    return total
