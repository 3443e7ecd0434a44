"""Operators that only the tools know that wrote them: refused by name, before anything asks what they compute."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.errors import ConversionError
from onnx2snn.model.qonnx_definition import FAMILIES, is_defined
from onnx2snn.remedies import AS_EXPORTED, BEFORE_HARDWARE, IN_FRONT

#: What FINN calls layers that have become hardware.
_HARDWARE = "finn.custom_op.fpgadataflow"
#: Domains that onnxruntime has, and ours.
_COMPUTED = ("ai.onnx", "com.microsoft", "com.ms.", "onnx2snn")


def refuse_foreign(graph: gs.Graph) -> None:
    """Refuse operators that have no meaning outside of the tools that wrote them.

    1. Hardware of FINN.
    2. Others of QONNX's tools.
    3. Those of any maker's own: what no function of the file defines, and no runtime that is asked here.

    Raises:
        ConversionError: names the node, the reason and what to give instead.
    """
    for node in graph.nodes:
        refused = _reason(node)
        if refused is not None:
            message, remedy = refused
            raise ConversionError(
                message, node=node.name, operator=node.op, found=f"domain {node.domain}", remedy=remedy
            )


def _reason(node: gs.Node) -> tuple[str, str] | None:
    """Why ``node`` has no meaning here, and what to give instead; None where it has one."""
    if node.domain.startswith(_HARDWARE):  # 1
        return "it stands for hardware that FINN generates, and no runtime computes it", BEFORE_HARDWARE
    if node.domain.startswith(FAMILIES) and not is_defined(node.op):  # 2
        return "it is an operator of QONNX's tools whose meaning is not defined here", AS_EXPORTED
    if node.domain and not node.domain.startswith((*_COMPUTED, *FAMILIES)):  # 3
        return "it is an operator of its maker's own, and no runtime here computes it", IN_FRONT
    return None
