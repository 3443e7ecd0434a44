"""The layer table of a graph whose neurons are IF nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import Staircase, Table
from onnx2snn.activations.neuron_nodes import SOURCE, SOURCE_TENSOR, parameters
from onnx2snn.activations.rules import names_of
from onnx2snn.dialect.dendrites import analog_operations
from onnx2snn.dialect.layer_table import Layer
from onnx2snn.graph.core import constant_input, origin
from onnx2snn.graph.walks import reached
from onnx2snn.operators import of
from onnx2snn.operators.linear import ROWS, is_integrate, is_neuron


def layers_of(graph: gs.Graph, coding: str = "binary") -> tuple[Layer, ...]:
    """One :class:`Layer` for each neuron node, in the order of the graph."""
    analog = analog_operations(graph)
    return tuple(_layer(node, coding, analog[node.name]) for node in graph.nodes if is_neuron(node))


def _layer(node: gs.Node, coding: str, analog: dict[str, int]) -> Layer:
    staircase: Staircase | Table = node.attrs[SOURCE]
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
        unit=_plain(parameters(node).threshold) if isinstance(staircase, Table) else None,
        analog=analog,
    )


def _plain(values: Any) -> float | list[float]:
    unique = np.unique(values)
    return float(unique[0]) if unique.size == 1 else [float(v) for v in np.ravel(values)]


def _fan_out(train: gs.Tensor) -> float:
    """Synapses of one spike: those of the weighted operators that it reaches, and one for any other sink.

    Where one such operator stands behind another (a convolution behind a sum of windows), they are multiplied.
    """

    def further(reader: gs.Node) -> list[gs.Node]:
        return [] if _is_sink(reader) else [other for tensor in reader.outputs for other in tensor.outputs]

    return sum((_synapses(reader) for reader in reached(train.outputs, further) if _is_sink(reader)), 0.0)


def _is_sink(reader: gs.Node) -> bool:
    weighted = of(reader).weights is not None and constant_input(reader, 1) is not None
    return weighted or is_neuron(reader) or is_integrate(reader)


def _synapses(sink: gs.Node) -> float:
    held, weights = of(sink).weights, constant_input(sink, 1)
    if held is None or weights is None:
        return 1.0
    return held.fan_out(sink, weights) * (_fan_out(sink.outputs[0]) or 1)
