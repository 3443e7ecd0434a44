"""Activations of unequal steps as sums of staircases."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import ORIGIN, Names, graph_pass, origin, producer_of, value_of
from onnx2snn.passes.operators import ORDER_PRESERVING
from onnx2snn.passes.spelling import Spelling
from onnx2snn.passes.staircase_nodes import make_constant
from onnx2snn.staircases.recognise import Uneven, recognise
from onnx2snn.staircases.steps import Run, floats


@graph_pass
def split_steps(graph: gs.Graph) -> gs.Graph:
    """Write each step function of unequal steps as the sum of functions of equal ones: each becomes a neuron.

        z ─▶ Sign ─▶ a     becomes     a = 1·[z ≥ 0] + 1·[z > 0] − 1

    1. A single step is a comparison.
    2. Steps alike, at equal distances, are a rounding: α·clip(floor((z − t)/θ + 1), 0, K), or with ceil where the steps
       are open, or to even where every other one is.
    3. Only steps upwards, read by a maximum (METHOD 6): the maximum is that of z.
    4. It is one staircase after another (a quantiser behind a quantiser): nothing is done.
    """
    names = Names(graph)
    rejected = recognise(graph).rejected
    for uneven in recognise(graph, whole=True).uneven:
        if not any(tensor.name in rejected for node in uneven.nodes for tensor in node.outputs):
            continue
        for pool in list(uneven.output.outputs):
            if pool.op in ORDER_PRESERVING and not pool.domain and len(pool.outputs) == 1 and _rises(uneven):
                _split(graph, names, uneven, _pooled(graph, names, uneven, pool), pool.outputs[0])
        _split(graph, names, uneven, uneven.root, uneven.output)
    return graph


def _rises(uneven: Uneven) -> bool:
    """Whether the steps go up, alike on all channels."""
    return all(
        np.size(run.threshold) == np.size(run.rise) == np.size(run.gap) == 1 and np.all(run.rise > 0)
        for run in uneven.steps.runs
    )


def _pooled(graph: gs.Graph, names: Names, uneven: Uneven, pool: gs.Node) -> gs.Tensor:
    """Case 3: the maximum of z."""
    result = pool.outputs[0]
    before = gs.Variable(names.fresh(f"{result.name}/potential"), result.dtype, list(result.shape))
    hoisted = gs.Node(op=pool.op, name=names.fresh(f"{pool.name}/hoisted"), attrs=dict(pool.attrs))
    hoisted.attrs[ORIGIN] = origin(pool)
    copies = [
        uneven.root if tensor is uneven.output else make_constant(names, tensor.name, value_of(tensor))
        for tensor in pool.inputs
    ]
    hoisted.inputs, hoisted.outputs = copies, [before]
    graph.nodes.append(hoisted)
    return before


def _split(graph: gs.Graph, names: Names, uneven: Uneven, root: gs.Tensor, output: gs.Tensor) -> None:
    """``output`` = steps(``root``)."""
    old = producer_of(output)
    if old is None:
        raise AssertionError("an activation is made by a node")
    spelling = Spelling(graph, names, old)
    old.outputs = [gs.Variable(names.fresh(f"{output.name}/uneven"), output.dtype, output.shape)]
    total = None
    for run in uneven.steps.runs:
        part = spelling.apply("Mul", _level(spelling, root, run), floats(run.rise))
        total = part if total is None else spelling.apply("Add", total, part)
    spelling.apply("Add", total, floats(uneven.steps.start), output=output)


def _level(spelling: Spelling, z: gs.Tensor, run: Run) -> gs.Tensor:
    threshold = floats(run.threshold)
    if run.count == 1:
        above = spelling.apply("Greater" if run.rule == "ceil" else "GreaterOrEqual", z, threshold)
        above.dtype = np.dtype(bool)
        return spelling.apply("Cast", above, to=1)
    operator, ahead, less = _ROUNDED[run.rule]
    steps = spelling.apply("Div", spelling.apply("Sub", z, threshold), floats(run.gap))
    level = spelling.apply(operator, spelling.apply("Add", steps, np.float32(ahead)))
    if less:
        level = spelling.apply("Sub", level, np.float32(less))
    return spelling.apply("Clip", level, np.float32(0), np.float32(run.count))


#: By rule: the level is operator(steps + the first number) − the second, where steps = 0 at the first threshold.
_ROUNDED = {
    "floor": ("Floor", 1, 0),
    "ceil": ("Ceil", 0, 0),
    "half_even": ("Round", 0.5, 0),
    "half_odd": ("Round", 1.5, 1),
}
