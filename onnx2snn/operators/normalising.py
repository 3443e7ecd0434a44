"""Operators that normalise: by constants, or by what they read."""

from __future__ import annotations

from onnx2snn.operators import (
    conditions,
    counting,
    error_rules,
    identities,
    parts,
    quotients,
    roundings,
    running_error,
    transfer,
)
from onnx2snn.operators.table import Operator

OPERATORS = (
    Operator(
        name="BatchNormalization",
        normalises=identities.batch_norm,
        trained=identities.by_the_batch,
        transfer=transfer.normalised,
        linear=conditions.batch_norm,
        line=True,
        terms=lambda _: (2, 3),
        parts=parts.normalised,
        counts=counting.batch_norm,
        errors=error_rules.passed(error_rules.batch_norm),
        roundings=running_error.FUNCTION,
    ),
    Operator(
        name="InstanceNormalization",
        channels_second=True,
        divides=conditions.normalised_places,
        quotient=quotients.instance_norm,
    ),
    Operator(name="LayerNormalization", divides=conditions.normalised_behind, quotient=quotients.layer_norm),
    Operator(name="RMSNormalization", divides=conditions.normalised_behind, quotient=quotients.rms_norm),
    Operator(name="GroupNormalization", divides=conditions.normalised_groups, quotient=quotients.group_norm),
    Operator(
        name="MeanVarianceNormalization", divides=conditions.normalised_axes, quotient=quotients.mean_variance
    ),
    Operator(name="LpNormalization", divides=conditions.normalised_behind, quotient=quotients.lp_norm),
    Operator(
        name="LRN",
        channels_second=True,
        divides=conditions.normalised_channels,
        quotient=quotients.local_response,
    ),
    Operator(
        name="Softmax",
        divides=conditions.normalised_behind,
        quotient=quotients.softmax,
        errors=error_rules.softmax,
        roundings=roundings.normalised,
    ),
    Operator(
        name="LogSoftmax",
        errors=error_rules.passed(error_rules.log_softmax),
        roundings=roundings.normalised,
    ),
)
