"""Activations of unequal steps as sums of staircases."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.recognise import Uneven, recognise
from onnx2snn.activations.steps import Run, floats
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, graph_pass, producer_of


@graph_pass
def split_steps(graph: gs.Graph) -> gs.Graph:
    """Write each step function of unequal steps as the sum of functions of equal ones: each becomes a neuron.

        z ─▶ Sign ─▶ a     becomes     a = 1·[z ≥ 0] + 1·[z > 0] − 1

    1. A single step is a comparison.
    2. Steps alike, at equal distances, are a rounding: α·clip(floor((z − t)/θ + 1), 0, K), or with ceil where the steps
       are open, or to even where every other one is.
    3. It is one staircase after another (a quantiser behind a quantiser): nothing is done.
    """
    names = Names(graph)
    rejected = recognise(graph).rejected
    for uneven in recognise(graph, whole=True).uneven if rejected else ():
        if not any(tensor.name in rejected for node in uneven.nodes for tensor in node.outputs):
            continue
        _split(graph, names, uneven)
    return graph


def _split(graph: gs.Graph, names: Names, uneven: Uneven) -> None:
    root, output = uneven.root, uneven.output
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
