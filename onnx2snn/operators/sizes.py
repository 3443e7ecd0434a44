"""Operators of sizes, constants and chance."""

from __future__ import annotations

from onnx2snn.operators import batch, entries, identities, parts
from onnx2snn.operators.table import Operator

_SIZES = Operator(
    name="",
    sizes=True,
    whole=True,
    any_type=True,
    batch=batch.nowhere,
)

OPERATORS = (
    *_SIZES.called("Shape", entries=entries.shape),
    *_SIZES.called("Size"),
    Operator(name="Constant", constant=True),
    Operator(name="ConstantOfShape", grows=True, spreads=identities.filled, parts=parts.filled),
    Operator(name="Range", grows=True),
    *Operator(name="", undecided=True).called(
        "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"
    ),
)
