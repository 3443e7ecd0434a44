"""What an expression is as it stands: a staircase, a sum of some, or neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onnx2snn.activations.expression import Value
from onnx2snn.activations.neuron import ARRAYS, Staircase
from onnx2snn.activations.piecewise_linear import ChannelsDifferError
from onnx2snn.activations.rationals import NotPiecewiseLinearError
from onnx2snn.activations.reduction import reduce_to_staircase


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


def per_sample(staircase: Staircase, rank: int) -> Staircase:
    """Parameters without the batch axis."""

    def strip(values: Any) -> Any:
        return values.reshape(values.shape[1:]) if values.ndim == rank else values

    return replace(staircase, **{name: strip(getattr(staircase, name)) for name in ARRAYS})
