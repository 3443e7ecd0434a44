"""Batch norm as what it is at inference: one multiplication and one addition per channel."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant, scale_weights
from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    constant_input,
    graph_pass,
    is_read_once,
    origin,
    producer_of,
)
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution
from onnx2snn.passes.normalise.spell_batch_norm import as_line


@graph_pass
def fuse_batch_norm(graph: gs.Graph) -> gs.Graph:
    """Fold an inference-time batch norm into the convolution in front of it (METHOD 4).

        x ─▶ Conv(W, b) ─▶ BN(γ, β, μ, σ²) ─▶ y      becomes      x ─▶ Conv(γ/σ·W, γ/σ·(b − μ) + β) ─▶ y

    1. Nothing else reads the convolution, and it is no output: it takes the batch norm in.
    2. Anything else in front: the batch norm becomes ``Mul γ/σ`` and ``Add β − γμ/σ``, which later passes move into
       whatever weights and biases they reach.

    σ = sqrt(var + ε); computed in float64 and rounded once.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        rule = of(node).normalises
        constants = None if rule is None else rule(node)
        if constants is None:
            continue
        gamma, beta, mean, variance = (np.asarray(c, np.float64) for c in constants)
        scale = gamma / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
        shift = beta - mean * scale
        if not (is_read_once(graph, node.inputs[0]) and _into_convolution(names, node, scale, shift)):
            as_line(graph, names, node, scale, shift)
    return graph


def _into_convolution(names: Names, node: gs.Node, scale: Array, shift: Array) -> bool:
    conv = producer_of(node.inputs[0])
    if conv is None or not is_convolution(conv):
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
