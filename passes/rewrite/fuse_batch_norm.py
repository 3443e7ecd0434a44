"""Batch norm as what it is at inference: one multiplication and one addition per channel."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant, scale_weights
from onnx2snn.graph.core import ORIGIN, Array, Names, constant_input, graph_pass, origin, producer_of


@graph_pass
def fuse_batch_norm(graph: gs.Graph) -> gs.Graph:
    """Fold an inference-time batch norm into the convolution in front of it (METHOD 4).

        x ─▶ Conv(W, b) ─▶ BN(γ, β, μ, σ²) ─▶ y      becomes      x ─▶ Conv(γ/σ·W, γ/σ·(b − μ) + β) ─▶ y

    1. The convolution has no other reader: it takes the batch norm in.
    2. Anything else in front: the batch norm becomes ``Mul γ/σ`` and ``Add β − γμ/σ``, which later passes move into
       whatever weights and biases they reach.

    σ = sqrt(var + ε); computed in float64 and rounded once.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        if node.op != "BatchNormalization" or node.domain or node.attrs.get("training_mode", 0):
            continue
        constants = [constant_input(node, i) for i in range(1, 5)]
        if any(c is None for c in constants):
            continue
        gamma, beta, mean, variance = (np.asarray(c, np.float64) for c in constants)
        scale = gamma / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
        shift = beta - mean * scale
        if not _into_convolution(names, node, scale, shift):
            _as_line(graph, names, node, scale, shift)
    return graph


def _into_convolution(names: Names, node: gs.Node, scale: Array, shift: Array) -> bool:
    conv = producer_of(node.inputs[0])
    if conv is None or conv.op != "Conv" or conv.domain or len(node.inputs[0].outputs) != 1:
        return False
    weights = constant_input(conv, 1)
    bias = constant_input(conv, 2)
    has_bias = len(conv.inputs) > 2 and not conv.inputs[2].is_empty()
    if weights is None or (has_bias and bias is None) or not node.inputs[0].inputs:
        return False
    before = np.zeros_like(shift) if bias is None else bias.astype(np.float64)
    column = scale.reshape((-1,) + (1,) * (weights.ndim - 1))
    scale_weights(names, conv, column)
    fused = make_constant(names, f"{conv.name}/bias", (before * scale + shift).astype(np.float32))
    conv.inputs = [conv.inputs[0], conv.inputs[1], fused]
    conv.attrs[ORIGIN] = [*origin(conv), *origin(node)]
    output = node.outputs[0]
    node.outputs.clear()
    conv.outputs = [output]
    return True


def _as_line(graph: gs.Graph, names: Names, node: gs.Node, scale: Array, shift: Array) -> None:
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
