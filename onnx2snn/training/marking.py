"""Activations as markers: what stands where a QCFS is to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron import Staircase
from onnx2snn.activations.recognise import Found, recognise
from onnx2snn.activations.rules import by_rule
from onnx2snn.errors import ConversionError
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import Names, constant_input, is_operator, producer_of, tidy
from onnx2snn.graph.exporter import PRIVATE
from onnx2snn.operators.linear import is_linear
from onnx2snn.passes import PREPARE
from onnx2snn.passes.importer import import_model
from onnx2snn.passes.recognise.maxima_first import maxima_first
from onnx2snn.passes.recognise.recognise_staircases import chosen

#: Where a marker keeps its :class:`Marked`; passes hand it on, files do not hold it.
MARK = f"{PRIVATE}_mark"


@dataclass(frozen=True)
class Marked:
    """A place for a QCFS.

    Attributes:
        ceiling: λ where the network says it, one value or one per channel; None where it has to be
            calibrated.
        axis: The axis that counts channels, the batch axis being 0.
        factor: What the network multiplies it by, α/θ.
        around: Names of the constants of the lines in front of it and behind it.
    """

    ceiling: np.ndarray[Any, np.dtype[np.float64]] | None = None
    axis: int = 1
    factor: Any = 1.0
    around: tuple[str, ...] = ()


def prepared_graph(model: onnx.ModelProto) -> gs.Graph:
    """``model`` in one spelling: what it computes, in float32, for any batch, in operators of ONNX alone."""
    graph = import_model(model)
    for graph_pass in PREPARE:
        graph = graph_pass(graph)
    return graph


def marked_graph(prepared: gs.Graph) -> tuple[dict[str, Marked], gs.Graph]:
    """The graph with a Relu, named as in the first result, for each activation; the argument stays as it is.

        z ─▶ staircase ─▶ a     becomes     z ─▶ Add δ − θ/2 ─▶ Relu ─▶ Mul α/θ ─▶ Add o ─▶ a

    where the lines beside the marker are left out if they change nothing. ReLU, ReLU6 and Clip from 0 become
    a Relu. Max pooling comes to stand in front of them: after conversion only the neurons behind a pool spike.
    """
    graph = prepared.copy()
    names = Names(graph)
    for found in chosen(graph, recognise(graph).found):
        _mark_staircase(graph, names, found)
    graph = tidy(graph)
    for node in graph.nodes:
        if MARK not in node.attrs and _is_rectifier(node):
            node.op, node.inputs = "Relu", node.inputs[:1]
            node.attrs.clear()
            node.attrs[MARK] = Marked()
    graph = maxima_first(graph)
    markers = [node for node in graph.nodes if MARK in node.attrs]
    if not markers:
        raise _nothing_to_train(graph)
    for number, node in enumerate(markers):
        node.name = f"activation_{number}"
    return {node.name: node.attrs[MARK] for node in markers}, graph


def _nothing_to_train(graph: gs.Graph) -> ConversionError:
    """Names the first activation that is neither a rectifier nor a staircase, or the first nonlinear operator."""
    message = "there is no activation to train: no ReLU and no staircase"
    for rejected in recognise(graph).rejected.values():
        return ConversionError(
            message,
            node=rejected.node,
            operator=rejected.operator,
            found=rejected.reason,
            remedy="train a network that has ReLU between its layers",
        )
    for node in graph.nodes:
        if not is_linear(node):
            return ConversionError(message, node=node.name, operator=node.op, remedy="use ReLU instead")
    return ConversionError(message, remedy="train a network that has ReLU between its layers")


def _is_rectifier(node: gs.Node) -> bool:
    """ReLU, or a clip from zero to something positive."""
    low, high = constant_input(node, 1), constant_input(node, 2)
    clip = is_operator(node, "Clip") and low is not None and not np.any(low)
    return is_operator(node, "Relu") or (clip and (high is None or bool(np.all(high > 0))))


def _mark_staircase(graph: gs.Graph, names: Names, found: Found) -> None:
    stairs = found.staircase
    rank = len(found.output.shape)
    down = stairs.offset - stairs.threshold / 2
    shift = by_rule(stairs.rounding, floor=down, ceil=down + stairs.threshold, half_even=0.0, half_odd=0.0)
    name = names.fresh("activation")
    old = producer_of(found.output)
    if old is None:
        raise AssertionError("an activation is made by a node")
    old.outputs = [gs.Variable(names.fresh(f"{found.output.name}/replaced"), np.float32, found.output.shape)]
    steps: list[tuple[str, str, Any]] = [
        ("Add", f"{name}/before", shift),
        ("Relu", name, None),
        ("Mul", f"{name}/scale", stairs.scale / stairs.threshold),
        ("Add", f"{name}/after", stairs.shift),
    ]
    neutral = {"Add": 0.0, "Mul": 1.0}
    wanted = [step for step in steps if step[2] is None or np.any(np.asarray(step[2]) != neutral[step[0]])]
    value, around = found.root, []
    for position, (op, node_name, constant) in enumerate(wanted):
        inputs = [value]
        if constant is not None:
            inputs.append(make_constant(names, f"{node_name}/value", np.asarray(constant, np.float32)))
            around.append(inputs[1].name)
        last = position == len(wanted) - 1
        out = gs.Variable(names.fresh(f"{node_name}/out"), np.float32, found.output.shape)
        value = found.output if last else out
        graph.nodes.append(gs.Node(op=op, name=node_name, inputs=inputs, outputs=[value]))
    marker = next(node for node in graph.nodes if node.name == name)
    marker.attrs[MARK] = replace(_marked(stairs, rank), around=tuple(around))


def _marked(stairs: Staircase, rank: int) -> Marked:
    """λ as one value or one per channel; where more than one axis counts, their mean."""
    values = np.asarray(stairs.threshold * stairs.levels, np.float64)
    factor = np.asarray(stairs.scale / stairs.threshold, np.float64)
    long = [axis for axis, size in enumerate(values.shape) if size > 1]
    if len(long) != 1:
        return Marked(np.asarray(values.mean()), factor=factor)
    return Marked(values.reshape(-1), rank - values.ndim + long[0], factor)
