"""Steps of a tensor, a power of two for each channel, on their way through operators and beside constants."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.analysis.scale_propagation import factor_of, is_short, parts_of_join
from onnx2snn.graph.core import Array, signals, value_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_hold, is_integrate, is_weighted
from onnx2snn.operators.scales import up
from onnx2snn.operators.signals import least, quanta

Wide = NDArray[np.float64]


def through(node: gs.Node, steps: Wide, tensor: gs.Tensor) -> Wide:
    """Steps of a result as steps of ``tensor``, which ``node`` reads; one for all where channels are not told."""
    shape = tensor.shape
    factor = factor_of(node)
    if factor is not None and is_short(factor):
        own = quanta(factor)  # of a factor by place, the finest of all places
        return steps / (own if own.shape == steps.shape else least(own))
    if factor is not None and np.broadcast_shapes(factor.shape, steps.shape) == steps.shape:
        return steps / np.abs(factor)
    if of(node).joins and steps.size > 1 and shape is not None and steps.ndim == len(shape):
        parts = [part for operand, part in parts_of_join(node, steps) or () if operand is tensor]
        if parts:
            return np.asarray(np.maximum.reduce(np.broadcast_arrays(*parts)))
    whole = float(steps.max()) if factor is None else float(steps.max() / np.abs(factor).max())
    if of(node).bilinear and len(signals(node)) > 1:
        whole = float(steps.min())  # the other operand is held in whole levels
    elif is_weighted(node):
        weights = np.abs(value_of(node.inputs[1]))
        whole = float(steps.min() / weights[weights > 0].min(initial=1.0))
    elif factor is None and shape is not None and steps.size > 1:
        if len(signals(node)) > 1 or of(node).elementwise or is_integrate(node) or is_hold(node):
            if steps.ndim == len(shape) and all(s in (1, d) for s, d in zip(steps.shape, shape, strict=True)):
                return steps
        elif (above := up(node, steps)) is not None:
            return above
    return np.full((1,) * (1 if shape is None else len(shape)), whole)


def steps_for(values: Array, steps: Wide) -> Wide:
    """``steps`` of a tensor (1, C, 1, ...) as they broadcast against a constant that is added to it."""
    if steps.size == 1:
        return steps.reshape(())
    own = steps.reshape(steps.shape[1:])
    if values.size == 1:
        return np.asarray(own)
    missing = max(own.ndim - values.ndim, 0)
    if own.shape[:missing] != (1,) * missing:
        return np.asarray(own.max())
    return own.reshape(own.shape[missing:])


def rounded(values: Array, unit: Wide) -> Wide:
    """The nearest multiples."""
    return np.asarray(np.rint(values.astype(np.float64) / unit) * unit)


def power_of_two(values: Array) -> Wide:
    """The least power of two that is not smaller."""
    return np.asarray(2.0 ** np.ceil(np.log2(np.maximum(values, 2.0**-60))))
