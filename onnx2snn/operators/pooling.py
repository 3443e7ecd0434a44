"""Operators that make one entry of several: sums, means, maxima."""

from __future__ import annotations

from dataclasses import replace

import onnx_graphsurgeon as gs

from onnx2snn.operators import (
    batch,
    conditions,
    counting,
    error_rules,
    identities,
    jump_errors,
    multiples,
    parts,
    places,
    roundings,
    transfer,
    window_parts,
)
from onnx2snn.operators.spelled import counted, einsum, plain
from onnx2snn.operators.table import Operator


def _spatial(node: gs.Node) -> list[int]:
    return list(range(2, conditions.rank_of(node.inputs[0])))


def _reduced(node: gs.Node) -> list[int] | None:
    """The given axes; all where none are given, None where they are not known."""
    axes = conditions.axes_of(node)
    if axes is not None or len(node.inputs) > 1:
        return axes
    return list(range(conditions.rank_of(node.inputs[0])))


_SAME = error_rules.passed(error_rules.same)
_POOL = Operator(name="", channels_second=True, places=places.by_channel, errors=_SAME)
_MEAN = replace(_POOL, linear=conditions.first, mean=True, transfer=transfer.pooled)
_LARGEST = replace(
    _POOL, compares=_spatial, roundings=0, quantum=multiples.first_by_channel, transfer=transfer.compared
)
_REDUCTION = Operator(
    name="",
    one=True,
    passes=identities.over_no_axes,
    axes=1,
    parts=parts.reduced,
    batch=batch.reduced,
    values=(0,),
)
_LINEAR_REDUCTION = replace(
    _REDUCTION,
    linear=conditions.axes_kept,
    places=places.by_channel,
    counts=counting.reduce,
    errors=_SAME,
    mean=True,
)

OPERATORS = (
    replace(
        _MEAN,
        name="AveragePool",
        windows=True,
        parts=window_parts.pooled,
        silent=True,
        counts=counting.average_pool,
        roundings=roundings.one_more(roundings.kernel),
        quantum=multiples.mean(roundings.kernel),
    ),
    replace(
        _MEAN,
        name="GlobalAveragePool",
        parts=parts.by_channel,
        counts=counting.global_average_pool,
        roundings=roundings.one_more(roundings.cells),
        quantum=multiples.mean(roundings.cells),
    ),
    replace(_LARGEST, name="MaxPool", windows=True, codes=(0,), parts=window_parts.pooled),
    replace(_LARGEST, name="GlobalMaxPool", parts=parts.by_channel, spelled=plain.over_axes),
    replace(
        _LINEAR_REDUCTION,
        name="ReduceMean",
        transfer=transfer.pooled,
        roundings=roundings.one_more(roundings.cells),
        quantum=multiples.mean(roundings.cells),
    ),
    replace(
        _LINEAR_REDUCTION,
        name="ReduceSum",
        spelled=counted.as_steps,
        total=True,
        roundings=roundings.cells,
        quantum=multiples.first,
    ),
    replace(
        _REDUCTION,
        name="ReduceMax",
        transfer=transfer.compared,
        compares=_reduced,
        places=places.by_channel,
        errors=_SAME,
        roundings=0,
        quantum=multiples.first,
    ),
    replace(
        _REDUCTION,
        name="ReduceMin",
        spelled=plain.as_largest,
        errors=error_rules.passed(error_rules.of_least),
        roundings=0,
        quantum=multiples.first,
    ),
    *_REDUCTION.called("ReduceProd"),
    *_REDUCTION.called("ReduceLogSum", one=False, passes=None),
    *_REDUCTION.called("ReduceLogSumExp", one=False, passes=None, stable=True),
    *_REDUCTION.called(
        "ReduceL1", one=False, passes=None, errors=_SAME, roundings=roundings.cells, quantum=multiples.first
    ),
    *_REDUCTION.called("ReduceL2", one=False, passes=None, errors=_SAME, roundings=roundings.squared),
    *_REDUCTION.called("ReduceSumSquare", one=False, passes=None, errors=_SAME, roundings=roundings.squared),
    Operator(name="LpPool", windows=True),
    *Operator(name="", jumps=True, whole=True, batch=batch.ranked).called(
        "ArgMax", "ArgMin", errors=jump_errors.ranked
    ),
    Operator(name="NonZero", jumps=True, whole=True, selects=True),
    *Operator(name="", selects=True).called("NonMaxSuppression", "Unique"),
    Operator(name="Compress", selects=True, spelled=plain.picked),
    Operator(
        name="TopK",
        jumps=True,
        values=(0,),
        errors=jump_errors.ranked,
        roundings=0,
        quantum=multiples.first,
    ),
    Operator(
        name="CumSum",
        values=(0,),
        errors=_SAME,
        roundings=roundings.added_up,
        quantum=multiples.first,
    ),
    Operator(
        name="Einsum",
        spelled=einsum.as_product,
        multiplies=True,
        errors=error_rules.product,
        roundings=roundings.contracted,
        quantum=multiples.product,
    ),
)
