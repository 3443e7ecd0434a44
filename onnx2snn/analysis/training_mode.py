"""Networks that were exported while they were being trained: what they compute depends on chance, or on the batch."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import constant_input
from onnx2snn.remedies import EVALUATION


def refuse_training_mode(graph: gs.Graph) -> None:
    """Nothing for a network in evaluation mode.

    1. A batch norm that normalises by the batch's own mean and variance.
    2. A dropout that drops.

    Raises:
        ConversionError: it is in training mode; names the first operator that is.
    """
    for node in graph.nodes:
        if node.domain:
            continue
        if node.op == "BatchNormalization" and _by_the_batch(node):
            raise _trained(node, "it normalises by the mean and variance of the batch")
        if node.op == "Dropout" and _drops(node):
            raise _trained(node, "it drops values at random")


def _by_the_batch(node: gs.Node) -> bool:
    """Case 1; before opset 14 it shows by its further outputs, running and saved statistics."""
    statistics = [tensor for tensor in node.outputs[1:] if not tensor.is_empty()]
    return bool(node.attrs.get("training_mode", 0) or statistics)


def _drops(node: gs.Node) -> bool:
    """Case 2: told by a constant, and at a rate above 0 (it is 0.5 where left out)."""
    training, ratio = constant_input(node, 2), constant_input(node, 1)
    return training is not None and bool(training.any()) and (ratio is None or bool((ratio > 0).any()))


def _trained(node: gs.Node, found: str) -> ConversionError:
    return ConversionError(
        "this network was exported in training mode",
        node=node.name,
        operator=node.op,
        found=found,
        remedy=EVALUATION,
    )
