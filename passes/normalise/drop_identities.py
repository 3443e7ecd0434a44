"""What does nothing at inference: Identity, Dropout, casts between floats, Expand that widens nothing."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, graph_pass, is_constant, is_float, replace_uses, signals, value_of
from onnx2snn.operators import of


@graph_pass
def drop_identities(graph: gs.Graph) -> gs.Graph:
    """Let readers read through operators that change nothing.

    1. Identity; Dropout without training; a sum, mean or extreme over no axes.
    2. Cast and CastLike between floats of the same width, and of a boolean or integer constant: all is float32 here.
    3. Expand to the shape that its input has; Expand of a constant, and ConstantOfShape, for operators that broadcast by
       themselves.
    4. Where by a condition that is constant, and the same everywhere, if what it chooses has the shape of the result.
    """
    for node in list(graph.nodes):
        if node.domain or not node.inputs or not node.outputs:
            continue
        _choose(node)
        if _does_nothing(node):
            if not (is_constant(node.inputs[0]) and any(node.outputs[0] is o for o in graph.outputs)):
                replace_uses(graph, node.outputs[0], node.inputs[0])
        elif node.op == "Expand" and is_constant(node.inputs[0]):
            _read_narrow(node, node.inputs[0].values)
        elif node.op == "ConstantOfShape" and node.outputs[0].shape is not None:
            value = node.attrs.get("value")
            number = np.zeros(1, np.float32) if value is None else value.values
            _read_narrow(node, number.reshape((1,) * len(node.outputs[0].shape)))
    return graph


def _choose(node: gs.Node) -> None:
    """Case 4."""
    if node.op != "Where" or not is_constant(node.inputs[0]):
        return
    condition, *choices = value_of(node.inputs[0]), *node.inputs[1:]
    if not condition.size or np.any(condition != condition.flat[0]):
        return
    chosen, result = choices[not condition.flat[0]], node.outputs[0]
    if chosen.shape is not None and result.shape is not None and list(chosen.shape) == list(result.shape):
        node.op, node.inputs = "Identity", [chosen]


def _does_nothing(node: gs.Node) -> bool:
    source, result = node.inputs[0], node.outputs[0]
    if node.op == "Identity":
        return True
    if node.op == "Dropout":
        training = node.inputs[2] if len(node.inputs) > 2 else None
        return (
            training is None or training.is_empty() or (is_constant(training) and not np.any(training.values))
        )
    if node.op in ("Cast", "CastLike"):
        return is_float(source) and is_float(result) and np.dtype(source.dtype) == np.dtype(result.dtype)
    if of(node).one:
        axes = [t for t in node.inputs[1:] if not t.is_empty()]
        none = not axes or (is_constant(axes[0]) and axes[0].values.size == 0)
        return bool(node.attrs.get("noop_with_empty_axes", 0)) and none and "axes" not in node.attrs
    if node.op == "Expand":
        return (
            source.shape is not None and result.shape is not None and list(source.shape) == list(result.shape)
        )
    return False


def _read_narrow(node: gs.Node, values: Array) -> None:
    """Case 3 for constants: a reader whose other operand has the full shape reads the constant itself."""
    wide = node.outputs[0]
    for reader in list(wide.outputs):
        if not of(reader).broadcasts or wide.shape is None:
            continue
        others = [t for t in signals(reader) if t is not wide]
        if any(t.shape is not None and list(t.shape) == list(reader.outputs[0].shape or []) for t in others):
            for position, tensor in enumerate(list(reader.inputs)):
                if tensor is wide:
                    name = f"{wide.name}/narrow/{reader.name}/{position}"
                    reader.inputs[position] = gs.Constant(name, values)
