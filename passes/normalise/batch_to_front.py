"""Windows that slide past the batch axis: samples come first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import Names, constant_input, graph_pass, is_constant, replace_uses
from onnx2snn.graph.mover import Mover
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_weighted


@graph_pass
def batch_to_front(graph: gs.Graph) -> gs.Graph:
    """Turn windowed operators so that they read samples on axis 0, as every other operator does.

        [1, 1, N, H, W, C] ─▶ MaxPool 1×2×2×1     becomes
        [1, 1, N, H, W, C] ─▶ Transpose, Squeeze ─▶ [N, C, H, W] ─▶ MaxPool 2×2 ─▶ Unsqueeze, Transpose

    A window of width one, without stride or padding, treats the entries of its axis apart; such an axis may change
    places with axis 0, and, for a pooling, with the channels.

    1. The batch axis goes to the front if axis 0 holds a single entry.
    2. Pooling of a single channel: the last axis with windows of width one becomes the channels.
    3. Axes of one entry, with windows of width one, are left out.

    Exporters write windows over all axes of a channels-last tensor like that.
    """
    names = Names(graph)
    axes = facts(graph).batch_axes
    for node in list(graph.nodes):
        if not of(node).windows or not node.inputs or len(node.outputs) != 1:
            continue
        batch = axes.get(node.inputs[0].name, 0)
        windows = _windows(node)
        if windows is not None and batch >= 2 and batch in windows.trivial and node.inputs[0].shape[0] == 1:
            _turn(graph, names, node, batch, windows)
    return graph


@dataclass(frozen=True)
class _Windows:
    """Of an operator over ``rank`` axes: those that its windows slide along with width one."""

    rank: int
    trivial: frozenset[int]


def _windows(node: gs.Node) -> _Windows | None:
    shape = node.inputs[0].shape
    if shape is None:
        return None
    spatial = len(shape) - 2
    kernel = node.attrs.get("kernel_shape")
    if kernel is None:
        weights = constant_input(node, 1)
        kernel = None if weights is None else weights.shape[2:]
    if kernel is None or spatial < 2 or len(kernel) != spatial:
        return None
    strides = node.attrs.get("strides") or [1] * spatial
    pads = node.attrs.get("pads") or [0] * (2 * spatial)
    still = [
        k == 1 and strides[i] == 1 and not pads[i] and not pads[i + spatial] for i, k in enumerate(kernel)
    ]
    return _Windows(len(shape), frozenset(i + 2 for i, alone in enumerate(still) if alone))


def _turn(graph: gs.Graph, names: Names, node: gs.Node, batch: int, windows: _Windows) -> None:
    source, result = node.inputs[0], node.outputs[0]
    sizes = list(source.shape)
    apart = sorted(windows.trivial - {batch})
    channel = apart[-1] if not is_weighted(node) and sizes[1] == 1 and apart else 1
    kept = [
        a
        for a in range(2, windows.rank)
        if a not in (batch, channel) and not (a in windows.trivial and sizes[a] == 1)
    ]
    dropped = [a for a in range(windows.rank) if a not in (batch, channel, *kept)]
    order = [batch, channel, *kept, *dropped]
    units = list(range(len(order) - len(dropped), len(order)))

    moves = Mover(graph, names, node)
    read = moves.squeeze(moves.transpose(source, order), units)
    written = [result.shape[a] for a in order]
    core = gs.Variable(names.fresh(f"{result.name}/samples_first"), result.dtype, written[: units[0]])
    node.inputs[0] = read
    node.outputs = [core]
    _narrow(names, node, [a - 2 for a in kept], windows.rank - 2)
    back = moves.transpose(moves.unsqueeze(core, units), np.argsort(order).tolist())
    replace_uses(graph, result, back)


def _narrow(names: Names, node: gs.Node, kept: list[int], spatial: int) -> None:
    """Windows over the axes that are kept."""
    for key in ("kernel_shape", "strides", "dilations"):
        if node.attrs.get(key):
            node.attrs[key] = [node.attrs[key][i] for i in kept]
    if node.attrs.get("pads"):
        node.attrs["pads"] = [node.attrs["pads"][i] for i in [*kept, *(i + spatial for i in kept)]]
    if is_weighted(node) and is_constant(node.inputs[1]):
        weights = node.inputs[1].values
        shape = [*weights.shape[:2], *(weights.shape[2 + i] for i in kept)]
        node.inputs[1] = make_constant(names, node.inputs[1].name, weights.reshape(shape))
