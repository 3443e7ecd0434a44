"""How a scale passes an operator: the rules that absorb thresholds into synapses (METHOD 5).

A scale is an array of one sample's rank (size 1 where nothing changes) with a leading batch axis of 1. Going *down*,
``op(S·x)`` is written ``S'·op'(x)``; going *up*, ``S·op(x)`` is written ``op'(S'·x)``; a weighted operator takes the
scale into its weights, and nothing is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.graph.core import Array, constant_input
from onnx2snn.operators.table import of

Scale: TypeAlias = NDArray[np.float64]


def as_scale(constant: Array, rank: int) -> Scale:
    """A constant operand as a scale for tensors of ``rank``."""
    values = np.asarray(constant, np.float64)
    return values.reshape((1,) * (rank - values.ndim) + values.shape)


def along(scale: Scale, axis: int) -> NDArray[np.float64] | None:
    """The scale as a vector along ``axis`` (or one value), None where it changes along another."""
    if scale.size == scale.shape[axis]:
        return scale.reshape(-1)
    return None


def is_of_each(scale: Scale, operand: Sequence[object] | None, result: Sequence[object] | None) -> bool:
    """Whether a ``scale`` of what a sum makes is one of this ``operand`` too: it changes along no axis that a sum repeats.

    Args:
        scale: Of the result.
        operand: Sizes of a term, numbers or names.
        result: Of the sum.
    """
    if operand is None or result is None or not len(operand) == len(result) == scale.ndim:
        return operand is not None and result is not None and list(operand) == list(result)
    return all(s == 1 or own == size for s, own, size in zip(scale.shape, operand, result, strict=True))


def is_power_of_two(values: Array) -> bool:
    """Whether multiplying and dividing by all of them is exact; signs do not matter."""
    return bool(np.all(np.abs(np.frexp(values)[0]) == 0.5))


def is_trivial(scale: Scale) -> bool:
    """Whether it changes nothing."""
    return bool(np.all(scale == 1))


def down(node: gs.Node, scale: Scale) -> Scale | None:
    """The scale behind ``node`` that equals ``scale`` in front of it; None where it cannot pass."""
    return _passed(node, scale, node.inputs[0], node.outputs[0])


def up(node: gs.Node, scale: Scale) -> Scale | None:
    """The scale in front of ``node`` that equals ``scale`` behind it; None where it cannot pass."""
    return None if len(node.outputs) > 1 else _passed(node, scale, node.outputs[0], node.inputs[0])


def _passed(node: gs.Node, scale: Scale, here: gs.Tensor, there: gs.Tensor) -> Scale | None:
    """``scale`` of the tensor ``here``, taken past ``node`` to the tensor ``there``.

    1. A linear operator without constant terms: as its entries go.
    2. What is positive: past a maximum within channels.
    """
    operator = of(node)
    if operator.places is None or here.shape is None or there.shape is None:
        return None
    passes = np.all(scale > 0) if operator.compares else operator.linear is not None and not has_terms(node)
    return operator.places(node, scale, here, there) if passes else None


def has_terms(node: gs.Node) -> bool:
    """Whether something constant, and not zero, is added to what a linear ``node`` makes of its signals."""
    terms, fill = of(node).terms, of(node).fill
    if fill is not None and node.attrs.get(fill):
        return True
    positions = [] if terms is None else [i for i in terms(node) if i < len(node.inputs)]
    held = [constant_input(node, i) for i in positions if not node.inputs[i].is_empty()]
    return any(values is None or np.any(values) for values in held)
