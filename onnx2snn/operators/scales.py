"""How a scale passes an operator: the rules that absorb thresholds into synapses (METHOD 5).

A scale is an array of one sample's rank (size 1 where nothing changes) with a leading batch axis of 1. Going *down*,
``op(S·x)`` is written ``S'·op'(x)``; going *up*, ``S·op(x)`` is written ``op'(S'·x)``; a weighted operator takes the
scale into its weights, and nothing is left.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.graph.core import Array, Names, constant_input
from onnx2snn.graph.neuron_nodes import make_constant, scale_weights

Scale: TypeAlias = NDArray[np.float64]

#: Channels keep their places and are treated alike.
CHANNELWISE = (
    "AveragePool",
    "GlobalAveragePool",
    "Resize",
    "Pad",
    "Neg",
    "Identity",
    "Expand",
    "Slice",
    "ReduceMean",
    "ReduceSum",
)
#: They change places of values in other ways.
PERMUTING = ("Transpose", "DepthToSpace", "SpaceToDepth", "Split", "Gather")
MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
#: The largest of some values; a positive factor of all of them is its own.
LARGEST = ("MaxPool", "GlobalMaxPool")


def as_scale(constant: Array, rank: int) -> Scale:
    """A constant operand as a scale for tensors of ``rank``."""
    values = np.asarray(constant, np.float64)
    return values.reshape((1,) * (rank - values.ndim) + values.shape)


def compact(scale: Scale) -> Scale:
    """Size 1 along every axis along which nothing changes."""
    for axis in range(scale.ndim):
        first = np.take(scale, [0], axis=axis)
        if scale.shape[axis] > 1 and np.array_equal(np.broadcast_to(first, scale.shape), scale):
            scale = first
    return scale


def along(scale: Scale, axis: int) -> NDArray[np.float64] | None:
    """The scale as a vector along ``axis`` (or one value), None where it changes along another."""
    if scale.size == scale.shape[axis]:
        return scale.reshape(-1)
    return None


def is_power_of_two(values: Array) -> bool:
    """Whether multiplying and dividing by all of them is exact; signs do not matter."""
    return bool(np.all(np.abs(np.frexp(values)[0]) == 0.5))


def is_trivial(scale: Scale) -> bool:
    """Whether it changes nothing."""
    return bool(np.all(scale == 1))


def take_in(names: Names, node: gs.Node, scale: Scale) -> bool:
    """Multiply the weights of ``node`` by the scale of its input; False if it has no place for it."""
    weights = constant_input(node, 1)
    if weights is None or node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return False
    axis = scale.ndim - 1 if node.op == "MatMul" else 1
    vector = along(scale, axis)
    if vector is None:
        return False
    if node.op == "Conv":
        column = _grouped(vector, int(node.attrs.get("group", 1)), weights)
    elif node.op == "ConvTranspose":
        column = vector.reshape((-1,) + (1,) * (weights.ndim - 1))
    elif node.op == "Gemm":
        column = vector[None, :] if node.attrs.get("transB", 0) else vector[:, None]
    else:
        column = vector[:, None] if weights.ndim > 1 else vector
    scale_weights(names, node, column)
    return True


def _grouped(vector: NDArray[np.float64], groups: int, weights: Array) -> NDArray[np.float64]:
    """(O, C/g, 1, ...) factors for the input channels that each output channel sees."""
    if vector.size == 1:
        return vector.reshape((1,) * weights.ndim)
    per_group = vector.reshape(groups, -1)
    rows = np.repeat(per_group, weights.shape[0] // groups, axis=0)
    return rows.reshape(rows.shape + (1,) * (weights.ndim - 2))


def give_out(names: Names, node: gs.Node, scale: Scale) -> bool:
    """Multiply the weights (and bias) of ``node`` by the scale of its output; False if it has no place for it."""
    column = output_factors(node, scale)
    weights, bias = constant_input(node, 1), constant_input(node, 2)
    if column is None or weights is None:
        return False
    scale_weights(names, node, column)
    if bias is not None:
        node.inputs[2] = make_constant(
            names, f"{node.name}/bias", (bias * column.reshape(-1)).astype(np.float32)
        )
    return True


def output_factors(node: gs.Node, scale: Scale) -> NDArray[np.float64] | None:
    """Factors that broadcast against the weights of ``node`` and scale its output; None where there are none."""
    weights, bias = constant_input(node, 1), constant_input(node, 2)
    has_bias = len(node.inputs) > 2 and not node.inputs[2].is_empty()
    if weights is None or weights.ndim < 2 or (has_bias and bias is None):
        return None
    vector = along(scale, scale.ndim - 1 if node.op == "MatMul" else 1)
    if vector is None or (bias is not None and node.op == "Gemm" and bias.ndim > 1):
        return None
    if node.op == "Conv":
        return vector.reshape((-1,) + (1,) * (weights.ndim - 1))
    if node.op == "ConvTranspose":
        grouped = vector.size > 1 and int(node.attrs.get("group", 1)) > 1
        return None if grouped else vector.reshape((1, -1) + (1,) * (weights.ndim - 2))
    if node.op == "Gemm":
        return vector[:, None] if node.attrs.get("transB", 0) else vector[None, :]
    return vector if node.op == "MatMul" else None


def down(node: gs.Node, scale: Scale) -> Scale | None:
    """The scale behind ``node`` that equals ``scale`` in front of it; None where it cannot pass."""
    return _passed(node, scale, node.inputs[0], node.outputs[0])


def up(node: gs.Node, scale: Scale) -> Scale | None:
    """The scale in front of ``node`` that equals ``scale`` behind it; None where it cannot pass."""
    return None if node.op == "Split" else _passed(node, scale, node.outputs[0], node.inputs[0])


def _passed(node: gs.Node, scale: Scale, here: gs.Tensor, there: gs.Tensor) -> Scale | None:
    """``scale`` of the tensor ``here``, taken past ``node`` to the tensor ``there``.

    1. One value: past every operator that is linear in one input.
    2. A Transpose turns it, or turns it back.
    3. One value a channel: past operators that keep channels apart.
    4. A Reshape and its like: spread out, and gathered again.
    5. What is positive: past a maximum within channels.
    """
    if node.op in ("Neg", "Identity"):
        return scale
    if node.op in LARGEST:
        positive = bool(np.all(scale > 0)) and (scale.size == 1 or _keeps_channels(node, scale))
        return scale if positive else None
    if not _pads_zero(node):
        return None
    if scale.size == 1 and node.op in (*CHANNELWISE, *MOVES, *PERMUTING):
        return scale.reshape((1,) * len(there.shape))
    if node.op == "Transpose":
        order = node.attrs["perm"]
        return np.transpose(scale, order if there is node.outputs[0] else np.argsort(order))
    if node.op in CHANNELWISE and _keeps_channels(node, scale):
        return scale.reshape(scale.shape[:2] + (1,) * (len(there.shape) - 2))
    if node.op in MOVES:
        return _moved(scale, here.shape, there.shape)
    return None


def _pads_zero(node: gs.Node) -> bool:
    """Whether ``node``, if it pads, pads with zeros or with copies: only then it is linear."""
    if node.op != "Pad" or len(node.inputs) < 3 or node.inputs[2].is_empty():
        return True
    value = constant_input(node, 2)
    return value is not None and not np.any(value)


def _keeps_channels(node: gs.Node, scale: Scale) -> bool:
    """Whether axis 1 comes out as it went in, and the scale changes along no other axis."""
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if (
        scale.ndim < 2
        or scale.size != scale.shape[1]
        or len(before) < 2
        or len(after) < 2
        or before[1] != after[1]
    ):
        return False
    if node.op in ("ReduceMean", "ReduceSum"):
        axes = constant_input(node, 1)
        return axes is not None and all(int(a) % len(before) > 1 for a in axes)
    if node.op == "Slice":
        axes = constant_input(node, 3)
        return axes is not None and all(int(a) % len(before) > 1 for a in axes)
    return True


def _moved(scale: Scale, before: list[int | str], after: list[int | str]) -> Scale | None:
    sizes = [*before[1:], *after[1:]]
    if not all(isinstance(s, (int, np.integer)) for s in sizes):
        return None
    here, there = ([1, *(int(s) for s in sizes[1:])] for sizes in (before, after))
    if math.prod(here) != math.prod(there):
        return None  # a sample's rows lie in the batch on one side
    return compact(np.broadcast_to(scale, here).reshape(there))
