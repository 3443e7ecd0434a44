"""Batch norm behind an activation as a line, so that it is a part of that activation."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Array, Names, graph_pass, origin, producer_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_linear


@graph_pass
def spell_batch_norm(graph: gs.Graph) -> gs.Graph:
    """Write a batch norm behind an activation as a multiplication and an addition, entry by entry.

        z ─▶ PRelu ─▶ BN(γ, β, μ, σ²) ─▶ quantiser      becomes      z ─▶ PRelu ─▶ Mul γ/σ ─▶ Add β − μγ/σ ─▶ quantiser

    The line is that of runtimes: constants in float32, in their order of operations.

    1. Behind anything else it is left to the synapses (METHOD 4).
    """
    names = Names(graph)
    for node in list(graph.nodes):
        rule = of(node).normalises
        constants = None if rule is None else rule(node)
        maker = None if constants is None else producer_of(node.inputs[0])
        if maker is None or constants is None or is_linear(maker) or not of(maker).elementwise:
            continue
        gamma, beta, mean, variance = constants
        scale = gamma * (1 / np.sqrt(variance + np.float32(node.attrs.get("epsilon", 1e-5))))
        as_line(graph, names, node, scale, beta - mean * scale)
    return graph


def as_line(graph: gs.Graph, names: Names, node: gs.Node, scale: Array, shift: Array) -> None:
    """``Mul scale`` and ``Add shift`` (C,) in place of a batch norm."""
    column = (-1,) + (1,) * (len(node.inputs[0].shape) - 2)
    output, value = node.outputs[0], node.inputs[0]
    node.outputs.clear()
    middle = gs.Variable(names.fresh(f"{output.name}/scaled"), np.float32, output.shape)
    for op, values, result in (("Mul", scale, middle), ("Add", shift, output)):
        held = make_constant(names, f"{node.name}/{op.lower()}", values.reshape(column).astype(np.float32))
        fresh = gs.Node(op=op, name=names.fresh(f"{node.name}/{op}"), inputs=[value, held], outputs=[result])
        fresh.attrs[ORIGIN] = origin(node)
        graph.nodes.append(fresh)
        value = result
