"""Rotary position embeddings (Su et al., arXiv 2104.09864), written out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import Array
from onnx2snn.operators.spelled.microsoft.definition import Definition, Operands, integers


def rotated(
    o: Operands,
    x: gs.Tensor,
    angles: tuple[gs.Tensor | Array, gs.Tensor | Array],
    half: int,
    *,
    partial: bool,
) -> gs.Tensor:
    """Pairs (a, b) of entries as (a·cos − b·sin, a·sin + b·cos).

    Args:
        o: Where it is written.
        x: (..., d).
        angles: Cosines and sines (..., half), which broadcast against ``x``.
        half: Pairs.
        partial: Entries behind the pairs stay as they are.
    """
    interleaved = o.flag("interleaved")
    turning, last = x, integers(-1)
    if partial:
        turning = o.apply("Slice", x, integers(0), integers(2 * half), last)
    if interleaved:  # pairs side by side: an axis of their own
        turning = o.apply("Reshape", turning, integers(0, 0, 0, half, 2))
        angles = (o.apply("Unsqueeze", angles[0], last), o.apply("Unsqueeze", angles[1], last))
    cosine, sine = angles
    a, b = o.several("Split", turning, kinds=(np.float32,) * 2, axis=-1, num_outputs=2)
    real = o.apply("Sub", o.apply("Mul", a, cosine), o.apply("Mul", b, sine))
    imaginary = o.apply("Add", o.apply("Mul", a, sine), o.apply("Mul", b, cosine))
    result = o.apply("Concat", real, imaginary, axis=-1)
    if interleaved:
        result = o.apply("Reshape", result, integers(0, 0, 0, 2 * half))
    if partial:
        rest = o.apply("Slice", x, integers(2 * half), integers(np.iinfo(np.int64).max), last)
        result = o.apply("Concat", result, rest, axis=-1)
    return result


def _rotary(o: Operands) -> None:
    """(N, S, heads·d) or (N, heads, S, d), turned by the angles of each place."""
    cosines, sines, rank = o.constant(2), o.constant(3), o.rank(0)
    if cosines is None or sines is None or rank not in (3, 4) or o.flag("is_packed_batching"):
        return
    if o.number("scale", 1) != 1 or not _places_known(o):
        return
    half = cosines.shape[1]
    angles = (_angles(o, cosines, rank), _angles(o, sines, rank))
    partial = o.flag("rotary_embedding_dim")
    if rank == 4:
        o.apply("Identity", rotated(o, o.must(0), angles, half, partial=partial), output=0)
        return
    shape = integers(0, 0, int(o.number("num_heads", 0)), -1) if partial else integers(0, 0, -1, 2 * half)
    turned = rotated(o, o.apply("Reshape", o.must(0), shape), angles, half, partial=partial)
    o.apply("Reshape", turned, integers(0, 0, -1), output=0)


def _places_known(o: Operands) -> bool:
    """Whether places are given one by one, or as the first of as many as are known."""
    return o.rank(1) == 2 or (o.constant(1) is not None and isinstance(o.must(0).shape[-2], int))


def _angles(o: Operands, table: Array, rank: int) -> gs.Tensor:
    """Entries of a table (places, half), as they broadcast against (N, S, heads, d) or (N, heads, S, d)."""
    axis = integers(-2 if rank == 3 else -3)
    places: gs.Tensor | Array = o.must(1)
    if o.rank(1) == 1:
        places = int(np.asarray(o.constant(1))[0]) + np.arange(o.must(0).shape[-2])[np.newaxis]
    return o.apply("Unsqueeze", o.apply("Gather", table, places), axis)


DEFINITIONS: Mapping[str, Definition] = {"RotaryEmbedding": _rotary}
