"""Attention: products of queries, keys and values, written out.

Inside, each of them is (N, S, heads, d): samples, places, heads, and the size of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_graphsurgeon as gs
from onnx import TensorProto

from onnx2snn.graph.core import Array
from onnx2snn.operators.spelled.microsoft.definition import Definition, Operands, integers

_LOWEST = np.finfo(np.float32).min


def _attention(o: Operands) -> None:
    """The weights of queries, keys and values lie side by side."""
    weights = o.constant(1)
    plain = o.only(0, 1, 2, 3, 5) and not o.flag("do_rotary") and _is_mask(o, 3)
    if plain and weights is not None:
        product = o.apply("MatMul", o.must(0), o.must(1))
        _from_one_product(o, product, weights.shape[1], 3, o.read(5))


def _quantised_attention(o: Operands) -> None:
    """The same, of codes: input and weights have a scale, and perhaps a zero point."""
    codes, scale, step = (o.constant(i) for i in (1, 3, 4))
    zero = np.zeros(1) if o.read(7) is None else o.constant(7)
    plain = o.only(0, 1, 2, 3, 4, 5, 6, 7) and not o.flag("do_rotary") and _is_mask(o, 5)
    if not plain or codes is None or scale is None or step is None or zero is None:
        return
    given = [t for t in [o.read(6)] if t is not None]
    x = o.apply("DequantizeLinear", o.must(0), o.must(3), *given)
    weights = (codes.astype(np.float32) - zero.astype(np.float32)) * step
    _from_one_product(o, o.apply("MatMul", x, weights), codes.shape[1], 5, None)


def _from_one_product(
    o: Operands, product: gs.Tensor, width: int, mask: int, added: gs.Tensor | None
) -> None:
    """Queries, keys and values are parts of one product, to which input 2 is added."""
    count, bias = int(o.number("num_heads", 1)), o.read(2)
    sizes = [int(size) for size in o.node.attrs.get("qkv_hidden_sizes", [width // 3] * 3)]
    summed = product if bias is None else o.apply("Add", product, bias)
    parts = o.several("Split", summed, integers(*sizes), kinds=(np.float32,) * 3, axis=-1)
    query, key, value = (_apart(o, part, count) for part in parts)
    biases = [_mask(o, mask, key), added, _causal(o, query, key)]
    _attend(o, query, key, value, sizes[0] // count, biases)


def _several_heads(o: Operands) -> None:
    """Queries, keys and values are inputs of their own; keys and values may have their heads apart already."""
    count, width = int(o.number("num_heads", 1)), _width(o, 0)
    known = o.rank(0) == 3 and o.rank(1) in (3, 4) and o.rank(2) in (3, 4)
    if not o.only(0, 1, 2, 3, 4, 5) or not known or width is None or not _is_mask(o, 4):
        return
    operands: list[gs.Tensor] = [o.must(i) for i in range(3)]
    if o.read(3) is not None:
        biases = o.constant(3)
        if biases is None:
            return
        parts = np.split(biases, [width, 2 * width])
        operands = [o.apply("Add", t, part) for t, part in zip(operands, parts, strict=True)]
    query, key, value = (
        _apart(o, t, count) if o.rank(i) == 3 else o.apply("Transpose", t, perm=[0, 2, 1, 3])
        for i, t in enumerate(operands)
    )
    causal = _causal(o, query, key)
    _attend(o, query, key, value, width // count, [_mask(o, 4, key), o.read(5), causal])


def _width(o: Operands, position: int) -> int | None:
    """The size of the last axis, where it is known."""
    shape = o.must(position).shape
    return int(shape[-1]) if shape is not None and isinstance(shape[-1], (int, np.integer)) else None


def _attend(  # noqa: PLR0917 - in the order of the equation
    o: Operands,
    query: gs.Tensor,
    key: gs.Tensor,
    value: gs.Tensor,
    size: int,
    biases: Sequence[gs.Tensor | Array | None],
) -> None:
    """softmax(q·kᵀ·scale + biases)·v, each head for itself; (N, S, heads·d) again."""
    rows, columns = (
        o.apply("Transpose", t, perm=order) for t, order in ((query, [0, 2, 1, 3]), (key, [0, 2, 3, 1]))
    )
    scale = o.number("scale", 0) or 1 / np.sqrt(size)
    scores = o.apply("Mul", o.apply("MatMul", rows, columns), np.float32(scale))
    for bias in biases:
        if bias is not None:
            scores = o.apply("Add", scores, bias)
    shares = o.apply("Softmax", scores, axis=-1)
    answers = o.apply("MatMul", shares, o.apply("Transpose", value, perm=[0, 2, 1, 3]))
    o.apply("Reshape", o.apply("Transpose", answers, perm=[0, 2, 1, 3]), integers(0, 0, -1), output=0)


def _apart(o: Operands, tensor: gs.Tensor, count: int) -> gs.Tensor:
    """(N, S, heads·d) as (N, S, heads, d)."""
    return o.apply("Reshape", tensor, integers(0, 0, count, -1))


def _causal(o: Operands, query: gs.Tensor, key: gs.Tensor) -> gs.Tensor | None:
    """Where attention looks back alone: nothing for what lies before, no chance for what comes after, (S, L)."""
    if not o.flag("unidirectional"):
        return None
    sizes = [o.apply("Shape", t, kind=np.int64, start=1, end=2) for t in (query, key)]
    square = o.apply("Concat", *sizes, kind=np.int64, axis=0)
    return o.apply("Trilu", o.apply("Expand", np.full((1, 1), _LOWEST), square), np.int64(1), upper=1)


def _mask(o: Operands, position: int, key: gs.Tensor) -> gs.Tensor | None:
    """What is there, as what is added to scores, from the mask at an input: 1 for what is there, 0 for padding.

    Masks are (N, L) or (N, S, L); of (N) entries, each counts what is there, from the first place on.
    """
    mask, rank = o.read(position), o.rank(position)
    if mask is None:
        return None
    if rank == 1:
        length = o.apply("Shape", key, kind=np.int64, start=1, end=2)
        numbers = (
            o.apply("Squeeze", n, integers(0), kind=np.int64) for n in (integers(0), length, integers(1))
        )
        counted = o.apply("Cast", mask, kind=np.int64, to=TensorProto.INT64)
        places = o.apply("Range", *numbers, kind=np.int64)
        ends = o.apply("Unsqueeze", counted, integers(1), kind=np.int64)
        there = o.apply("Less", places, ends, kind=np.bool_)
    else:
        there = o.apply("Greater", mask, np.zeros((), mask.dtype), kind=np.bool_)
    bias = o.apply("Where", there, np.float32(0), np.float32(o.number("mask_filter_value", -10000)))
    return o.apply("Unsqueeze", bias, integers(1) if rank == 3 else integers(1, 2))


def _is_mask(o: Operands, position: int) -> bool:
    """Whether it is left out, or of a form that :func:`_mask` reads; longer vectors list beginnings, too."""
    mask, samples = o.read(position), (o.must(0).shape or [None])[0]
    counts = mask is not None and o.rank(position) == 1 and mask.shape[0] == samples
    return mask is None or counts or o.rank(position) in (2, 3)


DEFINITIONS: Mapping[str, Definition] = {
    "Attention": _attention,
    "MultiHeadAttention": _several_heads,
    "QAttention": _quantised_attention,
}
