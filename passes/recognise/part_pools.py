"""The maximum of activations side by side, part by part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import Staircase
from onnx2snn.activations.recognise import recognise
from onnx2snn.analysis.selections import is_selection, rises
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_constant, origin, producer_of, signals, value_of
from onnx2snn.graph.neuron_nodes import make_constant
from onnx2snn.operators.linear import ORDER_PRESERVING, compared_axes


@graph_pass
def part_pools(graph: gs.Graph) -> gs.Graph:
    """A maximum within channels is one of each part of them.

        a ─┐                                        a ─▶ MaxPool ─┐
           ├─▶ Concat ─▶ MaxPool ─▶ y   becomes                   ├─▶ Concat ─▶ y
        b ─┘                                        b ─▶ MaxPool ─┘

    So that each part is pooled in front of its own neurons, whatever they round and to what: a layer of one rule is one
    rounding operator at run time, where one of several takes as many comparisons as time steps.

    1. The parts are joined along an axis that is compared: nothing is done.
    2. All are activations of one rounding, or none is one: neurons (on several grids) fit behind one maximum.
    3. The Concat has other readers: it stays for them.
    """
    pools = [node for node in graph.nodes if _joined(node) is not None]
    if not pools:
        return graph
    names = Names(graph)
    found = {id(one.output): one.staircase for one in recognise(graph).found}
    while pools:
        pools = [part for pool in pools if _differ(pool, found) for part in _parted(graph, names, pool)]
    return graph


def _joined(pool: gs.Node) -> gs.Node | None:
    """The Concat that ``pool`` pools, along an axis that it does not compare."""
    if pool.op not in ORDER_PRESERVING or pool.domain or len(pool.outputs) > 1:
        return None
    joined, compared = producer_of(pool.inputs[0]), compared_axes(pool)
    if joined is None or joined.op != "Concat" or joined.domain or compared is None:
        return None
    axis = int(joined.attrs["axis"]) % len(pool.inputs[0].shape)
    apart = axis != 0 and axis not in compared and not any(is_constant(t) for t in joined.inputs)
    return joined if apart else None


def _differ(pool: gs.Node, found: Mapping[int, Staircase]) -> bool:
    """Whether the parts are activations of several roundings, or some are none; False if ``pool`` pools no parts."""
    if _joined(pool) is None:
        return False
    kinds: set[str] = set()
    stack = [pool.inputs[0]]
    while stack:
        tensor = stack.pop()
        staircase, node = found.get(id(tensor)), producer_of(tensor)
        if staircase is not None:
            kinds.update(np.unique(staircase.rounding).tolist())
        elif node is not None and (is_selection(node) or rises(node)):
            stack += signals(node)
        else:
            kinds.add("none")
    return len(kinds) > 1


def _parted(graph: gs.Graph, names: Names, pool: gs.Node) -> list[gs.Node]:
    """The pools of the parts, and the Concat of what they write in place of ``pool``."""
    joined, output = _joined(pool), pool.outputs[0]
    if joined is None:
        raise AssertionError("no parts")
    rank = len(pool.inputs[0].shape)
    axis = int(joined.attrs["axis"]) % rank
    dropped = sum(1 for a in compared_axes(pool) or () if a < axis) if len(output.shape) < rank else 0
    parts = [_copy(names, pool, tensor, axis, axis - dropped) for tensor in joined.inputs]
    pool.outputs.clear()
    whole = gs.Node(op="Concat", name=names.fresh(f"{pool.name}/joined"), attrs={"axis": axis - dropped})
    whole.attrs[ORIGIN] = origin(joined)
    whole.inputs, whole.outputs = [part.outputs[0] for part in parts], [output]
    graph.nodes += [*parts, whole]
    return parts


def _copy(names: Names, pool: gs.Node, tensor: gs.Tensor, axis: int, behind: int) -> gs.Node:
    """``pool`` of ``tensor``: a part along ``axis``, which is the axis ``behind`` of what it writes."""
    fresh = gs.Node(op=pool.op, name=names.fresh(f"{pool.name}/part"), attrs=dict(pool.attrs))
    fresh.attrs[ORIGIN] = origin(pool)
    fresh.inputs = [tensor, *(make_constant(names, t.name, value_of(t)) for t in pool.inputs[1:])]
    shape = list(pool.outputs[0].shape)
    shape[behind] = tensor.shape[axis]
    fresh.outputs = [gs.Variable(names.fresh(f"{pool.outputs[0].name}/part"), np.float32, shape)]
    return fresh
