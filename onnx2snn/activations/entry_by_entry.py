"""Which operators work entry by entry, whatever their name promises: constants may widen what they read."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, is_constant, is_float, signals, value_of

#: A constant with more values than this is data, not an activation's parameter.
MAX_PARAMETERS = 1 << 17


def is_elementwise(node: gs.Node) -> bool:
    """Whether constants are parameters and the output has the shape of what it is made from."""
    shapes = [tuple(t.shape) for t in signals(node) if t.shape is not None]
    if len(shapes) != len(signals(node)) or not shapes or not shapes[0] or len(node.outputs) != 1:
        return False
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        return False
    return all(_fits(value_of(t), shapes[0]) for t in node.inputs if is_constant(t) and not t.is_empty())


def _fits(values: Array, shape: tuple[int | str, ...]) -> bool:
    """Whether constants broadcast to ``shape`` without widening it, and are the same for every sample."""
    if values.size > MAX_PARAMETERS or values.ndim > len(shape):
        return False
    aligned = shape[len(shape) - values.ndim :]
    if values.ndim == len(shape) and values.shape[0] != 1:
        return False
    return all(size in (1, dim) for size, dim in zip(values.shape, aligned, strict=True))


def leaves_float32(node: gs.Node) -> bool:
    """Whether it is the Cast to an output of another floating-point type, which may round."""
    return any(is_float(t) and t.dtype is not None and np.dtype(t.dtype) != np.float32 for t in node.outputs)
