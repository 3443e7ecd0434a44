"""Networks that were exported while they were being trained: what they compute depends on chance, or on the batch."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.errors import ConversionError
from onnx2snn.operators import of
from onnx2snn.remedies import EVALUATION


def refuse_training_mode(graph: gs.Graph) -> None:
    """Nothing for a network in evaluation mode.

    1. A batch norm that normalises by the batch's own mean and variance.
    2. A dropout that drops.

    Raises:
        ConversionError: it is in training mode; names the first operator that is.
    """
    for node in graph.nodes:
        rule = of(node).trained
        found = "" if rule is None else rule(node)
        if found:
            raise ConversionError(
                "this network was exported in training mode",
                node=node.name,
                operator=node.op,
                found=found,
                remedy=EVALUATION,
            )
