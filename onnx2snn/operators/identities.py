"""What does nothing at inference, and what would do more in training mode: the rules of the records."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array, constant_input, is_constant, is_float


def always(node: gs.Node) -> gs.Tensor | None:
    """An Identity."""
    return node.inputs[0]


def kept(node: gs.Node) -> gs.Tensor | None:
    """A Dropout that is not told to train."""
    training = node.inputs[2] if len(node.inputs) > 2 else None
    off = training is None or training.is_empty() or (is_constant(training) and not np.any(training.values))
    return node.inputs[0] if off else None


def same_type(node: gs.Node) -> gs.Tensor | None:
    """A cast between floats of the same width."""
    read, written = node.inputs[0], node.outputs[0]
    alike = is_float(read) and is_float(written) and np.dtype(read.dtype) == np.dtype(written.dtype)
    return read if alike else None


def same_shape(node: gs.Node) -> gs.Tensor | None:
    """An Expand to the shape that its input has."""
    return node.inputs[0] if _alike(node.inputs[0], node.outputs[0]) else None


def over_no_axes(node: gs.Node) -> gs.Tensor | None:
    """A reduction over no axes, of which a single entry is left as it is."""
    axes = [t for t in node.inputs[1:] if not t.is_empty()]
    none = not axes or (is_constant(axes[0]) and axes[0].values.size == 0)
    idle = bool(node.attrs.get("noop_with_empty_axes", 0)) and none and "axes" not in node.attrs
    return node.inputs[0] if idle else None


def without_padding(node: gs.Node) -> gs.Tensor | None:
    """A Pad that puts nothing anywhere."""
    pads = constant_input(node, 1)
    return node.inputs[0] if pads is not None and not np.any(pads) else None


def chosen(node: gs.Node) -> gs.Tensor | None:
    """A Where by a condition that is constant, and the same everywhere, if what it chooses has the shape of the result."""
    condition = constant_input(node, 0)
    if condition is None or not condition.size or np.any(condition != condition.flat[0]):
        return None
    choice = node.inputs[1 if condition.flat[0] else 2]
    return choice if _alike(choice, node.outputs[0]) else None


def _alike(first: gs.Tensor, second: gs.Tensor) -> bool:
    return first.shape is not None and second.shape is not None and list(first.shape) == list(second.shape)


def widened(node: gs.Node) -> Array | None:
    """An Expand of a constant."""
    return constant_input(node, 0)


def filled(node: gs.Node) -> Array | None:
    """A ConstantOfShape of known rank: its number, in that rank."""
    if node.outputs[0].shape is None:
        return None
    value = node.attrs.get("value")
    number: Array = np.zeros(1, np.float32) if value is None else value.values
    return number.reshape((1,) * len(node.outputs[0].shape))


def batch_norm(node: gs.Node) -> tuple[Array, ...] | None:
    """γ, β, μ and σ² of a batch norm as at inference; None of one that is not, or where they are not constant."""
    constants = [constant_input(node, i) for i in range(1, 5)]
    known = tuple(c for c in constants if c is not None)
    return known if len(known) == 4 and not node.attrs.get("training_mode", 0) else None


def by_the_batch(node: gs.Node) -> str:
    """A batch norm by the batch's own mean and variance; before opset 14 it shows by its further outputs, statistics."""
    statistics = [tensor for tensor in node.outputs[1:] if not tensor.is_empty()]
    trains = node.attrs.get("training_mode", 0) or statistics
    return "it normalises by the mean and variance of the batch" if trains else ""


def dropping(node: gs.Node) -> str:
    """A Dropout that drops: told by a constant, and at a rate above 0 (it is 0.5 where left out)."""
    training, ratio = constant_input(node, 2), constant_input(node, 1)
    drops = training is not None and training.any() and (ratio is None or (ratio > 0).any())
    return "it drops values at random" if drops else ""
