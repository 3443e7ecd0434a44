"""Operators of ONNX in a plainer form, or as others that neurons and synapses know; each stays where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, make_constant
from onnx2snn.graph.core import Array, constant_input, is_constant, replace_uses
from onnx2snn.graph.mover import Mover
from onnx2snn.operators.conditions import axes_of

#: Rank of a batch of pictures (N, C, H, W), on which every runtime has a global maximum.
_PICTURES = 4
#: An end from here on is that of any axis.
_BEHIND = 2**31 - 1


def picked(spelling: Spelling, node: gs.Node) -> None:
    """What keeps a constant part of a tensor, as picking.

        Compress(x, mask)        becomes    x ─▶ Gather the places that the mask names

    1. The mask is not constant, or there is no axis, so that the batch is flattened: the node stays.
    """
    mask, axis, output = constant_input(node, 1), node.attrs.get("axis"), node.outputs[0]
    if mask is not None and axis is not None:
        node.outputs.clear()
        spelling.apply("Gather", node.inputs[0], np.flatnonzero(mask), output=output, axis=int(axis))


def as_largest(spelling: Spelling, node: gs.Node) -> None:
    """A minimum as the maximum of what has the other sign: these neurons know.

    ReduceMin(x)      becomes      x ─▶ Neg ─▶ ReduceMax ─▶ Neg
    """
    output = node.outputs[0]
    node.outputs.clear()
    known: dict[str, Any] = {
        k: int(node.attrs[k]) for k in ("keepdims", "noop_with_empty_axes") if k in node.attrs
    }
    negated = spelling.apply("Neg", node.inputs[0])
    largest = spelling.apply("ReduceMax", negated, *node.inputs[1:], sizes=output.shape, **known)
    spelling.apply("Neg", largest, output=output)


def of_two(spelling: Spelling, node: gs.Node) -> None:
    """A sum of two, which may be a constant's and a signal's.

    Sum(x, y)      becomes      Add(x, y)
    """
    if len(node.inputs) == 2:
        output = node.outputs[0]
        node.outputs.clear()
        spelling.apply("Add", *node.inputs, output=output)


def over_axes(spelling: Spelling, node: gs.Node) -> None:
    """``GlobalMaxPool`` on traces and volumes as ``ReduceMax`` over the axes behind the channels.

    The two are one function, but NumPy runtimes are known to take the wrong axes for the former: onnx.reference takes the last
    two of any tensor. On pictures, and where the rank is unknown, the node stays.
    """
    shape = node.inputs[0].shape
    if shape is not None and len(shape) != _PICTURES:
        axes = make_constant(spelling.names, f"{node.name}/axes", np.arange(2, len(shape), dtype=np.int64))
        node.op, node.inputs, node.attrs["keepdims"] = "ReduceMax", [node.inputs[0], axes], 1


def over_all_axes(spelling: Spelling, node: gs.Node) -> None:
    """``Resize`` of some axes by scales of all.

    onnxruntime moves a Transpose through it, and takes its sizes for those of all axes.

        Resize<axes = [2, 3]>(x, , , [8, 8])      becomes      Resize(x, , [1, 1, 2, 2])

    1. Scales and sizes are not constant, or sizes behind those of an open axis, or kept in proportion: the node stays.
    2. A scale in float32 would lead to another size: it stays, too.
    3. It takes a region of interest, which has two numbers for each axis: it stays.
    """
    axes, shape = node.attrs.get("axes"), node.inputs[0].shape
    given = [None if t.is_empty() else t for t in node.inputs[1:]] + [None] * 3
    stretched = node.attrs.get("keep_aspect_ratio_policy", "stretch") == "stretch"
    scales, sizes = (constant_input(node, i) if given[i - 1] is not None else None for i in (2, 3))
    if axes is None or shape is None or not stretched or _has_entries(given[0]):
        return
    of_axes = scales if scales is not None and scales.size else _scales(shape, axes, sizes)
    if of_axes is not None:
        whole = np.ones(len(shape), np.float32)
        whole[np.asarray(axes)] = of_axes
        del node.attrs["axes"]
        node.inputs = [node.inputs[0], gs.Variable.empty(), spelling.constant(whole)]


def _has_entries(tensor: gs.Tensor | None) -> bool:
    """Whether it may be more than an empty constant."""
    return tensor is not None and not (is_constant(tensor) and 0 in tensor.shape)


def _scales(shape: Sequence[Any], axes: Sequence[int], sizes: Array | None) -> Array | None:
    """Cases 1 and 2: what leads from the sizes of ``axes`` to ``sizes``."""
    before = [shape[axis] for axis in axes]
    if sizes is None or not all(isinstance(size, (int, np.integer)) and size > 0 for size in before):
        return None
    held = np.asarray(before, np.float32)
    scales = sizes.astype(np.float32) / held
    return scales if np.array_equal(np.floor(held * scales), sizes) else None


def of_rows(spelling: Spelling, node: gs.Node) -> None:
    """``Gemm`` of a turned signal as one behind a ``Transpose``, where moves are looked for.

        x ─▶ Transpose ─▶ Gemm<transA=1> ─▶ y     becomes     x ─▶ Transpose ─▶ Transpose ─▶ Gemm ─▶ y

    Everybody who asks a Gemm where it counts samples, and whether it is a layer, is told of rows.

    1. Its first operand is constant, or of unknown rank: the node stays.
    """
    operand = node.inputs[0]
    if node.attrs.get("transA", 0) and not is_constant(operand) and operand.shape is not None:
        node.attrs["transA"] = 0
        node.inputs[0] = Mover(spelling.graph, spelling.names, node).transpose(operand, [1, 0])


def narrowed(spelling: Spelling, node: gs.Node) -> None:
    """The axes of a Slice that it cuts, and no others: the batch is none that it mixes.

        x ─▶ Slice [0:∞, 8:16] along 0, 1 ─▶ y      becomes      x ─▶ Slice [8:16] along 1 ─▶ y

    1. From the first entry, to the end or beyond it, in steps of one: that is all there is.
    2. Of a Slice that cuts no axis readers read what it reads.
    """
    parts = _parts(node)
    if parts is None:
        return
    kept = [part for part in parts if not _is_all(node, *part)]
    if not kept:
        replace_uses(spelling.graph, node.outputs[0], node.inputs[0])
    elif len(kept) < len(parts):
        values = np.array(kept, np.int64).T
        read = [make_constant(spelling.names, f"{node.name}/cut", row) for row in values[[1, 2, 0, 3]]]
        node.inputs = [node.inputs[0], *read]


def _parts(node: gs.Node) -> list[tuple[int, int, int, int]] | None:
    """Axis, start, end and step of each part; None where they are not constant."""
    starts, ends = (constant_input(node, i) for i in (1, 2))
    axes = axes_of(node) if len(node.inputs) > 3 else None
    if axes is None and starts is not None and len(node.inputs) < 4:
        axes = list(range(starts.size))
    steps = constant_input(node, 4) if len(node.inputs) > 4 else np.ones(len(axes or ()), np.int64)
    if starts is None or ends is None or axes is None or steps is None:
        return None
    columns = (np.asarray(axes), *(values.reshape(-1) for values in (starts, ends, steps)))
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in zip(*columns, strict=True)]


def _is_all(node: gs.Node, axis: int, start: int, end: int, step: int) -> bool:
    """Case 1."""
    sizes = node.inputs[0].shape
    size = sizes[axis] if sizes is not None else None
    known = int(size) if isinstance(size, (int, np.integer)) else _BEHIND
    return step == 1 and start == 0 and end >= known
