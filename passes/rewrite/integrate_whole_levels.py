"""Potentials of whole levels: what a level stands for comes behind the sum (METHOD 5, scale freedom)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.whole_shifts import whole_shift
from onnx2snn.analysis.scale_propagation import factor_of, multiplied, of_sample
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import Names, graph_pass, is_constant, origin, producer_of, signals, value_of
from onnx2snn.operators.linear import is_integrate


@graph_pass
def integrate_whole_levels(graph: gs.Graph) -> gs.Graph:
    """Integrate levels, and multiply what they add up to.

        k ─▶ Mul α ─▶ Integrate(n·α) ─▶ v      becomes      k ─▶ Integrate(n) ─▶ Mul α ─▶ v

    Whole numbers are added exactly, and v is rounded once, as DequantizeLinear does: α·(k + n) is zero where k is −n. The sum of
    α·s, rounded at each step, and of n·α is as little as zero there that only what is added to it hides it: a quotient does not.

    1. The bias is no whole number of α, or depends on the sample: nothing is done.
    2. v is an output of the network: the multiple takes its name.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        maker = producer_of(node.inputs[0]) if is_integrate(node) and is_constant(node.inputs[1]) else None
        factor = None if maker is None else factor_of(maker)
        if maker is None or factor is None:
            continue
        whole = whole_shift(of_sample(factor), value_of(node.inputs[1]))
        if whole is None:
            continue
        potential = node.outputs[0]
        level = gs.Variable(names.fresh(f"{potential.name}/level"), np.float32, potential.shape)
        node.inputs = [signals(maker)[0], make_constant(names, f"{node.name}/bias", np.atleast_1d(whole))]
        node.outputs = [level]
        multiplied(graph, names, level, factor, origin(node)).inputs[0].outputs = [potential]
    return graph
