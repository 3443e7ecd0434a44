"""Max pooling in front of the neuron: onto membrane potentials."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import ORIGIN, Names, graph_pass, is_constant, origin, signals, value_of
from onnx2snn.passes.lines import Carried, carried
from onnx2snn.passes.operators import EXTREME, MOVEMENT, ORDER_PRESERVING
from onnx2snn.passes.staircase_nodes import SOURCE, make_constant, parameters, staircase_node


@graph_pass
def hoist_pools(graph: gs.Graph) -> gs.Graph:
    """A maximum commutes with a rising staircase, applied alike to all that it compares (METHOD 6).

        z ─▶ Staircase ─▶ k ─▶ Mul α ─▶ MaxPool ─▶ a     becomes     z ─▶ MaxPool ─▶ Staircase ─▶ k ─▶ Mul α ─▶ a

    1. Moves (Reshape, Transpose ...) between staircase and pool go along, where all parameters are scalar.
    2. The staircase has other readers: it stays for them, and the pooled one is a neuron of its own.
    3. Parameters differ within what is compared, or α < 0: nothing is done.
    4. Max and Min of several activations on one grid: of their potentials.
    """
    names = Names(graph)
    for pool in list(graph.nodes):
        if pool.op in EXTREME and not pool.domain:
            _hoist_extreme(graph, names, pool)
            continue
        if pool.op not in ORDER_PRESERVING or pool.domain or len(pool.outputs) > 1:
            continue
        found = carried(pool.inputs[0])
        if found is not None and _uniform(pool, found):
            _hoist(graph, names, pool, found)
    return graph


def _uniform(pool: gs.Node, found: Carried) -> bool:
    staircase = parameters(found.staircase)
    arrays = [staircase.threshold, staircase.offset, staircase.ceilings, *found.constants]
    if all(a.size == 1 for a in arrays):
        return True
    if found.moves or pool.op == "ReduceMax":
        return False
    rank = len(pool.inputs[0].shape)
    return all(a.size == 1 or (a.ndim in (rank - 1, rank) and a.size == a.shape[-(rank - 1)]) for a in arrays)


def _hoist(graph: gs.Graph, names: Names, pool: gs.Node, found: Carried) -> None:
    old, output = found.staircase, pool.outputs[0]
    value = old.inputs[0]
    for node in [*(n for n in found.nodes if n.op in MOVEMENT and n.op != "Identity"), pool]:
        value = _copy(graph, names, node, value)
    alone = _only_reader_chain(old, found, pool)
    name = old.name
    if alone:
        old.name = names.fresh(f"{old.name}/replaced")
    fresh = staircase_node(
        names,
        parameters(old),
        value,
        name=name,
        origin=list(dict.fromkeys([*origin(old), *origin(pool)])),
        source=output.name,
    )
    if alone:
        fresh.name = name
    graph.nodes.append(fresh)
    fresh.attrs[SOURCE] = old.attrs[SOURCE]
    value = fresh.outputs[0]
    for node in found.nodes:
        if node.op in ("Mul", "Add"):
            value = _copy(graph, names, node, value)
    pool.outputs.clear()
    graph.nodes.append(gs.Node(op="Identity", name=names.fresh(pool.name), inputs=[value], outputs=[output]))


def _hoist_extreme(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    """Case 4."""
    found = [carried(t) for t in node.inputs]
    chains = [one for one in found if one is not None and not one.moves]
    if len(chains) != len(node.inputs) or any(not _same_grid(chains[0], other) for other in chains[1:]):
        return
    first, output = chains[0], node.outputs[0]
    before = gs.Variable(names.fresh(f"{output.name}/potential"), np.float32, list(output.shape))
    extreme = gs.Node(op=node.op, name=names.fresh(f"{node.name}/hoisted"), outputs=[before])
    extreme.inputs = [one.staircase.inputs[0] for one in chains]
    extreme.attrs[ORIGIN] = origin(node)
    sources = [name for one in chains for name in origin(one.staircase)]
    fresh = staircase_node(
        names,
        parameters(first.staircase),
        before,
        name=f"{node.name}/neuron",
        origin=list(dict.fromkeys([*sources, *origin(node)])),
        source=output.name,
    )
    fresh.attrs[SOURCE] = first.staircase.attrs[SOURCE]
    graph.nodes += [extreme, fresh]
    value = fresh.outputs[0]
    for line in first.nodes:
        if line.op in ("Mul", "Add"):
            value = _copy(graph, names, line, value)
    node.outputs.clear()
    graph.nodes.append(gs.Node(op="Identity", name=names.fresh(node.name), inputs=[value], outputs=[output]))


def _same_grid(one: Carried, other: Carried) -> bool:
    a, b = parameters(one.staircase), parameters(other.staircase)
    shapes = {tuple(str(s) for s in c.staircase.inputs[0].shape) for c in (one, other)}
    pairs = [(getattr(a, f), getattr(b, f)) for f in ("threshold", "offset", "ceilings")]
    pairs += list(zip(one.constants, other.constants, strict=False))
    return (
        len(shapes) == 1
        and a.rounding == b.rounding
        and len(one.constants) == len(other.constants)
        and all(np.array_equal(x, y) for x, y in pairs)
    )


def _only_reader_chain(staircase: gs.Node, found: Carried, pool: gs.Node) -> bool:
    chain = [*found.nodes, pool]
    tensors = [staircase.outputs[0], *(n.outputs[0] for n in found.nodes)]
    return all(len(t.outputs) == 1 and t.outputs[0] is n for t, n in zip(tensors, chain, strict=True))


def _copy(graph: gs.Graph, names: Names, node: gs.Node, value: gs.Tensor) -> gs.Tensor:
    """A copy of the one-input ``node`` that reads ``value``; returns what it writes."""
    signal = signals(node)[0]
    inputs = [
        value if t is signal else make_constant(names, t.name, value_of(t)) if is_constant(t) else t
        for t in node.inputs
    ]
    shape = list(value.shape) if node.op in ("Mul", "Add") else list(node.outputs[0].shape)
    output = gs.Variable(names.fresh(f"{node.outputs[0].name}/hoisted"), np.float32, shape)
    fresh = gs.Node(
        op=node.op, name=names.fresh(f"{node.name}/hoisted"), attrs=dict(node.attrs), inputs=inputs
    )
    fresh.attrs[ORIGIN] = origin(node)
    fresh.outputs = [output]
    graph.nodes.append(fresh)
    return output
