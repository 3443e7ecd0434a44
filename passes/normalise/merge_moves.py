"""Chains of moves as one of each kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_float, origin, replace_uses
from onnx2snn.operators import of
from onnx2snn.operators.table import Layout


@dataclass(frozen=True)
class _Moved:
    """A tensor as a rearrangement of ``root``, by the operators that made it."""

    root: gs.Tensor
    layout: Layout
    operators: tuple[str, ...]
    origin: tuple[str, ...]


@graph_pass
def merge_moves(graph: gs.Graph) -> gs.Graph:
    """Write chains of Transpose, Squeeze and Unsqueeze as at most one of each, in the order Squeeze, Transpose, Unsqueeze.

        x ─▶ Unsqueeze 0 ─▶ Unsqueeze 1 ─▶ Transpose ─▶ Squeeze ─▶ y     becomes     x ─▶ Transpose ─▶ y

    1. What is left is no move at all: readers read ``x``.
    2. Results between that have other readers are rearrangements of ``x`` of their own.
    """
    names = Names(graph)
    moved: dict[int, _Moved] = {}
    for node in list(graph.nodes):
        step = _layout(node)
        if step is None or node.outputs[0].shape is None or not is_float(node.inputs[0]):
            continue
        source = node.inputs[0]
        before = moved.get(id(source)) or _Moved(source, tuple(range(len(source.shape))), (), ())
        layout = tuple(None if axis is None else before.layout[axis] for axis in step)
        made = _Moved(before.root, layout, (*before.operators, node.op), (*before.origin, *origin(node)))
        moved[id(node.outputs[0])] = made
        if tuple(op for op, _ in _canonical(made)) != made.operators:
            _rewrite(graph, names, node, made)
    return graph


def _layout(node: gs.Node) -> Layout | None:
    """The axis of the input that each axis of the output shows; None for operators that do more."""
    rule = of(node).layout
    return None if rule is None or node.inputs[0].shape is None else rule(node)


def _canonical(moved: _Moved) -> list[tuple[str, list[int]]]:
    """Operators and their axes, in order."""
    shown = [axis for axis in moved.layout if axis is not None]
    steps = []
    if gone := [i for i in range(len(moved.root.shape)) if i not in shown]:
        steps.append(("Squeeze", gone))
    if shown != sorted(shown):
        ranks = {axis: position for position, axis in enumerate(sorted(shown))}
        steps.append(("Transpose", [ranks[axis] for axis in shown]))
    if inserted := [i for i, axis in enumerate(moved.layout) if axis is None]:
        steps.append(("Unsqueeze", inserted))
    return steps


def _rewrite(graph: gs.Graph, names: Names, node: gs.Node, moved: _Moved) -> None:
    result = node.outputs[0]
    steps = _canonical(moved)
    if not steps:
        replace_uses(graph, result, moved.root)
        return
    node.outputs = []
    value = moved.root
    for number, (op, axes) in enumerate(steps):
        last = number == len(steps) - 1
        target = result if last else gs.Variable(names.fresh(f"{result.name}/{op.lower()}"), value.dtype)
        fresh = gs.Node(
            op=op, name=names.fresh(f"{node.name}/{op.lower()}"), inputs=[value], outputs=[target]
        )
        fresh.attrs[ORIGIN] = list(dict.fromkeys(moved.origin))
        if of(fresh).axes is None:
            fresh.attrs["perm"] = axes
        else:
            fresh.inputs.append(make_constant(names, f"{fresh.name}/axes", np.array(axes, np.int64)))
        if not last:
            target.shape = [1 if axis is None else value.shape[axis] for axis in _layout(fresh) or ()]
        graph.nodes.append(fresh)
        value = target
