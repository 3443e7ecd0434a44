"""The staircase algebra: recognising quantised clipped activations in whatever operators they are written."""

from onnx2snn.activations.neuron import (
    NeuronParameters,
    Staircase,
    neuron_parameters,
    rate_parameters,
)
from onnx2snn.activations.piecewise_linear import ChannelsDifferError
from onnx2snn.activations.rationals import NotPiecewiseLinearError
from onnx2snn.activations.rules import Rounding
from onnx2snn.activations.tables import Table, TableParameters, table_parameters

__all__ = [
    "ChannelsDifferError",
    "NeuronParameters",
    "NotPiecewiseLinearError",
    "Rounding",
    "Staircase",
    "Table",
    "TableParameters",
    "neuron_parameters",
    "rate_parameters",
    "table_parameters",
]
