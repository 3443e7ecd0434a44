"""What an expression is as it stands: a staircase, a sum of some, or neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import onnx_graphsurgeon as gs

from onnx2snn.activations.expression import Value
from onnx2snn.activations.findings import Uneven
from onnx2snn.activations.neuron import ARRAYS, Staircase
from onnx2snn.activations.piecewise_linear import ChannelsDifferError, NotPiecewiseLinearError
from onnx2snn.activations.reduction import reduce_to_staircase
from onnx2snn.activations.steps import steps_of
from onnx2snn.graph.core import is_float


def is_staircase(value: Value) -> bool:
    """Whether ``value`` is one as it stands."""
    try:
        reduce_to_staircase(value)
    except (NotPiecewiseLinearError, ChannelsDifferError):
        return False
    return True


def channels_differ(value: Value) -> bool:
    """Whether it would be a staircase, if all channels had the same cases."""
    try:
        reduce_to_staircase(value)
    except NotPiecewiseLinearError:
        return False
    except ChannelsDifferError:
        return True
    return False


def uneven(tensor: gs.Tensor, value: Value) -> list[Uneven]:
    """``value`` as a sum of staircases, if it is one."""
    if not value.is_discrete or value.root is None or not is_float(tensor):
        return []
    try:
        return [Uneven(steps_of(value), value.root, tensor, value.nodes)]
    except (NotPiecewiseLinearError, ChannelsDifferError):
        return []


def per_sample(staircase: Staircase, rank: int) -> Staircase:
    """Parameters without the batch axis."""

    def strip(values: Any) -> Any:
        return values.reshape(values.shape[1:]) if values.ndim == rank else values

    return replace(staircase, **{name: strip(getattr(staircase, name)) for name in ARRAYS})
