"""Operators that copy entries: moving, picking, joining and padding."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, constant_input, is_constant, value_of
from onnx2snn.operators.linear import MOVEMENT, is_linear

#: Operators that copy entries, in places that do not depend on values.
SELECTIONS = (
    *MOVEMENT,
    *(
        "Concat",
        "DepthToSpace",
        "Expand",
        "Gather",
        "Pad",
        "Resize",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Tile",
    ),
)


def is_selection(node: gs.Node) -> bool:
    """Whether ``node`` copies entries, each sample for itself."""
    if node.op not in SELECTIONS or not is_linear(node):
        return False
    if node.op == "Resize":
        return bool(node.attrs.get("mode", "nearest") == "nearest")
    return not (node.op == "Concat" and any(is_constant(t) for t in node.inputs))


def padding(node: gs.Node) -> float | None:
    """The number that ``node`` pads with; None if it pads with none."""
    if node.op != "Pad" or node.attrs.get("mode", "constant") != "constant":
        return None
    given = constant_input(node, 2)
    return 0.0 if given is None else float(given.reshape(-1)[0])


def normalisation(node: gs.Node) -> tuple[Array, Array]:
    """Factor and term of a BatchNormalization, in float64, broadcastable to what it reads."""
    gamma, beta, mean, variance = (value_of(t).astype(np.float64) for t in node.inputs[1:5])
    factor = gamma / np.sqrt(variance + node.attrs.get("epsilon", 1e-5))
    column = (-1,) + (1,) * (len(node.inputs[0].shape) - 2)
    return factor.reshape(column), (beta - mean * factor).reshape(column)
