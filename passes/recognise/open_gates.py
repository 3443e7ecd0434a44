"""Activations that multiply their own input: products, where spikes would have to carry their values."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.analysis.pass_manager import apply_owned
from onnx2snn.analysis.trains import Kind
from onnx2snn.graph.core import Names, graph_pass
from onnx2snn.graph.walks import forward
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_line, is_product
from onnx2snn.passes.normalise.expand_functions import body_of, has_body, insert_body
from onnx2snn.passes.normalise.spell_operators import spell_operators


@graph_pass
def open_gates(graph: gs.Graph) -> gs.Graph:
    """Write an activation of levels that no neuron stands for as its definition, where that is a product with its input.

        k ─▶ HardSwish ─▶ MatMul      becomes      k ──────────────────▶ Mul ─▶ MatMul
                                                   k ─▶ HardSigmoid ──▶

    Such a product is linear in the train (METHOD 12): the spikes select what the gate holds. Most exporters write SiLU so, and
    GELU up to operator set 19.

    1. In front of the first neurons, and behind the last synapses: it stays.
    2. Its definition is no product with its input (Elu, Tanh): it stays, and is refused.
    """
    names, known = Names(graph), facts(graph)
    for node in list(graph.nodes):
        if not of(node).elementwise or is_line(node) or not has_body(node, graph.opset):
            continue
        trains = [known.kinds.get(id(tensor)) is Kind.TRAIN for tensor in node.inputs]
        if not any(trains) or id(node.outputs[0]) not in known.before_synapses:  # 1
            continue
        body = body_of(node, graph.opset)
        if body is None:
            continue
        spelled = apply_owned(body, [spell_operators])
        if _multiplies(spelled):
            insert_body(graph, names, node, spelled)
    return graph


def _multiplies(body: gs.Graph) -> bool:
    """Case 2: whether a product in ``body`` reads its input, but for a factor."""
    nodes, start = body.toposort().nodes, [id(t) for t in body.inputs if t.name == "in0"]
    lines = forward(nodes, lambda node, read: any(read) and is_line(node), start)
    return any(is_product(node) and any(id(t) in lines for t in node.inputs) for node in nodes)
