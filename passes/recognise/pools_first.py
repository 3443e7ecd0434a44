"""Max pooling in front of the continuous part of an activation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.expression import Value
from onnx2snn.activations.piecewise_linear import ChannelsDifferError, Curve, NotPiecewiseLinearError
from onnx2snn.activations.recognise import expressions, is_staircase
from onnx2snn.activations.steps import steps_of
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_constant, origin, value_of
from onnx2snn.graph.neuron_nodes import make_constant
from onnx2snn.operators.linear import ORDER_PRESERVING, compared_axes, is_alike


@graph_pass
def pools_first(graph: gs.Graph) -> gs.Graph:
    """A maximum commutes with a rising function, applied alike to all that it compares (METHOD 6).

        z ─▶ Relu ─▶ MaxPool ─▶ Round ─▶ a      becomes      z ─▶ MaxPool ─▶ Relu ─▶ Round ─▶ a

    Then the whole activation stands behind the pooling, in one piece.

    1. The function has other readers: it stays for them.
    2. It falls somewhere, differs within what is compared, or is a staircase (which is hoisted as such, once it is
       recognised): nothing is done.
    """
    names = Names(graph)
    moved = any(_is_pool(node) for node in graph.nodes)
    while moved:
        found = expressions(graph)
        ready = [p for p in graph.nodes if _is_pool(p) and _commutes(p, found.get(id(p.inputs[0])))]
        for pool in ready:
            _swap(graph, names, pool, found[id(pool.inputs[0])])
        moved = bool(ready)
    return graph


def _is_pool(node: gs.Node) -> bool:
    return node.op in ORDER_PRESERVING and not node.domain and len(node.outputs) == 1


def _commutes(pool: gs.Node, value: Value | None) -> bool:
    if value is None or value.root is None or value.is_affine or is_staircase(value):
        return False
    compared, rank = compared_axes(pool), len(pool.inputs[0].shape)
    if compared is None or len(pool.outputs[0].shape) != rank:
        return False
    constants = [value_of(t) for n in value.nodes for t in n.inputs if is_constant(t)]
    return _rises(value) and all(is_alike(c, rank, compared) for c in constants)


def _rises(value: Value) -> bool:
    if value.of_level is None:
        return _is_rising(value.of_root)
    try:
        return all(bool(np.all(run.rise > 0)) for run in steps_of(value).runs)
    except (NotPiecewiseLinearError, ChannelsDifferError):
        return False


def _is_rising(curve: Curve) -> bool:
    if not all(np.all(piece.slope >= 0) for piece in curve.pieces):
        return False
    jumps = zip(curve.breaks, curve.points, pairwise(curve.pieces), strict=True)
    return all(np.all(left.at(x) <= y) and np.all(y <= right.at(x)) for x, y, (left, right) in jumps)


def _swap(graph: gs.Graph, names: Names, pool: gs.Node, value: Value) -> None:
    result = pool.outputs[0]
    top = pool.inputs[0]
    pooled = gs.Variable(names.fresh(f"{result.name}/potential"), np.float32, list(result.shape))
    copies: dict[int, gs.Tensor] = {id(value.root): pooled}
    for node in value.nodes:
        for tensor in node.outputs:
            copies[id(tensor)] = gs.Variable(
                names.fresh(f"{tensor.name}/pooled"), tensor.dtype, list(result.shape)
            )
        inputs = [
            make_constant(names, t.name, value_of(t)) if is_constant(t) else copies.get(id(t), t)
            for t in node.inputs
        ]
        fresh = gs.Node(
            op=node.op, name=names.fresh(f"{node.name}/pooled"), attrs=dict(node.attrs), inputs=inputs
        )
        fresh.attrs[ORIGIN] = origin(node)
        fresh.outputs = [copies[id(t)] for t in node.outputs]
        graph.nodes.append(fresh)
    last = next(n for n in reversed(graph.nodes) if n.outputs and n.outputs[0] is copies[id(top)])
    pool.inputs[0] = value.potential
    pool.outputs = [pooled]
    last.outputs = [result]
