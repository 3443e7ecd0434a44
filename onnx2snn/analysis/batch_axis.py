"""Where each tensor counts samples: on axis 0 of the inputs, and wherever operators carry them."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.operators import of
from onnx2snn.operators.batch import Samples, kept_behind


def sample_axes(graph: gs.Graph) -> dict[str, Samples]:
    """By tensor name; not there for constants, and where samples are mixed or unknown. Needs inferred shapes."""
    found = {tensor.name: Samples(0) for tensor in graph.inputs if tensor.shape}
    for node in graph.nodes:
        read = next((t for t in node.inputs if t.name in found), None)
        if read is None or read.shape is None or node.domain:
            continue
        rule = of(node).batch or kept_behind
        for tensor in node.outputs:
            samples = None if tensor.shape is None else rule(node, read, found[read.name], tensor)
            if samples is not None and 0 <= samples.axis < len(tensor.shape):
                found[tensor.name] = samples
    return found
