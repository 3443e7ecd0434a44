"""Products of two signals: one operand fires, the other is held (METHOD 12)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.trains import Kind, node_kind
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, origin
from onnx2snn.graph.walks import values_forward
from onnx2snn.operators.linear import DOMAIN, HOLD, is_neuron, is_product


@graph_pass
def hold_operands(graph: gs.Graph) -> gs.Graph:
    """Hold one operand of every product, so that it is linear in the other.

        a ─▶ Mul ─▶ z        becomes      a ──────────▶ Mul ─▶ z
        b ──▶                             b ─▶ Hold ──▶

    1. Both are trains: that is held which lies fewer layers deep, as it is complete before the other one fires; of two
       that are equally deep, the second.
    2. One is a train: the other one, an analog value, is held.

    One Hold serves all products of a tensor.
    """
    names = Names(graph)
    kinds: dict[int, Kind] = {}
    depths = values_forward(graph.nodes, _depth, {})
    made: dict[int, gs.Tensor] = {}
    for node in list(graph.nodes):
        trains = [kinds.get(id(t)) is Kind.TRAIN for t in node.inputs]
        if is_product(node) and any(trains):
            position = trains.index(False) if not all(trains) else _shallower(node, depths)
            operand = node.inputs[position]
            if id(operand) not in made:
                made[id(operand)] = _hold(graph, names, operand, node)
            node.inputs[position] = made[id(operand)]
            kinds[id(node.inputs[position])] = Kind.HELD
        kind = node_kind(node, kinds)
        kinds.update((id(tensor), kind) for tensor in node.outputs)
    return graph


def _depth(node: gs.Node, read: list[int | None]) -> int:
    """Layers of neurons in front of what ``node`` makes, itself counted."""
    return max((depth for depth in read if depth is not None), default=0) + is_neuron(node)


def _shallower(product: gs.Node, depths: dict[int, int]) -> int:
    first, second = (depths.get(id(tensor), 0) for tensor in product.inputs)
    return 0 if first < second else 1


def _hold(graph: gs.Graph, names: Names, operand: gs.Tensor, product: gs.Node) -> gs.Tensor:
    held = gs.Variable(names.fresh(f"{operand.name}/held"), np.float32, list(operand.shape))
    node = gs.Node(op=HOLD, name=names.fresh(held.name), domain=DOMAIN, inputs=[operand], outputs=[held])
    node.attrs.update({"timesteps": 1, ORIGIN: origin(product)})
    graph.nodes.append(node)
    return held
