"""Operators that normalise: by constants, or by what they read."""

from __future__ import annotations

from onnx2snn.operators import conditions, counting, error_rules, running_error
from onnx2snn.operators.table import Operator

OPERATORS = (
    Operator(
        name="BatchNormalization",
        linear=conditions.batch_norm,
        line=True,
        terms=lambda _: (2, 3),
        counts=counting.batch_norm,
        errors=error_rules.passed(error_rules.batch_norm),
        roundings=running_error.FUNCTION,
    ),
    Operator(name="InstanceNormalization", channels_second=True),
    Operator(name="Softmax", errors=error_rules.softmax, roundings=running_error.normalised),
    Operator(
        name="LogSoftmax",
        errors=error_rules.passed(error_rules.log_softmax),
        roundings=running_error.normalised,
    ),
)
