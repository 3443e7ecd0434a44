"""Operators that work entry by entry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2snn.operators import (
    conditions,
    counting,
    entries,
    error_rules,
    identities,
    jump_errors,
    multiples,
    places,
    quotients,
    roundings,
    transfer,
)
from onnx2snn.operators.moves import every_input
from onnx2snn.operators.spelled import plain
from onnx2snn.operators.table import Operator

_EACH = Operator(name="", elementwise=True)
_OPERANDS = replace(_EACH, broadcasts=True)
_SUM = replace(
    _OPERANDS,
    linear=conditions.any_mixture,
    terms=every_input,
    counts=counting.summed,
    errors=error_rules.passed(error_rules.same),
)
_LINE = replace(_OPERANDS, line=True, roundings=1)
_EXACT = replace(_EACH, roundings=0, quantum=multiples.first_by_channel)
_EXTREME = replace(
    _OPERANDS,
    extreme=True,
    codes=(),
    roundings=0,
    quantum=multiples.entrywise,
    errors=error_rules.passed(error_rules.of_largest),
)
_RULED = replace(_EACH, errors=error_rules.line(1.0))
_AT_ENDS = replace(_EACH, errors=error_rules.ends())
_JUMP = replace(_EACH, jumps=True, quantum=multiples.whole, errors=jump_errors.jump)
_LOGIC = replace(_OPERANDS, whole=True, transfer=transfer.mask)
_COMPARISON = replace(_LOGIC, jumps=True, errors=jump_errors.compared)

_LINEAR = (
    replace(
        _SUM,
        name="Add",
        formula="{0} + {1}",
        transfer=transfer.added,
        sums=True,
        line=True,
        roundings=1,
        quantum=multiples.entrywise,
        neutral=0.0,
        sums_codes=True,
    ),
    replace(
        _SUM,
        name="Sub",
        formula="{0} - {1}",
        subtracts=(1,),
        unsigned="Add",
        transfer=transfer.subtracted,
        sums=True,
        line=True,
        roundings=1,
        quantum=multiples.entrywise,
        neutral=0.0,
        sums_codes=True,
        errors=error_rules.passed(error_rules.total),
    ),
    replace(
        _SUM,
        name="Sum",
        spelled=plain.of_two,
        transfer=transfer.added,
        sums=True,
        roundings=roundings.operands,
        quantum=multiples.entrywise,
        neutral=0.0,
    ),
    replace(
        _SUM,
        name="Mean",
        transfer=transfer.averaged,
        roundings=roundings.one_more(roundings.operands),
        quantum=multiples.mean(roundings.operands),
    ),
    replace(
        _LINE,
        name="Mul",
        formula="{0} * {1}",
        multiplies=True,
        transfer=transfer.multiplied,
        bilinear=True,
        linear=conditions.product,
        counts=counting.masked,
        silent=True,
        neutral=1.0,
        sums_codes=True,
        errors=error_rules.product,
        quantum=multiples.factor,
    ),
    replace(
        _LINE,
        name="Div",
        formula="{0} / {1}",
        multiplies=True,
        transfer=transfer.divided,
        linear=conditions.quotient,
        counts=counting.spread,
        silent=True,
        neutral=1.0,
        divides=conditions.quotient_of_signals,
        quotient=quotients.division,
        errors=jump_errors.divided,
        roundings=1,
        quantum=multiples.quotient,
    ),
    replace(
        _EXACT,
        name="Neg",
        formula="-{0}",
        subtracts=(0,),
        unsigned="Identity",
        transfer=transfer.negated,
        linear=conditions.first,
        line=True,
        silent=True,
        places=places.same,
        counts=counting.same,
        errors=error_rules.passed(error_rules.of_first),
    ),
)

_PIECEWISE = (
    *_EXACT.called(
        "Abs", formula="abs({0})", errors=error_rules.passed(error_rules.of_first), transfer=transfer.absolute
    ),
    *_EXACT.called(
        "Relu",
        formula="max({0}, np.float32(0))",
        errors=error_rules.passed(error_rules.of_first),
        codes=(),
        transfer=transfer.rectified,
    ),
    replace(_EXTREME, name="Max", formula="max({0}, {1})", transfer=transfer.largest),
    replace(_EXTREME, name="Min", formula="min({0}, {1})", transfer=transfer.smallest),
    replace(
        _EACH,
        name="Clip",
        formula="min(max({0}, {1}), {2})",
        codes=(),
        errors=error_rules.clipped,
        roundings=0,
        quantum=multiples.entrywise,
        transfer=transfer.clipped,
    ),
    *_EACH.called("LeakyRelu", errors=error_rules.line(None, alpha=0.01)),
    *_EACH.called("HardSigmoid", errors=error_rules.line(1.0, 1.0), transfer=transfer.mask),
    *_OPERANDS.called("PRelu", errors=error_rules.passed(error_rules.leaky_by_channel)),
    *_EACH.called("ThresholdedRelu", "Shrink"),
    replace(_JUMP, name="Round", formula="np.rint({0})", transfer=transfer.rising(np.rint)),
    replace(_JUMP, name="Floor", formula="np.floor({0})", transfer=transfer.rising(np.floor)),
    replace(_JUMP, name="Ceil", formula="np.ceil({0})", transfer=transfer.rising(np.ceil)),
    replace(_JUMP, name="Sign", transfer=transfer.rising(np.sign)),
    *_COMPARISON.called("Equal", entries=entries.equal, formula="{0} == {1}"),
    *_COMPARISON.called("Greater", formula="{0} > {1}"),
    *_COMPARISON.called("GreaterOrEqual", formula="{0} >= {1}"),
    *_COMPARISON.called("Less", formula="{0} < {1}"),
    *_COMPARISON.called("LessOrEqual", formula="{0} <= {1}"),
    *_OPERANDS.called("Mod", jumps=True, errors=jump_errors.remainder),
    *_LOGIC.called("And", formula="{0} and {1}", errors=jump_errors.logic),
    *_LOGIC.called("Or", formula="{0} or {1}", errors=jump_errors.logic),
    *_LOGIC.called("Xor", formula="{0} != {1}", errors=jump_errors.logic),
    *_EACH.called("Not", formula="not {0}", whole=True, transfer=transfer.mask, errors=jump_errors.logic),
    replace(
        _EACH,
        name="Cast",
        formula="{0}",
        typed_by="to",
        passes=identities.same_type,
        transfer=transfer.cast,
        entries=entries.same,
        any_type=True,
        plain=True,
        errors=jump_errors.cast,
        roundings=0,
        quantum=multiples.first,
    ),
)

_CURVED = (
    *_RULED.called("Tanh", "Softsign", "Sin", "Atan"),
    *_EACH.called("Sigmoid", errors=error_rules.line(0.25, 0.5), transfer=transfer.mask),
    *_EACH.called("Elu", "Celu", errors=error_rules.line(None, alpha=1.0)),
    *_EACH.called("Erf", errors=error_rules.line(1.13)),
    *_EACH.called("Gelu", "Mish", errors=error_rules.line(1.2)),
    *_EACH.called("HardSwish", errors=error_rules.line(1.6)),
    *_EACH.called("Selu", errors=error_rules.line(1.8)),
    *_EACH.called("Softplus", errors=error_rules.line(1.0, 0.7)),
    *_EACH.called("Cos", errors=error_rules.line(1.0, 1.0)),
    *_AT_ENDS.called("Exp", "Cosh", "Sinh", "Asinh"),
    *_EACH.called("Log", "Sqrt", errors=error_rules.ends(least=0.0)),
    *_EACH.called("Reciprocal", errors=error_rules.reciprocal),
    *_OPERANDS.called("Pow", multiplies=True, errors=jump_errors.raised),
)

OPERATORS = (*_LINEAR, *_PIECEWISE, *_CURVED)
