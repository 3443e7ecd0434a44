"""Layer normalisations, with what is added in front of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.operators.spelled.microsoft.definition import Definition, Operands, integers

#: ε of operators that do not say it.
_EPSILON = 1e-12


def _skip(o: Operands) -> None:
    """LayerNormalization(x + skip + bias); the sum is its last output."""
    if o.only(0, 1, 2, 3, 4, outputs=(0, 3)):
        _layer_norm(o, o.sum(0, 1, 4, output=3 if o.wanted(3) else None), o.must(2), o.read(3))


def _layer_norm(o: Operands, x: gs.Tensor, gamma: gs.Tensor, beta: gs.Tensor | None) -> None:
    given = [t for t in (gamma, beta) if t is not None]
    o.apply("LayerNormalization", x, *given, output=0, axis=-1, epsilon=o.number("epsilon", _EPSILON))


def _skip_rms(o: Operands) -> None:
    """γ·v / sqrt(mean v² + ε), v = x + skip + bias; the sum is its last output."""
    if o.only(0, 1, 2, 3, outputs=(0, 3)):
        summed = o.sum(0, 1, 3, output=3 if o.wanted(3) else None)
        _rms_norm(o, summed, o.must(2), integers(-1), o.number("epsilon", _EPSILON))


def _rms(o: Operands) -> None:
    """γ·x / sqrt(mean x² + ε), over all axes from ``axis`` on."""
    rank, axis = o.rank(0), int(o.number("axis", -1))
    if not o.only(0, 1) or (rank is None and axis != -1):
        return
    first = axis % rank - rank if rank is not None else axis
    _rms_norm(o, o.must(0), o.must(1), integers(*range(first, 0)), o.number("epsilon", 1e-5))


def _rms_norm(o: Operands, x: gs.Tensor, gamma: gs.Tensor, axes: np.ndarray, epsilon: float) -> None:
    """The operator of ONNX is of operator set 23."""
    power = o.apply("ReduceMean", o.apply("Mul", x, x), axes, keepdims=1)
    deviation = o.apply("Sqrt", o.apply("Add", power, np.float32(epsilon)))
    o.apply("Mul", o.apply("Div", x, deviation), gamma, output=0)


def _embedding(o: Operands) -> None:
    """LayerNormalization(words + positions + segments); the sum is its last output.

    Without ``position_ids``, positions count from zero. Output 1 counts what the mask, input 7, says is there.
    """
    if not o.only(*range(9), outputs=(0, 1, 2)) or (o.wanted(1) and o.read(7) is None):
        return
    if o.wanted(1):
        o.apply("ReduceSum", o.must(7), integers(1), output=1, keepdims=0).dtype = o.must(7).dtype
    words, places = o.apply("Gather", o.must(2), o.must(0)), o.read(8)
    if places is None:
        length = o.apply("Shape", o.must(0), kind=np.int64, start=1, end=2)
        positions = o.apply("Slice", o.must(3), integers(0), length, integers(0))
    else:
        positions = o.apply("Gather", o.must(3), places)
    segments = o.read(1)
    last = 2 if o.wanted(2) else None
    total = o.apply("Add", words, positions, output=last if segments is None else None)
    if segments is not None:
        total = o.apply("Add", total, o.apply("Gather", o.must(4), segments), output=last)
    _layer_norm(o, total, o.must(5), o.must(6))


DEFINITIONS: Mapping[str, Definition] = {
    "EmbedLayerNormalization": _embedding,
    "SimplifiedLayerNormalization": _rms,
    "SkipLayerNormalization": _skip,
    "SkipSimplifiedLayerNormalization": _skip_rms,
}
