"""What a dense layer reads turned, turned in front of it."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, spells
from onnx2snn.graph.core import is_constant
from onnx2snn.graph.mover import Mover

#: The attribute that turns the first operand.
_TURNED = "transA"


@spells("Gemm")
def spell_turned_rows(spelling: Spelling, node: gs.Node) -> None:
    """Write ``Gemm`` of a turned signal as one behind a ``Transpose``, where moves are looked for.

        x ─▶ Transpose ─▶ Gemm<transA=1> ─▶ y     becomes     x ─▶ Transpose ─▶ Transpose ─▶ Gemm ─▶ y

    Everybody who asks a Gemm where it counts samples, and whether it is a layer, is told of rows.

    1. Its first operand is constant, or of unknown rank: the node stays.
    """
    operand = node.inputs[0]
    if node.attrs.get(_TURNED, 0) and not is_constant(operand) and operand.shape is not None:
        node.attrs[_TURNED] = 0
        node.inputs[0] = Mover(spelling.graph, spelling.names, node).transpose(operand, [1, 0])
