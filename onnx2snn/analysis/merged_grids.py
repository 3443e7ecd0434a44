"""One staircase for activations of several grids: the parameters that arrive with each entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations import Staircase
from onnx2snn.activations.rules import rules_of
from onnx2snn.analysis.selections import Selected, copy_selection, padding
from onnx2snn.graph.core import Array, Names
from onnx2snn.graph.exporter import to_model
from onnx2snn.graph.neuron_nodes import parameters
from onnx2snn.model.reference import run_reference

#: Entries are told apart by float32 integers.
MOST_ENTRIES = 2**24
#: A potential far below every threshold, and far from overflowing.
SILENT = -(2.0**100)


#: θ, δ, K, α, o and R, broadcastable to one sample (α and o perhaps with its batch axis).
Grid: TypeAlias = "Sequence[Array]"


@dataclass(frozen=True)
class Merged:
    """One staircase for all entries of a selection, its arrays shaped like one sample: ``silent`` is what pads them."""

    staircase: Staircase
    silent: float | None


def merged(found: Selected) -> Merged | None:
    """The staircase that every entry of ``found`` is on; None where there is none, or sizes are open and grids differ.

    1. All leaves are on one grid of scalars, or nothing is selected: that of the (first) leaf.
    2. Each entry of each leaf is numbered, and the numbers are moved as the activations are: what arrives tells whose
       parameters apply where.
    """
    held = [parameters(leaf.staircase) for leaf in found.leaves]
    padded = any(padding(node) is not None for node in found.nodes)
    if padded and not _pads_silence(found):
        return None
    grids = [
        (s.threshold, s.offset, s.ceilings, *leaf.decoding(), s.rounding)
        for s, leaf in zip(held, found.leaves, strict=True)
    ]
    alike = _is_one(grids) or not (found.nodes or len(grids) > 1)
    arrays: Grid | None = grids[0] if alike else _numbered(found, grids)
    if arrays is None:
        return None
    theta, delta, ceilings, scale, shift = (np.asarray(a, np.float64) for a in arrays[:-1])
    whole = ceilings.astype(np.int64)
    staircase = Staircase(theta, delta, int(whole.max()), whole, scale, shift, rules_of(arrays[-1]))
    return Merged(staircase, SILENT if padded else None)


def _is_one(grids: Sequence[Grid]) -> bool:
    """Whether all grids are the same few numbers."""
    return all(
        a.size == 1 and a.item() == b.item() for grid in grids for a, b in zip(grid, grids[0], strict=True)
    )


def _numbered(found: Selected, grids: Sequence[Grid]) -> Grid | None:
    """Case 2; arrays shaped like one sample."""
    shapes = [tuple(leaf.tensor.shape[1:]) for leaf in found.leaves]
    if not all(isinstance(size, (int, np.integer)) for shape in shapes for size in shape):
        return None
    if sum(int(np.prod(s)) for s in shapes) >= MOST_ENTRIES:
        return None
    numbers = _numbers(found, shapes)
    columns = zip(*(_spread(grid, shape) for grid, shape in zip(grids, shapes, strict=True)), strict=True)
    return [_collapsed(_known(np.concatenate(column)[numbers], numbers)) for column in columns]


def _spread(grid: Grid, shape: tuple[int, ...]) -> Iterator[Array]:
    """The parameters of every entry of a leaf, flat."""
    for values in grid:
        sample = values[0] if values.ndim > len(shape) else values
        yield np.broadcast_to(sample, shape).ravel()


def _numbers(found: Selected, shapes: Sequence[tuple[int, ...]]) -> NDArray[np.int64]:
    """For each entry of a sample of ``found.tensor``, the number of the entry that it copies; −1 for padding."""
    graph = gs.Graph(opset=18)
    copies: dict[int, gs.Tensor] = {}
    feeds, start = {}, 1
    for i, (leaf, shape) in enumerate(zip(found.leaves, shapes, strict=True)):
        copies[id(leaf.tensor)] = gs.Variable(f"leaf{i}", np.float32, (1, *shape))
        graph.inputs.append(copies[id(leaf.tensor)])
        size = int(np.prod(shape))
        feeds[f"leaf{i}"] = np.arange(start, start + size, dtype=np.float32).reshape(1, *shape)
        start += size
    copy_selection(found, copies, graph, Names(graph), silent=0.0)
    result = copies[id(found.tensor)]
    result.shape = None
    graph.outputs.append(result)
    numbers: NDArray[np.int64] = run_reference(to_model(graph), feeds)[result.name][0].astype(np.int64)
    return numbers - 1


def _pads_silence(found: Selected) -> bool:
    """Whether all padding is the value of level 0 of every leaf."""
    fills = {p for node in found.nodes if (p := padding(node)) is not None}
    return all(np.all(leaf.decoding()[1] == fill) for leaf in found.leaves for fill in fills)


def _known(values: Array, numbers: NDArray[np.int64]) -> Array:
    """``values``, with those of padding taken from a neighbour on the same channel (a padded entry is on any grid)."""
    if np.all(numbers >= 0):
        return values
    flat, known = values.reshape(len(values), -1).copy(), numbers.reshape(len(values), -1) >= 0
    for row, mask in zip(flat, known, strict=True):
        row[~mask] = row[mask][0] if mask.any() else flat[known][0]
    filled: Array = flat.reshape(values.shape)
    return filled


def _collapsed(values: Array) -> Array:
    """Without repetition: one entry on every axis along which nothing changes."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        if np.all(values == first):
            values = first
    return values.reshape(()) if values.size == 1 else values
