"""The batch axis is free inside: time is folded into it."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import Array, Names, constant_input, graph_pass, is_constant
from onnx2snn.passes.staircase_nodes import make_constant

BATCH = "N"


@graph_pass
def free_batch(graph: gs.Graph) -> gs.Graph:
    """Spell no batch size in reshapes, and name the batch axis ``N`` on every input.

    1. ``Reshape`` to [B, ...] of a tensor whose batch is B: [-1, static sizes].
    2. ``Reshape`` to a computed shape of which only the batch is not known: the same.
    3. ``Expand`` to [B, ...]: to [1, ...]. ``Resize`` to sizes [B, C, ...]: by scales.

    Sizes come from shape inference on the graph as it was exported, so they are known before the batch is freed.
    """
    names = Names(graph)
    for node in graph.nodes:
        if node.domain:
            continue
        if node.op == "Reshape":
            _reshape(names, node)
        elif node.op == "Expand":
            _expand(names, node)
        elif node.op == "Resize":
            _resize(names, node)
    for tensor in graph.inputs:
        if tensor.shape:
            tensor.shape = [BATCH, *tensor.shape[1:]]
    for node in graph.nodes:
        for tensor in node.outputs:
            if not any(tensor is o for o in graph.outputs):
                tensor.shape = None
    for tensor in graph.outputs:
        if tensor.shape:
            tensor.shape = [BATCH, *tensor.shape[1:]]
    return graph


def _static(sizes: list[int | str]) -> bool:
    return all(isinstance(s, (int, np.integer)) for s in sizes)


def _same_batch(node: gs.Node) -> bool:
    before, after = node.inputs[0].shape, node.outputs[0].shape
    return bool(before) and bool(after) and before[0] == after[0]


def _reshape(names: Names, node: gs.Node) -> None:
    before, after = node.inputs[0].shape, node.outputs[0].shape
    target = constant_input(node, 1)
    if is_constant(node.inputs[0]) or not before or not after or not _static(list(after[1:])):
        return
    if (
        target is not None
        and (target.size == 0 or int(target[0]) in (0, -1))
        and -1 not in target[1:].tolist()
    ):
        return
    same = _same_batch(node) or (
        _static(list(before[1:]))
        and int(np.prod(before[1:])) == int(np.prod(after[1:]))
        and not _static(list(after[:1]))
    )
    if same:
        node.inputs[1] = make_constant(names, f"{node.name}/shape", np.array([-1, *after[1:]], np.int64))
        node.attrs.pop("allowzero", None)


def _expand(names: Names, node: gs.Node) -> None:
    target = constant_input(node, 1)
    if target is None or not _same_batch(node) or target.size != len(node.inputs[0].shape):
        return
    node.inputs[1] = make_constant(names, f"{node.name}/shape", np.array([1, *target[1:]], np.int64))


def _resize(names: Names, node: gs.Node) -> None:
    sizes: Array | None = constant_input(node, 3)
    before, after = node.inputs[0].shape, node.outputs[0].shape
    if (
        sizes is None
        or node.attrs.get("axes") is not None
        or not before
        or not _static([*before[1:], *after[1:]])
    ):
        return
    spatial = list(range(2, len(before)))
    node.attrs["axes"] = spatial
    node.inputs[3] = make_constant(names, f"{node.name}/sizes", np.asarray(sizes)[spatial])
