"""What slides windows over channels reads samples on axis 0; where another axis holds them, there is no batch axis."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.analysis.facts import facts
from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import graph_pass, origin
from onnx2snn.operators import of
from onnx2snn.remedies import BATCH_IN_FRONT


@graph_pass
def refuse_mixed_samples(graph: gs.Graph) -> gs.Graph:
    """Change nothing, but refuse a network whose inputs have no batch axis.

        x: [2, 6, 6] ─▶ Unsqueeze ─▶ [1, 2, 6, 6] ─▶ Conv        axis 0 of x are channels

    Raises:
        ConversionError: an operator mixes the entries of axis 0 of the inputs, which would be samples.
    """
    axes = facts(graph).batch_axes
    for node in graph.nodes:
        if not of(node).channels_second:
            continue
        if axes.get(node.inputs[0].name, 0) != 0:
            raise ConversionError(
                "axis 0 of the inputs counts no samples: this operator mixes its entries",
                node=next(iter(origin(node)), node.name),
                operator=node.op,
                remedy=BATCH_IN_FRONT,
            )
    return graph
