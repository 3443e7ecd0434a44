"""A graph's large constants kept out of what is about structure only: inference of shapes, folding, running."""

from __future__ import annotations

import math

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, is_constant
from onnx2snn.model.weights import SMALL


def graph_without_weights(graph: gs.Graph) -> tuple[gs.Graph, dict[str, Array]]:
    """A copy of ``graph`` whose large constants are inputs, and their values."""
    light = graph.copy()
    return light, take_weights_out(light)


def take_weights_out(graph: gs.Graph) -> dict[str, Array]:
    """Make inputs of the large constants of ``graph``, in place, and return their values.

    Types that numpy has not (4 bits) cannot be given to onnxruntime as inputs: such constants stay.
    """
    inputs: dict[str, gs.Variable] = {}
    weights: dict[str, Array] = {}
    for node in graph.nodes:
        for position, tensor in enumerate(node.inputs):
            if (
                is_constant(tensor)
                and math.prod(tensor.shape) > SMALL
                and np.dtype(tensor.dtype).isbuiltin == 1
            ):
                weights[tensor.name] = tensor.values
                given = gs.Variable(tensor.name, tensor.dtype, list(tensor.shape))
                node.inputs[position] = inputs.setdefault(tensor.name, given)
    graph.inputs = [*graph.inputs, *inputs.values()]
    return weights
