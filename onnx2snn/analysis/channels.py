"""Along which axis the channels of a tensor lie."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.core import producer_of, signals
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_weighted


def channel_axis(tensor: gs.Tensor) -> int:
    """Axis 1, or the last where a matrix product over sequences makes the features."""
    rank = len(tensor.shape)
    maker = producer_of(tensor)
    while maker is not None and not is_weighted(maker) and _keeps_channels(maker):
        read = signals(maker)
        maker = producer_of(read[0]) if read else None
    weights = None if maker is None else of(maker).weights
    return rank - 1 if weights is not None and weights.channels == -1 else min(1, rank - 1)


def _keeps_channels(node: gs.Node) -> bool:
    """Whether channels stay where they are: entry by entry, or pooled."""
    operator = of(node)
    pools = operator.channels_second and operator.places is not None
    return operator.line or operator.sums or pools or (operator.plain and operator.elementwise)
