"""Minima over axes, as maxima: these neurons know."""

from __future__ import annotations

from typing import Any

import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, spells


@spells("ReduceMin")
def spell_minima(spelling: Spelling, node: gs.Node) -> None:
    """Write a minimum as the maximum of what has the other sign.

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
