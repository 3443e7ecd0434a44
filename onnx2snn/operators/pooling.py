"""Operators that make one entry of several: sums, means, maxima."""

from __future__ import annotations

from dataclasses import replace

import onnx_graphsurgeon as gs

from onnx2snn.operators import batch, conditions, counting, magnitudes, places, running_error
from onnx2snn.operators.table import Operator


def _spatial(node: gs.Node) -> list[int]:
    return list(range(2, conditions.rank_of(node.inputs[0])))


def _reduced(node: gs.Node) -> list[int] | None:
    """The given axes; all where none are given, None where they are not known."""
    axes = conditions.axes_of(node)
    if axes is not None or len(node.inputs) > 1:
        return axes
    return list(range(conditions.rank_of(node.inputs[0])))


_POOL = Operator(name="", channels_second=True, places=places.by_channel, magnitude=magnitudes.same)
_MEAN = replace(_POOL, linear=conditions.first, mean=True)
_LARGEST = replace(_POOL, compares=_spatial, roundings=0, quantum=running_error.first)
_REDUCTION = Operator(name="", one=True, axes=1, batch=batch.reduced)
_LINEAR_REDUCTION = replace(
    _REDUCTION, linear=conditions.axes_kept, places=places.by_channel, counts=counting.reduce, magnitude=magnitudes.same,
    mean=True,
)  # fmt: skip

OPERATORS = (
    replace(
        _MEAN, name="AveragePool", windows=True, silent=True, counts=counting.average_pool,
        roundings=running_error.one_more(running_error.kernel), quantum=running_error.mean(running_error.kernel),
    ),
    replace(
        _MEAN, name="GlobalAveragePool", counts=counting.global_average_pool,
        roundings=running_error.one_more(running_error.cells), quantum=running_error.mean(running_error.cells),
    ),
    replace(_LARGEST, name="MaxPool", windows=True, codes=(0,)),
    replace(_LARGEST, name="GlobalMaxPool"),
    replace(
        _LINEAR_REDUCTION, name="ReduceMean",
        roundings=running_error.one_more(running_error.cells), quantum=running_error.mean(running_error.cells),
    ),
    replace(_LINEAR_REDUCTION, name="ReduceSum", roundings=running_error.cells, quantum=running_error.first),
    replace(
        _REDUCTION, name="ReduceMax", compares=_reduced, places=places.by_channel, magnitude=magnitudes.same, roundings=0,
        quantum=running_error.first,
    ),
    replace(
        _REDUCTION, name="ReduceMin", magnitude=magnitudes.instead("ReduceMax"), roundings=0, quantum=running_error.first
    ),
    *_REDUCTION.called("ReduceProd"),
    *_REDUCTION.called(
        "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", one=False
    ),
    Operator(name="LpPool", windows=True),
    *Operator(name="", jumps=True, whole=True).called("ArgMax", "ArgMin", "NonZero"),
    Operator(name="TopK", jumps=True),
)  # fmt: skip
