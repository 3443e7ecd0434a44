"""Where the batch axis of each tensor is: on axis 0 of the inputs, and wherever operators carry it."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnx2snn.operators import of


def batch_axes(graph: gs.Graph) -> dict[str, int]:
    """By tensor name, the axis that counts samples; not there for constants, and where samples are mixed or unknown.

    The axis may count several entries a sample, sample by sample (N·S after a Reshape of [N, S, C] to [N·S, C]).
    Needs inferred shapes.
    """
    axes = {tensor.name: 0 for tensor in graph.inputs if tensor.shape}
    for node in graph.nodes:
        read = next((t for t in node.inputs if t.name in axes), None)
        if read is None or read.shape is None or node.domain:
            continue
        for tensor in node.outputs:
            axis = None if tensor.shape is None else carried(node, read, axes[read.name], tensor)
            if axis is not None and 0 <= axis < len(tensor.shape):
                axes[tensor.name] = axis
    return axes


def carried(node: gs.Node, read: gs.Tensor, axis: int, written: gs.Tensor) -> int | None:
    """The batch axis of ``written``, given that of ``read``: as the operator says, else where it is from the back."""
    rule = of(node).batch
    return axis + len(written.shape) - len(read.shape) if rule is None else rule(node, read, axis, written)
