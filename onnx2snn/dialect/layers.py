"""The layer table of a graph whose neurons are IF nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import Staircase
from onnx2snn.activations.rules import names_of
from onnx2snn.dialect.layer_table import Layer
from onnx2snn.graph.core import Array, constant_input, origin
from onnx2snn.graph.neuron_nodes import SOURCE, SOURCE_TENSOR
from onnx2snn.operators.linear import ROWS, is_integrate, is_neuron, is_weighted


def layers_of(graph: gs.Graph, coding: str = "binary") -> tuple[Layer, ...]:
    """One :class:`Layer` for each neuron node, in the order of the graph."""
    return tuple(_layer(node, coding) for node in graph.nodes if is_neuron(node))


def _layer(node: gs.Node, coding: str) -> Layer:
    staircase: Staircase = node.attrs[SOURCE]
    shape = [int(s) if isinstance(s, (int, np.integer)) else None for s in node.outputs[0].shape[1:]]
    if node.attrs.get(ROWS, 1) > 1:
        shape = [int(node.attrs[ROWS]), *shape]
    return Layer(
        name=node.name,
        output=node.outputs[0].name,
        source_nodes=origin(node),
        source_tensor=node.attrs[SOURCE_TENSOR],
        neurons=int(np.prod([s or 1 for s in shape])),
        shape=shape,
        timesteps=staircase.levels if coding == "rate" else staircase.timesteps,
        levels=staircase.levels,
        rounding=names_of(staircase.rounding),
        threshold=_plain(staircase.threshold),
        scale=_plain(staircase.scale),
        offset=_plain(staircase.shift),
        fan_out=round(_fan_out(node.outputs[0]), 3),
    )


def _plain(values: Any) -> float | list[float]:
    unique = np.unique(values)
    return float(unique[0]) if unique.size == 1 else [float(v) for v in np.ravel(values)]


def _fan_out(train: gs.Tensor) -> float:
    """Synapses of one spike: those of every weighted operator that it reaches first, and one for any other sink."""
    total, stack, seen = 0.0, [train], set()
    while stack:
        tensor = stack.pop()
        for reader in tensor.outputs:
            if id(reader) in seen:
                continue
            seen.add(id(reader))
            weights = constant_input(reader, 1) if is_weighted(reader) else None
            if weights is not None:
                total += _synapses_per_input(reader, weights)
            elif is_neuron(reader) or is_integrate(reader):
                total += 1
            else:
                stack.extend(reader.outputs)
    return total


def _synapses_per_input(node: gs.Node, weights: Array) -> float:
    """Weights that are not zero, times the places where they are used, over the inputs that share them."""
    nonzero = int(np.count_nonzero(weights))
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if node.op == "ConvTranspose":
        return nonzero / int(weights.shape[0])
    places: list[int] = []
    inputs: list[int] = []
    if before is not None and after is not None:
        places, inputs = after[2:] if node.op == "Conv" else after[1:-1], before[1:]
    sizes = [*places, *inputs]
    if not sizes or not all(isinstance(s, (int, np.integer)) for s in sizes):
        return nonzero / max(int(weights.shape[1 if node.op == "Conv" else 0]), 1)
    return nonzero * float(np.prod(places)) / max(float(np.prod(inputs)), 1.0)
