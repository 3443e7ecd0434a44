"""A quantiser on a tensor that already lies on its grid changes nothing."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.lines import Carried, carried, line_constant
from onnx2snn.graph.core import Array, graph_pass, replace_uses
from onnx2snn.graph.neuron_nodes import SOURCE_TENSOR, parameters
from onnx2snn.operators.linear import DOMAIN, STAIRCASE


@graph_pass
def drop_requantisation(graph: gs.Graph) -> gs.Graph:
    """Remove staircases that give back exactly the value they are given, at every level that can reach them.

        k ─▶ Mul α ─▶ (moves, max pooling) ─▶ x ─▶ Staircase ─▶ Mul α ─▶ x

    Exporters put such a quantiser behind each max pooling, reshape and concatenation. A quantiser onto another grid
    is a neuron, and stays.
    """
    tensors = graph.tensors()
    for node in list(graph.nodes):
        if node.op != STAIRCASE or node.domain != DOMAIN:
            continue
        found = carried(node.inputs[0], through_pools=True)
        if found is None or not _changes_nothing(node, found):
            continue
        output = tensors.get(node.attrs[SOURCE_TENSOR])
        if output is not None:
            replace_uses(graph, output, node.inputs[0])
    return graph


def _changes_nothing(node: gs.Node, found: Carried) -> bool:
    first, second = parameters(found.staircase), parameters(node)
    arrays = [second.threshold, second.offset, second.ceilings, second.scale, second.shift, first.ceilings]
    if any(a.size > 1 for a in [*arrays, *found.constants]):
        return False
    values = np.arange(first.levels + 1, dtype=np.float32)
    for line in found.nodes:
        values = _applied(line, values)
    level = second.level(values).astype(np.float32)
    decoded = level * second.scale.astype(np.float32) + second.shift.astype(np.float32)
    return bool(np.array_equal(decoded.ravel(), values.ravel()))


def _applied(line: gs.Node, values: Array) -> Array:
    constant = line_constant(line)
    if constant is None:
        return values
    scalar = constant.astype(np.float32).reshape(())
    return values * scalar if line.op == "Mul" else values + scalar
