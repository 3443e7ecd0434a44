"""Windows of poolings, placed so that every operator set counts them alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, graph_pass
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_weighted
from onnx2snn.operators.pool_windows import SAME, Windows, windows_of


@graph_pass
def spell_windows(graph: gs.Graph) -> gs.Graph:
    """Place the windows of a pooling so that runtimes and ONNX's shape inference agree on their number.

        x ─▶ MaxPool(kernel 2, stride 4, ceil_mode) ─▶ y      of 6 cells becomes      x ─▶ MaxPool(kernel 2, stride 4) ─▶ y

    Up to operator set 21 the inferred shape has windows that would begin behind the last cell; runtimes leave them out.

    1. No window hangs over the end: the padding behind is what they cover of it, and ``ceil_mode`` is not needed.
    2. One along another axis does: cells that no window reaches are cut off.
    3. ``SAME`` padding with windows smaller than their stride: the cells at both ends that no window reaches are cut off,
       which some kernels do and others refuse. Where windows are dilated, kernels forget that, and take less padding.
    4. ``VALID`` with ``ceil_mode``: no padding, said so.
    5. A size is not known, or they agree: nothing is done.
    """
    names = Names(graph)
    for node in list(graph.nodes):
        if of(node).windows and not is_weighted(node) and node.inputs[0].shape is not None:
            _spell(graph, names, node)
    return graph


def _spell(graph: gs.Graph, names: Names, node: gs.Node) -> None:
    sizes, ceil, auto_pad = node.inputs[0].shape[2:], bool(node.attrs.get("ceil_mode", 0)), _auto_pad(node)
    known = [isinstance(size, (int, np.integer)) for size in sizes]
    axes = [_axis(node, i) if known[i] else None for i in range(len(sizes))]
    if auto_pad in SAME:
        dilated = any(d > 1 for d in node.attrs.get("dilations") or ())
        if not all(known) or not (dilated or any(a.before < 0 or a.after < 0 for a in axes if a)):
            return
    elif not ceil or not (auto_pad == "VALID" or any(a.claimed != a.count for a in axes if a)):
        return
    over = [a is None or a.needed > a.after for a in axes] if ceil and auto_pad not in SAME else [False]
    placed = [a if a is None or a.needed > a.after else replace(a, after=a.needed) for a in axes]
    cuts = [_cut(a, any(over)) for a in placed]
    if any(any(cut) for cut in cuts) and len(node.outputs) > 1:
        return  # places of maxima are those of the whole
    _cut_off(graph, names, node, cuts)
    _write(node, placed, ceil=any(over))
    for tensor in node.outputs:
        if tensor.shape is not None:
            counts = [a.count if a else size for a, size in zip(axes, tensor.shape[2:], strict=True)]
            tensor.shape = [*tensor.shape[:2], *counts]


def _auto_pad(node: gs.Node) -> str:
    value = node.attrs.get("auto_pad", "NOTSET")
    return value.decode() if isinstance(value, bytes) else str(value)


def _axis(node: gs.Node, i: int) -> Windows:
    rank, attrs = len(node.attrs["kernel_shape"]), node.attrs
    stride, dilation = (int((attrs.get(name) or [1] * rank)[i]) for name in ("strides", "dilations"))
    pads = attrs.get("pads") or [0] * 2 * rank
    return windows_of(
        _auto_pad(node),
        int(node.inputs[0].shape[2 + i]),
        int(attrs["kernel_shape"][i]),
        dilation,
        stride,
        pads=(int(pads[i]), int(pads[i + rank])),
        ceil=bool(attrs.get("ceil_mode", 0)),
    )


def _cut(axis: Windows | None, ceil: bool) -> tuple[int, int]:
    """Cells to cut off in front and behind; behind, windows without ``ceil_mode`` leave them out by themselves."""
    if axis is None:
        return 0, 0
    return max(-axis.before, 0), max(-axis.after, 0) if ceil else 0


def _cut_off(graph: gs.Graph, names: Names, node: gs.Node, cuts: list[tuple[int, int]]) -> None:
    axes = [i for i, cut in enumerate(cuts) if any(cut)]
    if not axes:
        return
    shape = list(node.inputs[0].shape)
    ends = [int(shape[2 + i]) - cuts[i][1] for i in axes]
    starts = [cuts[i][0] for i in axes]
    for i, start, end in zip(axes, starts, ends, strict=True):
        shape[2 + i] = end - start
    given = (np.array(v, np.int64) for v in (starts, ends, [2 + i for i in axes]))
    node.inputs[0] = Spelling(graph, names, node).apply("Slice", node.inputs[0], *given, sizes=shape)


def _write(node: gs.Node, axes: list[Windows | None], *, ceil: bool) -> None:
    rank = len(axes)
    given: list[Any] = (
        list(node.attrs.get("pads") or [0] * 2 * rank) if _auto_pad(node) == "NOTSET" else [0] * 2 * rank
    )
    for i, axis in enumerate(axes):
        if axis is not None:
            given[i], given[i + rank] = max(axis.before, 0), max(axis.after, 0)
    node.attrs.pop("auto_pad", None)
    node.attrs.pop("ceil_mode", None)
    node.attrs["pads"] = [int(v) for v in given]
    if ceil:
        node.attrs["ceil_mode"] = 1
