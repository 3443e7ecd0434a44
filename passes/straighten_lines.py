"""Nonlinear operators whose effects cancel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import Names, graph_pass, is_float
from onnx2snn.passes.operators import is_linear
from onnx2snn.passes.spelling import Spelling
from onnx2snn.staircases.activation import Value
from onnx2snn.staircases.curve import flat
from onnx2snn.staircases.probe import stay_constant
from onnx2snn.staircases.recognise import expressions
from onnx2snn.staircases.reduction import constant_of
from onnx2snn.staircases.steps import floats


@graph_pass
def straighten_lines(graph: gs.Graph) -> gs.Graph:
    """Write as a line what is one, though nonlinear operators make it.

        z ─▶ Clip(0, 4) ─▶ Greater 8 ─▶ Cast ─▶ a      becomes      z ─▶ Mul 0 ─▶ Add 0 ─▶ a

    1. Mostly a constant: a threshold out of reach, a quantiser whose step is coarser than all that it can be given.
    2. What reads it is a part of the same expression: the line is written at its end.
    3. It is a constant in exact arithmetic, but float32 reaches another level: nothing is done.
    """
    found = expressions(graph)
    outputs = {id(tensor) for tensor in graph.outputs}
    bent = {key: value for key, value in found.items() if _is_bent_line(value)}
    ends: list[tuple[gs.Node, Value]] = []
    for node in graph.nodes:
        tensor = node.outputs[0]
        value = bent.get(id(tensor))
        if value is None or not is_float(tensor):
            continue
        if id(tensor) in outputs or any(id(reader.outputs[0]) not in bent for reader in tensor.outputs):
            ends.append((node, value))
    names = Names(graph)
    chains = [(value.root, node.outputs[0], value.nodes) for node, value in ends]
    for (node, value), constant in zip(ends, stay_constant(chains, graph.opset), strict=True):
        if constant or constant_of(value) is None:
            _write(graph, names, node, value, _origin(found, value))
    return graph


def _origin(found: Mapping[int, Value], value: Value) -> gs.Tensor:
    """Where ``value`` begins; a constant, where all activations in front of it do."""
    root, before = value.root, found.get(id(value.root))
    while constant_of(value) is not None and before is not None and before.root is not None:
        root, before = before.root, found.get(id(before.root))
    return root


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
