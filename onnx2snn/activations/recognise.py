"""Finding the staircases of a graph: one walk along its elementwise operators.

Every tensor gets the expression that it is of some *root* tensor (:mod:`.expression`). A root is whatever no elementwise
operator makes: a convolution's result, a sum of two branches, an input. Where an expression that takes separate levels is
read by anything else, a quantised activation ends: it is reduced to its staircase, or rejected with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_graphsurgeon as gs

from onnx2snn.activations.expression import Value
from onnx2snn.activations.findings import Found, Recognition, Rejected
from onnx2snn.activations.walk import Walk
from onnx2snn.graph.core import producer_of, signals
from onnx2snn.operators.linear import is_line


def recognise(graph: gs.Graph) -> Recognition:
    """Every staircase of ``graph``, and every elementwise nonlinearity that is none.

    Args:
        graph: With inferred shapes.
    """
    walk = Walk(graph)
    for node in graph.nodes:
        walk.visit(node)
    for node in graph.nodes:
        for tensor in node.outputs:
            walk.settle(tensor)
    found, inner, rejected = [], [], dict(walk.rejected)
    for node in graph.nodes:
        for tensor in node.outputs:
            value = walk.produced.get(id(tensor))
            if value is None or value.is_affine:
                continue
            if id(tensor) not in walk.outputs and not walk.is_read_outside(tensor, value):
                continue
            result = walk.conclude(tensor, value)
            if isinstance(result, Found):
                found.append(result)
            else:
                rejected[tensor.name] = result
                inner += walk.whole_parts(value)
    return Recognition(_without_lines(found), rejected, tuple(walk.unbounded.values()), tuple(inner))


def _without_lines(found: Sequence[Found]) -> tuple[Found, ...]:
    """Those that are no line of another one: its factor is a synapse behind the same neurons."""
    ends = {id(one.output) for one in found}
    return tuple(one for one in found if not _is_line_of(one.output, ends))


def _is_line_of(tensor: gs.Tensor, ends: set[int]) -> bool:
    maker = producer_of(tensor)
    while maker is not None and is_line(maker):
        tensor = signals(maker)[0]
        if id(tensor) in ends:
            return True
        maker = producer_of(tensor)
    return False


def expressions(graph: gs.Graph) -> dict[int, Value]:
    """What elementwise operators make of one tensor, by the id of the tensor that holds it."""
    walk = Walk(graph)
    for node in graph.nodes:
        walk.visit(node)
    return walk.produced


__all__ = [
    "Found",
    "Recognition",
    "Rejected",
    "expressions",
    "recognise",
]
