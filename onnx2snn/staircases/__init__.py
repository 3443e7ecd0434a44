"""The staircase algebra: recognising quantised clipped activations in whatever operators they are written."""

from onnx2snn.staircases.curve import ChannelsDifferError, NotPiecewiseLinearError
from onnx2snn.staircases.rules import Rounding
from onnx2snn.staircases.staircase import (
    NeuronParameters,
    Staircase,
    neuron_parameters,
    rate_parameters,
)

__all__ = [
    "ChannelsDifferError",
    "NeuronParameters",
    "NotPiecewiseLinearError",
    "Rounding",
    "Staircase",
    "neuron_parameters",
    "rate_parameters",
]
