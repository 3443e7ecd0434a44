"""Constants of elementwise operators hold no value twice that broadcasting repeats."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import Array, Names, graph_pass, is_constant, value_of
from onnx2snn.operators import of


@graph_pass
def narrow_constants(graph: gs.Graph) -> gs.Graph:
    """Write a constant once where it is the same along an axis.

        Where(z > θ, ones (1, C, H, W), zeros (1, C, H, W))      becomes      Where(z > θ, ones (), zeros ())

    Exporters fill whole tensors (``ones_like``, a folded Expand), and a batch that is fixed repeats them for each sample.

    1. Another input has the output's size on that axis, so the shape of the result does not change.
    2. No other input has it: the constant widens the result, and stays.
    """
    names = Names(graph)
    for node in graph.nodes:
        if of(node).broadcasts and len(node.outputs) == 1:
            _narrow(names, node)
    return graph


def _narrow(names: Names, node: gs.Node) -> None:
    for position, tensor in enumerate(node.inputs):
        if not is_constant(tensor) or not tensor.shape:
            continue
        values = value_of(tensor)
        held = {axis for other in node.inputs if other is not tensor for axis in _sizes(other, values)}
        narrow = _narrowed(values, held)
        if narrow.shape != values.shape:
            node.inputs[position] = make_constant(names, tensor.name, narrow)


def _sizes(other: gs.Tensor, values: Array) -> set[int]:
    """Axes of ``values``, counted from the back (−1, −2 ...), on which ``other`` has the same size, or values has one."""
    shape = other.shape
    if is_constant(other) or shape is None:
        return set()
    shared = range(1, min(len(shape), values.ndim) + 1)
    return {-i for i in shared if values.shape[-i] in (1, shape[-i])}


def _narrowed(values: Array, held: set[int]) -> Array:
    narrow = values
    for axis in sorted(held):
        first = narrow.take([0], axis=axis) if narrow.shape[axis] > 1 else narrow
        if first is not narrow and np.array_equal(narrow, np.broadcast_to(first, narrow.shape)):
            narrow = first
    while narrow.ndim and narrow.shape[0] == 1 and -narrow.ndim in held:
        narrow = narrow[0]
    return narrow
