"""Max and Min of several activations in front of the neurons: onto membrane potentials."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.lines import Carried, carried
from onnx2snn.analysis.selections import copy_behind
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, origin
from onnx2snn.graph.neuron_nodes import SOURCE, parameters, staircase_node
from onnx2snn.operators.linear import EXTREME


@graph_pass
def hoist_extremes(graph: gs.Graph) -> gs.Graph:
    """The maximum (minimum) of activations on one grid is the activation of the maximal (minimal) potential.

        z₁ ─▶ Staircase ─▶ a₁ ─┐                        z₁ ─┐
                               ├─▶ Max ─▶ a   becomes       ├─▶ Max ─▶ Staircase ─▶ a
        z₂ ─▶ Staircase ─▶ a₂ ─┘                        z₂ ─┘

    1. A staircase has other readers: it stays for them.
    2. The grids differ: nothing is done.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        if node.op in EXTREME and not node.domain:
            _hoist(graph, names, node)
    return graph


def _hoist(graph: gs.Graph, names: Names, node: gs.Node) -> None:
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
            value = copy_behind(graph, names, line, value)
    node.outputs.clear()
    graph.nodes.append(gs.Node(op="Identity", name=names.fresh(node.name), inputs=[value], outputs=[output]))


def _same_grid(one: Carried, other: Carried) -> bool:
    a, b = parameters(one.staircase), parameters(other.staircase)
    shapes = {tuple(str(s) for s in c.staircase.inputs[0].shape) for c in (one, other)}
    pairs = [(getattr(a, f), getattr(b, f)) for f in ("threshold", "offset", "ceilings", "rounding")]
    pairs += list(zip(one.constants, other.constants, strict=False))
    return (
        len(shapes) == 1
        and len(one.constants) == len(other.constants)
        and all(np.array_equal(x, y) for x, y in pairs)
    )
