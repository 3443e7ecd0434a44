"""Operators that work entry by entry."""

from __future__ import annotations

from dataclasses import replace

from onnx2snn.operators import conditions, counting, magnitudes, places, running_error
from onnx2snn.operators.moves import every_input
from onnx2snn.operators.table import Operator

_EACH = Operator(name="", elementwise=True)
_OPERANDS = replace(_EACH, broadcasts=True)
_SUM = replace(
    _OPERANDS,
    linear=conditions.any_mixture,
    terms=every_input,
    counts=counting.summed,
    magnitude=magnitudes.same,
)
_LINE = replace(_OPERANDS, line=True, roundings=1)
_EXACT = replace(_EACH, roundings=0, quantum=running_error.first)
_EXTREME = replace(_OPERANDS, extreme=True, codes=(), roundings=0, quantum=running_error.smallest)
_RULED = replace(_EACH, magnitude=magnitudes.function(1.0))
_JUMP = replace(_EACH, jumps=True, quantum=running_error.whole)
_COMPARISON = replace(_OPERANDS, jumps=True, whole=True)

_LINEAR = (
    replace(
        _SUM, name="Add", sums=True, line=True, roundings=1, quantum=running_error.smallest, neutral=0.0, sums_codes=True
    ),
    replace(
        _SUM, name="Sub", sums=True, line=True, roundings=1, quantum=running_error.smallest, neutral=0.0, sums_codes=True,
        magnitude=magnitudes.instead("Add"),
    ),
    replace(_SUM, name="Sum", sums=True, roundings=running_error.operands, quantum=running_error.smallest, neutral=0.0),
    replace(
        _SUM, name="Mean", roundings=running_error.one_more(running_error.operands),
        quantum=running_error.mean(running_error.operands),
    ),
    replace(
        _LINE, name="Mul", bilinear=True, linear=conditions.product, counts=counting.masked, silent=True, neutral=1.0,
        sums_codes=True, magnitude=magnitudes.same, quantum=running_error.product,
    ),
    replace(
        _LINE, name="Div", linear=conditions.quotient, counts=counting.spread, silent=True, neutral=1.0,
        magnitude=magnitudes.by_constant, quantum=running_error.quotient,
    ),
    replace(
        _EXACT, name="Neg", linear=conditions.first, line=True, silent=True, places=places.same, counts=counting.same,
        magnitude=magnitudes.instead("Identity"),
    ),
)  # fmt: skip

_PIECEWISE = (
    *_EXACT.called("Abs", magnitude=magnitudes.instead("Identity")),
    *_EXACT.called("Relu", magnitude=magnitudes.instead("Identity"), codes=()),
    *_EXTREME.called("Max", magnitude=magnitudes.same),
    *_EXTREME.called("Min", magnitude=magnitudes.instead("Max")),
    replace(_EACH, name="Clip", codes=(), magnitude=magnitudes.clip, roundings=0, quantum=running_error.smallest),
    *_EACH.called("LeakyRelu", magnitude=magnitudes.leaky(0.01)),
    *_EACH.called("HardSigmoid", magnitude=magnitudes.function(1.0, 1.0)),
    *_OPERANDS.called("PRelu"),
    *_EACH.called("ThresholdedRelu", "Shrink"),
    *_JUMP.called("Round", "Floor", "Ceil", "Sign"),
    *_COMPARISON.called("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
    *_OPERANDS.called("Mod", jumps=True),
    *_OPERANDS.called("And", "Or", "Xor", whole=True),
    *_EACH.called("Not", whole=True),
    replace(_EACH, name="Cast", any_type=True, magnitude=magnitudes.cast, roundings=0, quantum=running_error.first),
)  # fmt: skip

_CURVED = (
    *_RULED.called("Tanh", "Softsign", "Sin", "Atan"),
    *_EACH.called("Sigmoid", magnitude=magnitudes.function(0.25, 0.5)),
    *_EACH.called("Elu", magnitude=magnitudes.leaky(1.0)),
    *_EACH.called("Erf", magnitude=magnitudes.function(1.13)),
    *_EACH.called("Gelu", "Mish", magnitude=magnitudes.function(1.2)),
    *_EACH.called("HardSwish", magnitude=magnitudes.function(1.6)),
    *_EACH.called("Selu", magnitude=magnitudes.function(1.8)),
    *_EACH.called("Softplus", magnitude=magnitudes.function(1.0, 0.7)),
    *_EACH.called("Cos", magnitude=magnitudes.function(1.0, 1.0)),
    *_EACH.called("Exp", "Log", "Sqrt", "Celu", "Reciprocal"),
    *_OPERANDS.called("Pow"),
)

OPERATORS = (*_LINEAR, *_PIECEWISE, *_CURVED)
