"""Entries picked by lists of one index, as entries picked along the first axis."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, spells
from onnx2snn.graph.core import constant_input, is_constant, is_operator, producer_of
from onnx2snn.operators.conditions import rank_of


@spells("GatherND")
def pick_along_first_axis(spelling: Spelling, node: gs.Node) -> None:
    """Write GatherND from a constant by lists of one index as Gather: it looks up each entry of what it reads.

        i [N, C] ─▶ Unsqueeze −1 ─▶ [N, C, 1] ─▶ GatherND (values, ·)      becomes      i ─▶ Gather (values, ·)

    1. Lists of several indices, batch dimensions, or values that are no constant: the node stays.
    """
    values, indices = node.inputs
    if node.attrs.get("batch_dims", 0) or not is_constant(values) or is_constant(indices):
        return
    if indices.shape is None or indices.shape[-1] != 1:
        return
    each = _unsqueezed(indices)
    if each is None:
        each = spelling.apply("Squeeze", indices, np.array([-1], np.int64), sizes=indices.shape[:-1])
        each.dtype = indices.dtype
    output, kind = node.outputs[0], node.outputs[0].dtype
    node.outputs = []
    spelling.apply("Gather", values, each, output=output, axis=0).dtype = kind


def _unsqueezed(indices: gs.Tensor) -> gs.Tensor | None:
    """What got its last axis, which has one entry, by an Unsqueeze; None of others."""
    maker, rank = producer_of(indices), rank_of(indices)
    if not is_operator(maker, "Unsqueeze"):
        return None
    axes = constant_input(maker, 1)
    last = axes is not None and [int(axis) % rank for axis in axes.reshape(-1)] == [rank - 1]
    return maker.inputs[0] if last else None
