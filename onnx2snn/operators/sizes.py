"""Operators of sizes, constants and chance."""

from __future__ import annotations

from dataclasses import replace

from onnx2snn.operators import batch, magnitudes
from onnx2snn.operators.table import Operator

_SIZES = Operator(
    name="",
    sizes=True,
    whole=True,
    any_type=True,
    batch=batch.nowhere,
    magnitude=magnitudes.same,
    roundings=0,
)
_CONSTANT = Operator(name="", magnitude=magnitudes.same, roundings=0)

OPERATORS = (
    *_SIZES.called("Shape", "Size"),
    *_CONSTANT.called("Constant"),
    replace(_CONSTANT, name="ConstantOfShape", grows=True),
    Operator(name="Range", grows=True),
    *Operator(name="", undecided=True).called(
        "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"
    ),
)
