"""Weights that are no numbers: refused by the node that reads them, instead of converted into neurons that never fire."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.errors import ConversionError
from onnx2snn.graph.core import is_constant, origin
from onnx2snn.operators.linear import is_weighted
from onnx2snn.remedies import NUMBERS


def refuse_undefined(graph: gs.Graph) -> gs.Graph:
    """Look at every constant of floats; the graph is handed back as it is.

    1. NaN, wherever it stands.
    2. An infinity among the weights of a synaptic operator; elsewhere it may be meant (a bound of a clip, a mask).

    Raises:
        ConversionError: it names the node and the constant.
    """
    for node in graph.nodes:
        for tensor in node.inputs:
            if not is_constant(tensor) or np.dtype(tensor.dtype).kind != "f" or 0 in tensor.shape:
                continue
            low, high = np.min(tensor.values), np.max(tensor.values)  # either is NaN where any value is
            if np.isnan(low) or (is_weighted(node) and not np.isfinite([low, high]).all()):
                raise ConversionError(
                    f"its constant '{tensor.name}' holds values that are no numbers",
                    node=next(iter(origin(node)), node.name),
                    operator=node.op,
                    found="NaN" if np.isnan(low) else "an infinity",
                    remedy=NUMBERS,
                )
    return graph
