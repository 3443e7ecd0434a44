"""Operators that move entries about: shapes, orders, parts, copies, borders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from drawn_cases.building import Network
from drawn_cases.middles import Middle, Spelling, one
from drawn_cases.versions import cut, over_axes, pad, split, whole


def _padded(pads: list[int], mode: str = "constant", value: float = 0.0) -> Spelling:
    return lambda b, x: pad(b, x, pads, mode, value)


def _cut(starts: list[int], ends: list[int], axes: list[int], steps: list[int] | None = None) -> Spelling:
    return lambda b, x: cut(b, x, starts, ends, axes, steps)


def _shaped(*shape: int, **attributes: int) -> Spelling:
    """Reshape; the first size is that of the batch."""
    return lambda b, x: str(b.op("Reshape", x, whole(*shape), **attributes))


def _axes(op: str, axes: list[int]) -> Spelling:
    return lambda b, x: over_axes(b, op, x, axes)


def _halves(b: Network, x: str) -> str:
    """Split in two equal parts, exchanged."""
    first, second = b.op("Split", x, outputs=2, axis=1, **({"num_outputs": 2} if b.opset >= 18 else {}))
    return str(b.op("Concat", second, first, axis=1))


def _uneven(b: Network, x: str) -> str:
    """Split in parts that differ, one of which nothing reads."""
    return split(b, x, [3, 1], 1)[0]


def _negative_split(b: Network, x: str) -> str:
    parts = split(b, x, [5, 3], -1)
    return str(b.op("Concat", parts[1], parts[0], axis=-1))


def _shuffle(b: Network, x: str) -> str:
    sizes = b.shape(x)[1:]
    apart = b.op("Reshape", x, whole(0, 2, 2, *sizes))
    swapped = b.op("Transpose", apart, perm=[0, 2, 1, 3, 4])
    return str(b.op("Reshape", swapped, whole(0, 4, *sizes)))


def _with_constant(b: Network, x: str) -> str:
    """A row of constants at the edge, one a sample."""
    batch = b.of(x).shape[0]
    return str(b.op("Concat", x, b.weights((batch, 1, 8, 8), 1), axis=1))


def _squeezed(b: Network, x: str) -> str:
    return over_axes(b, "Squeeze", over_axes(b, "ReduceMean", x, [3], keepdims=1), [3])


def _blocks(op: str, **attributes: object) -> Spelling:
    """DepthToSpace, or SpaceToDepth."""
    return lambda b, x: str(b.op(op, x, blocksize=2, **attributes))


def _focus(b: Network, x: str) -> str:
    """Every second place, four times, as channels."""
    parts = [cut(b, x, [i, j], [2**31 - 1] * 2, [2, 3], [2, 2]) for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))]
    return str(b.op("Concat", *parts, axis=1))


def _chosen(b: Network, x: str) -> str:
    """Where, by a constant mask: values or a number."""
    mask = np.arange(64).reshape(8, 8) % 3 > 0
    return str(b.op("Where", mask, x, b.of(x).dtype.type(1)))


def _chosen_of_two(b: Network, x: str) -> str:
    mask = np.arange(4).reshape(4, 1, 1) % 2 > 0
    return str(b.op("Where", mask, x, b.op("Transpose", x, perm=[0, 1, 3, 2])))


def _scattered(b: Network, x: str) -> str:
    return str(b.op("GatherElements", x, np.zeros((b.of(x).shape[0], 4, 8, 2), np.int64), axis=3))


def _copies(*counts: int) -> Spelling:
    return one("Tile", whole(*counts))


def _expanded(b: Network, x: str) -> str:
    """One column, repeated."""
    return str(b.op("Expand", cut(b, x, [0], [1], [3]), whole(1, 1, 1, 6)))


def _expanded_rank(b: Network, x: str) -> str:
    return str(b.op("Expand", over_axes(b, "Unsqueeze", x, [1]), whole(1, 2, 4, 8, 8)))


_END = 2**31 - 1
_MOVE = {"codes": True}

MOVES: Mapping[str, Middle] = {
    "Identity": Middle(one("Identity"), **_MOVE),
    "Dropout": Middle(one("Dropout")),
    "Transpose places": Middle(one("Transpose", perm=[0, 1, 3, 2]), **_MOVE),
    "Transpose to NHWC": Middle(one("Transpose", perm=[0, 2, 3, 1]), **_MOVE),
    "Transpose reversed": Middle(
        lambda b, x: str(b.op("Transpose", b.op("Transpose", x), perm=[3, 0, 1, 2])), **_MOVE
    ),
    "Reshape 0 -1": Middle(_shaped(0, -1), **_MOVE),
    "Reshape -1 256": Middle(_shaped(-1, 256), **_MOVE),
    "Reshape 0 0 -1": Middle(_shaped(0, 0, -1), **_MOVE),
    "Reshape -1 8 4 8": Middle(_shaped(-1, 8, 4, 8), **_MOVE),
    "Flatten 1": Middle(one("Flatten"), **_MOVE),
    "Flatten -3": Middle(one("Flatten", axis=-3), since=11, **_MOVE),
    "Flatten 2": Middle(
        lambda b, x: str(b.op("Reshape", b.op("Flatten", x, axis=2), whole(-1, 4, 64))), **_MOVE
    ),
    "Flatten 0": Middle(
        lambda b, x: str(b.op("Reshape", b.op("Flatten", x, axis=0), whole(-1, 4, 8, 8))), **_MOVE
    ),
    "Squeeze": Middle(_squeezed),
    "Unsqueeze 2": Middle(_axes("Unsqueeze", [2]), shape="vector", **_MOVE),
    "Unsqueeze 1 -1": Middle(_axes("Unsqueeze", [1, -1]), shape="vector", since=11, **_MOVE),
    "Unsqueeze image": Middle(_axes("Unsqueeze", [3]), shape="sequence", **_MOVE),
    "shuffle": Middle(_shuffle, **_MOVE),
    "Split halves": Middle(_halves, **_MOVE),
    "Split uneven": Middle(_uneven, **_MOVE),
    "Split last axis": Middle(_negative_split, since=11, **_MOVE),
    "Slice channels": Middle(_cut([1], [3], [1]), **_MOVE),
    "Slice to the end": Middle(_cut([2], [_END], [3]), **_MOVE),
    "Slice negative": Middle(_cut([-5, 0], [-1, -2], [-1, -2]), **_MOVE),
    "Slice strided": Middle(_cut([1, 0], [_END, _END], [2, 3], [2, 3]), **_MOVE),
    "Slice backwards": Middle(_cut([-1], [-_END], [3], [-1]), **_MOVE),
    "Slice backwards by two": Middle(_cut([6], [0], [2], [-2]), **_MOVE),
    "focus": Middle(_focus, **_MOVE),
    "Gather channels": Middle(one("Gather", whole(2, 0, 0, 3), axis=1), **_MOVE),
    "Gather negative": Middle(one("Gather", whole(-1, -3), axis=-1), since=11, **_MOVE),
    "Gather a number": Middle(one("Gather", np.asarray(1), axis=2), **_MOVE),
    "Gather a table": Middle(one("Gather", np.asarray([[0, 2], [7, 1]]), axis=3), **_MOVE),
    "GatherElements": Middle(_scattered, since=11, **_MOVE),
    "Concat itself": Middle(lambda b, x: str(b.op("Concat", x, x, axis=1)), **_MOVE),
    "Concat along the width": Middle(
        lambda b, x: str(b.op("Concat", x, cut(b, x, [0], [3], [3]), axis=-1)), since=11, **_MOVE
    ),
    "Concat a constant": Middle(_with_constant),
    "Tile": Middle(_copies(1, 2, 1, 1), **_MOVE),
    "Tile places": Middle(_copies(1, 1, 2, 3), **_MOVE),
    "Expand": Middle(_expanded, **_MOVE),
    "Expand a rank": Middle(
        lambda b, x: str(b.op("Reshape", _expanded_rank(b, x), whole(0, -1, 8, 8))), **_MOVE
    ),
    "DepthToSpace DCR": Middle(_blocks("DepthToSpace"), **_MOVE),
    "DepthToSpace CRD": Middle(_blocks("DepthToSpace", mode="CRD"), since=11, **_MOVE),
    "SpaceToDepth": Middle(_blocks("SpaceToDepth"), **_MOVE),
    "Pad zeros": Middle(_padded([0, 0, 1, 2, 0, 0, 1, 0])),
    "Pad a value": Middle(_padded([0, 0, 1, 0, 0, 0, 0, 2], value=0.5)),
    "Pad channels": Middle(_padded([0, 2, 0, 0, 0, 1, 0, 0])),
    "Pad reflect": Middle(_padded([0, 0, 2, 1, 0, 0, 1, 2], "reflect")),
    "Pad edge": Middle(_padded([0, 0, 1, 2, 0, 0, 1, 0], "edge")),
    "Pad wrap": Middle(_padded([0, 0, 1, 2, 0, 0, 1, 0], "wrap"), since=19),
    "Pad negative": Middle(_padded([0, 0, -1, -2, 0, 0, 0, -1])),
    "Pad negative and positive": Middle(_padded([0, 0, -1, 2, 0, 0, 3, -2])),
    "Pad by axes": Middle(lambda b, x: str(b.op("Pad", x, whole(1, 2, 0, 1), None, whole(3, 2))), since=18),
    "Pad a sequence": Middle(_padded([0, 0, 3, 0, 0, 1]), shape="sequence"),
    "Where a number": Middle(_chosen),
    "Where of two": Middle(_chosen_of_two),
    "Trilu": Middle(one("Trilu", upper=0), since=14),
    "CenterCropPad": Middle(one("CenterCropPad", whole(6, 10), axes=[2, 3]), since=18),
    "Compress": Middle(one("Compress", np.asarray([True, False, True, True]), axis=1), since=11),
    "cast to float16 and back": Middle(
        lambda b, x: str(b.op("Cast", b.op("Cast", x, to=10), to=1)), synaptic=False
    ),
    "cast to double and back": Middle(lambda b, x: str(b.op("Cast", b.op("Cast", x, to=11), to=1))),
}
