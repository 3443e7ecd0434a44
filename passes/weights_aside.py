"""Large weights kept out of what is about structure only: inference of shapes, upgrades, folding.

Structure is a few kilobytes, whatever the weights are: no tool that serialises a model then meets protobuf's limit
of 2 GiB, and none copies weights to look at nodes.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import helper, numpy_helper

from onnx2snn.graph import Array, is_constant

#: Constants of at most so many values stay with the structure: they may be shapes, axes or scales.
SMALL = 1024

#: What opset 21 is written in; since version 4 an initializer need not be an input as well.
IR_VERSION = 10


def model_without_weights(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A copy of ``model`` whose large initializers are inputs, and their values; ``model`` is not changed."""
    light = structure(model)
    return light, {tensor.name: numpy_helper.to_array(tensor) for tensor in large_initializers(model)}


def large_initializers(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The initializers that are no part of the structure."""
    return [tensor for tensor in model.graph.initializer if math.prod(tensor.dims) > SMALL]


def structure(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` whose large initializers are inputs; its IR version is at least :data:`IR_VERSION`."""
    graph = model.graph
    declared = {info.name for info in graph.input}
    added = [
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in large_initializers(model)
        if tensor.name not in declared
    ]
    light = helper.make_graph(
        graph.node,
        graph.name or "graph",
        [*graph.input, *added],
        graph.output,
        [tensor for tensor in graph.initializer if math.prod(tensor.dims) <= SMALL],
        value_info=graph.value_info,
        sparse_initializer=graph.sparse_initializer,
    )
    return helper.make_model(
        light,
        opset_imports=model.opset_import,
        functions=model.functions,
        ir_version=max(model.ir_version, IR_VERSION),
        producer_name=model.producer_name,
    )


def graph_without_weights(graph: gs.Graph) -> tuple[gs.Graph, dict[str, Array]]:
    """A copy of ``graph`` whose large constants are inputs, and their values.

    Types that numpy has not (4 bits) cannot be given to onnxruntime as inputs: such constants stay.
    """
    light = graph.copy()
    inputs: dict[str, gs.Variable] = {}
    weights: dict[str, Array] = {}
    for node in light.nodes:
        for position, tensor in enumerate(node.inputs):
            if (
                is_constant(tensor)
                and math.prod(tensor.shape) > SMALL
                and np.dtype(tensor.dtype).isbuiltin == 1
            ):
                weights[tensor.name] = tensor.values
                given = gs.Variable(tensor.name, tensor.dtype, list(tensor.shape))
                node.inputs[position] = inputs.setdefault(tensor.name, given)
    light.inputs = [*light.inputs, *inputs.values()]
    return light, weights
