"""Nonlinear operators whose effects cancel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import stay_constant
from onnx2snn.activations.expression import Value
from onnx2snn.activations.piecewise_linear import flat
from onnx2snn.activations.recognise import expressions
from onnx2snn.activations.reduction import constant_of
from onnx2snn.activations.steps import floats
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_float, origin, producer_of, signals, value_of
from onnx2snn.graph.neuron_nodes import make_constant
from onnx2snn.operators.linear import EXTREME, is_linear

#: Linear operators that write what these do in shape.
_MEANS = {"GlobalMaxPool": "GlobalAveragePool", "MaxPool": "AveragePool", "ReduceMax": "ReduceMean"}


@graph_pass
def straighten_lines(graph: gs.Graph) -> gs.Graph:
    """Write as a line what is one, though nonlinear operators make it.

        z ─▶ Clip(0, 4) ─▶ Greater 8 ─▶ Cast ─▶ a      becomes      z ─▶ Mul 0 ─▶ Add 0 ─▶ a

    1. Mostly a constant: a threshold out of reach, a quantiser whose step is coarser than all that it can be given.
    2. What reads it is a part of the same expression: the line is written at its end.
    3. It is a constant in exact arithmetic, but float32 reaches another level: nothing is done.
    4. A Cast to other floats at an output is no part of it: the output keeps its type.
    """
    found = expressions(graph)
    outputs = {id(tensor) for tensor in graph.outputs}
    others = {id(node.outputs[0]) for node in graph.nodes if not _in_float32(node.outputs[0])}
    bent = {key: value for key, value in found.items() if key not in others and _is_bent_line(value)}
    ends: list[tuple[gs.Node, Value]] = []
    for node in graph.nodes:
        tensor = node.outputs[0]
        value = bent.get(id(tensor))
        if value is None:
            continue
        if value.root is not None and not is_float(value.root):
            continue
        if id(tensor) in outputs or any(id(reader.outputs[0]) not in bent for reader in tensor.outputs):
            ends.append((node, value))
    names = Names(graph)
    origins = _Origins(graph, names, found)
    chains = [(value.potential, node.outputs[0], value.nodes) for node, value in ends]
    for (node, value), constant in zip(ends, stay_constant(chains, graph.opset), strict=True):
        if constant or constant_of(value) is None:
            _write(
                graph,
                names,
                node,
                value,
                value.potential if constant_of(value) is None else origins.of(value.potential),
            )
    return graph


def _in_float32(tensor: gs.Tensor) -> bool:
    return is_float(tensor) and np.dtype(tensor.dtype) == np.float32


class _Origins:
    """Where constants can be made from: tensors of their shape that no nonlinear operator makes, if there are any.

    Args:
        graph: Where stand-ins go.
        names: Of that graph.
        found: Its expressions.
    """

    def __init__(self, graph: gs.Graph, names: Names, found: Mapping[int, Value]) -> None:
        self._graph, self._names, self._found = graph, names, found

    def of(self, tensor: gs.Tensor) -> gs.Tensor:
        """What to multiply by zero in place of ``tensor``.

        1. An activation: what it is made from.
        2. A maximum over places: the mean over the same places.
        3. The larger of two: the first.
        """
        value, node = self._found.get(id(tensor)), producer_of(tensor)
        if value is not None and value.root is not None:
            return self.of(value.root)
        if node is None or node.domain:
            return tensor
        if node.op in _MEANS:
            return self._mean(node)
        first = signals(node)[0] if signals(node) else tensor
        return self.of(first) if node.op in EXTREME and first.shape == tensor.shape else tensor

    def _mean(self, node: gs.Node) -> gs.Tensor:
        attributes = {k: v for k, v in node.attrs.items() if k != "storage_order"}
        if node.op == "MaxPool":
            attributes["count_include_pad"] = 1
        fresh = gs.Node(op=_MEANS[node.op], name=self._names.fresh(f"{node.name}/mean"), attrs=attributes)
        constants = [make_constant(self._names, t.name, value_of(t)) for t in node.inputs[1:]]
        fresh.inputs = [self.of(node.inputs[0]), *constants]
        shape = list(node.outputs[0].shape)
        fresh.outputs = [gs.Variable(self._names.fresh(f"{node.name}/mean"), np.float32, shape)]
        fresh.attrs[ORIGIN] = origin(node)
        self._graph.nodes.append(fresh)
        return fresh.outputs[0]


def _is_bent_line(value: Value) -> bool:
    bent = value.root is not None and not all(is_linear(node) for node in value.nodes)
    return bent and (value.is_affine or constant_of(value) is not None)


def _write(graph: gs.Graph, names: Names, node: gs.Node, value: Value, root: gs.Tensor) -> None:
    spelling = Spelling(graph, names, node)
    constant, output = constant_of(value), node.outputs[0]
    line = value.of_root.pieces[0] if constant is None else flat(constant)
    node.outputs = [gs.Variable(names.fresh(f"{output.name}/bent"), output.dtype, output.shape)]
    scaled = spelling.apply("Mul", root, np.atleast_1d(floats(line.slope)))
    spelling.apply("Add", scaled, np.atleast_1d(floats(line.offset)), output=output)
