"""The last step: levels become spike trains of T time steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import Table, neuron_parameters, rate_parameters, table_parameters
from onnx2snn.activations.neuron_nodes import parameters
from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.trains import is_train
from onnx2snn.errors import ConversionError
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import Array, Names, Pass, graph_pass, is_constant, origin, value_of
from onnx2snn.operators.linear import (
    IF,
    SCALED_IF,
    SCALED_STAIRCASE,
    TABLE_IF,
    is_hold,
    is_integrate,
    is_neuron,
)
from onnx2snn.passes.normalise.free_batch import BATCH
from onnx2snn.remedies import BINARY


def network_timesteps(graph: gs.Graph, coding: str = "binary") -> int:
    """T of the network: that of the layer with the most levels; in a rate code as many as levels."""
    held = [parameters(node) for node in graph.nodes if is_neuron(node)]
    return max((p.levels if coding == "rate" else p.timesteps for p in held), default=1)


def spike(bias: str, coding: str = "binary") -> Pass:
    """The pass that puts an IF neuron in place of each Staircase, T time steps on every train.

    Args:
        bias: How the shifted bias enters (METHOD 4). With S = T for a train and 1 for an analog input:
            ``once`` holds b, ``per-step`` b/(2^S − 1), ``paper`` b/S.
        coding: ``binary``, or ``rate``: the bias is a constant current b/T, whatever ``bias`` says.
    """

    @graph_pass
    def spike_with(graph: gs.Graph) -> gs.Graph:
        names = Names(graph)
        timesteps = network_timesteps(graph, coding)
        kinds = facts(graph).kinds
        for node in list(graph.nodes):
            if is_hold(node):
                node.attrs["timesteps"] = timesteps
                _stretch(node.outputs[0], timesteps)
            if not is_neuron(node) and not is_integrate(node):
                continue
            steps = timesteps if is_train(node.inputs[0], kinds) else 1
            node.attrs["input_steps"] = steps
            divisor = {"once": 1, "per-step": 2**steps - 1, "paper": steps}[bias]
            if coding == "rate":
                divisor = timesteps
                if is_neuron(node):
                    node.inputs[1] = _without_start(graph, names, node)
            if divisor != 1:
                node.inputs[1] = _divided(graph, names, node, divisor)
            if is_neuron(node):
                _fire(names, node, timesteps, coding)
        for node in graph.nodes:
            for tensor in node.outputs:
                if is_train(tensor, kinds):
                    _stretch(tensor, timesteps)
        return graph

    spike_with.__name__ = "spike"
    return spike_with


def _stretch(tensor: gs.Tensor, timesteps: int) -> None:
    """Time stands on the axis of the batch."""
    if tensor.shape:
        tensor.shape = [f"{timesteps}*{BATCH}", *tensor.shape[1:]]


def _fire(names: Names, node: gs.Node, timesteps: int, coding: str) -> None:
    computed = parameters(node)
    if coding == "rate" and node.op == SCALED_STAIRCASE:
        raise ConversionError(
            "a rate code has neurons of one threshold, and each sample scales that of this one",
            node=next(iter(origin(node)), node.name),
            remedy=BINARY,
        )
    if isinstance(computed, Table):
        table = table_parameters(computed, timesteps)
        node.op = TABLE_IF
        node.attrs["timesteps"] = timesteps
        node.inputs[2] = make_constant(names, f"{node.name}/thresholds", table.thresholds)
        node.inputs[3] = make_constant(names, f"{node.name}/rows", table.rows)
        return
    made = rate_parameters if coding == "rate" else neuron_parameters
    held = made(computed, timesteps)
    node.op = SCALED_IF if node.op == SCALED_STAIRCASE else IF
    node.attrs["timesteps"] = timesteps
    node.inputs[2] = make_constant(names, f"{node.name}/compare", held.compare)
    node.inputs[3] = make_constant(names, f"{node.name}/subtract", held.subtract)


def _divided(graph: gs.Graph, names: Names, node: gs.Node, divisor: int) -> Any:
    bias = node.inputs[1]
    if is_constant(bias):
        values = value_of(bias).astype(np.float64) / divisor
        return make_constant(names, bias.name, values.astype(np.float32))
    return _computed(graph, names, node, "Div", np.full(1, divisor, np.float32))


def _without_start(graph: gs.Graph, names: Names, node: gs.Node) -> Any:
    """The bias of a rate-coded neuron: the half threshold that it starts with is no current."""
    bias = node.inputs[1]
    start = np.atleast_1d(parameters(node).threshold / 2)
    if is_constant(bias):
        return make_constant(names, bias.name, (value_of(bias) - start).astype(np.float32))
    return _computed(graph, names, node, "Sub", start.astype(np.float32))


def _computed(graph: gs.Graph, names: Names, node: gs.Node, op: str, operand: Array) -> gs.Variable:
    """A bias that the graph computes, changed by one more operator."""
    bias = node.inputs[1]
    out = gs.Variable(names.fresh(f"{bias.name}/{op}"), np.float32, list(bias.shape))
    held = make_constant(names, f"{bias.name}/operand", operand)
    graph.nodes.append(
        gs.Node(op=op, name=names.fresh(f"{node.name}/{op}"), inputs=[bias, held], outputs=[out])
    )
    return out
