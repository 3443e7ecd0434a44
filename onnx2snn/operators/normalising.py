"""Operators that normalise: by constants, or by what they read."""

from __future__ import annotations

from onnx2snn.operators import conditions, counting, magnitudes, running_error
from onnx2snn.operators.table import Operator

OPERATORS = (
    Operator(
        name="BatchNormalization",
        linear=conditions.batch_norm,
        line=True,
        terms=lambda _: (2, 3),
        counts=counting.batch_norm,
        magnitude=magnitudes.batch_norm,
        roundings=running_error.FUNCTION,
    ),
    Operator(name="InstanceNormalization", channels_second=True),
    Operator(name="Softmax", magnitude=magnitudes.softmax(1.0), roundings=running_error.normalised),
    Operator(name="LogSoftmax", magnitude=magnitudes.softmax(32.0), roundings=running_error.normalised),
)
