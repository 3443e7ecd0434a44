"""Where operators carry the batch axis: the rules of the records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.core import constant_input, is_constant
from onnx2snn.operators.table import of

Sizes: TypeAlias = Sequence["int | str"]


@dataclass(frozen=True)
class Samples:
    """Where a tensor counts samples: ``axis`` has ``outer`` · N · ``inner`` entries, in this order.

    Attributes:
        axis: Which.
        outer: Entries in front of which samples stand: L of [L·N, C].
        inner: Entries of one sample, one after the other: H of [N·H, C]; None where that is not known.
    """

    axis: int
    outer: int = 1
    inner: int | None = 1


def static(sizes: Sizes) -> bool:
    """Whether all sizes are numbers."""
    return all(isinstance(size, (int, np.integer)) for size in sizes)


def nowhere(_node: gs.Node, _read: gs.Tensor, _samples: Samples, _written: gs.Tensor) -> Samples | None:
    """No samples are left."""
    return None


def kept_behind(_: gs.Node, read: gs.Tensor, samples: Samples, written: gs.Tensor) -> Samples | None:
    """An axis from the back stays where it is."""
    return _at(samples, samples.axis + len(written.shape) - len(read.shape))


def shown(node: gs.Node, read: gs.Tensor, samples: Samples, _: gs.Tensor) -> Samples | None:
    """Where the layout of a Transpose, a Squeeze or an Unsqueeze shows it."""
    rule = of(node).layout
    layout = None if rule is None or read is not node.inputs[0] else rule(node)
    gone = layout is None or samples.axis not in layout
    return None if gone or layout is None else _at(samples, layout.index(samples.axis))


def moved(_: gs.Node, read: gs.Tensor, samples: Samples, written: gs.Tensor) -> Samples | None:
    """A Reshape."""
    return regrouped(read.shape, samples, written.shape)


def regrouped(before: Sizes, samples: Samples, after: Sizes) -> Samples | None:
    """Where a Reshape moves samples: behind as many entries as stood before them.

    >>> regrouped([4, 3, 8, 8], Samples(0), [4, 192]), regrouped([3, 4, 8], Samples(1), [3, 4, 2, 4])
    (Samples(axis=0, outer=1, inner=1), Samples(axis=1, outer=1, inner=1))
    >>> regrouped([3, "N", 8], Samples(1), ["M", 4])
    Samples(axis=0, outer=3, inner=2)

    1. Where several axes might count them (a batch of 1): one that counts nothing else, none that is the last, the first.
    """
    if not static(before[: samples.axis]):
        return None
    ahead = math.prod(int(size) for size in before[: samples.axis]) * samples.outer
    own, rest = before[samples.axis], before[samples.axis + 1 :]
    behind = None if samples.inner is None or not static(rest) else math.prod(map(int, rest)) * samples.inner
    fixed = samples.inner is not None and static([own])
    batch = int(own) // (samples.outer * int(samples.inner or 1)) if fixed else None
    found = []
    passed = 1
    for axis, size in enumerate(after):
        if passed and ahead % passed == 0:
            inner = samples.inner if size == own == str(size) else _divided(behind, after[axis + 1 :])
            place = Samples(axis, ahead // passed, inner)
            if _fits(place, size, batch):
                found.append(place)
        if not static([size]):
            break
        passed *= int(size)
    wished = (
        lambda s: s.outer == s.inner == 1,
        lambda s: s.outer == 1 and s.axis < len(after) - 1,
        lambda _: True,
    )
    return next((s for wish in wished for s in found if wish(s)), None)


def _divided(entries: int | None, sizes: Sizes) -> int | None:
    """Over those of some axes; None where that is no number."""
    if entries is None or not static(sizes):
        return None
    others = math.prod(int(size) for size in sizes)
    return entries // others if others and entries % others == 0 else None


def _fits(place: Samples, size: int | str, batch: int | None) -> bool:
    """Whether an axis of ``size`` may count these samples; one of an open batch is named, or was inferred for some other."""
    if not static([size]) or batch is None:
        return place.outer == 1 or (place.inner is not None and not static([size]))
    if place.inner is None:
        return place.outer == 1
    return int(size) == place.outer * batch * place.inner


def reduced(node: gs.Node, read: gs.Tensor, samples: Samples, written: gs.Tensor) -> Samples | None:
    """A reduction: without axes, along all of them."""
    if node.attrs.get("keepdims", 1):
        return kept_behind(node, read, samples, written)
    gone = _axes(node, len(read.shape))
    return _behind(samples, list(range(len(read.shape))) if gone is None else gone)


def ranked(node: gs.Node, read: gs.Tensor, samples: Samples, written: gs.Tensor) -> Samples | None:
    """An ArgMax: along one axis, the first where none is named."""
    along = int(node.attrs.get("axis", 0)) % len(read.shape)
    if node.attrs.get("keepdims", 1):
        return None if along == samples.axis else kept_behind(node, read, samples, written)
    return _behind(samples, [along])


def spread(node: gs.Node, read: gs.Tensor, samples: Samples, written: gs.Tensor) -> Samples | None:
    """A OneHot: an axis more, the last where none is named."""
    if read is not node.inputs[0]:
        return None
    at = int(node.attrs.get("axis", -1)) % len(written.shape)
    return _at(samples, samples.axis + (at <= samples.axis))


def gathered(node: gs.Node, read: gs.Tensor, samples: Samples, written: gs.Tensor) -> Samples | None:
    """A Gather: the axes of its indices take the place of one."""
    along = int(node.attrs.get("axis", 0)) % len(node.inputs[0].shape or written.shape)
    if read is not node.inputs[0]:
        return _at(samples, samples.axis + along)
    added = len(node.inputs[1].shape or ()) - 1
    return (
        None if along == samples.axis else _at(samples, samples.axis + (added if along < samples.axis else 0))
    )


def _behind(samples: Samples, gone: list[int]) -> Samples | None:
    return None if samples.axis in gone else _at(samples, samples.axis - sum(i < samples.axis for i in gone))


def _at(samples: Samples, axis: int) -> Samples:
    return replace(samples, axis=axis)


def _axes(node: gs.Node, rank: int) -> list[int] | None:
    """Constant axes; none where they are computed."""
    given = constant_input(node, 1)
    computed = len(node.inputs) > 1 and not node.inputs[1].is_empty() and not is_constant(node.inputs[1])
    if given is None and computed:
        return []
    listed = node.attrs.get("axes") if given is None else given.reshape(-1).tolist()
    return None if not listed else [int(axis) % rank for axis in listed]
