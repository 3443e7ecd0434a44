"""A layer of synapses as one 8-bit convolution of onnxruntime, or of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx2snn.compile.byte_functions import MICROSOFT, ByteTensor
from onnx2snn.compile.byte_lines import ByteLine
from onnx2snn.compile.byte_store import ByteStore
from onnx2snn.compile.byte_synapses import ByteLayer
from onnx2snn.compile.draft import attributes
from onnx2snn.compile.int8_kernels import signed_kernels_are_exact
from onnx2snn.compile.integers import operand
from onnx2snn.operators.linear import is_convolution


def convolved(
    store: ByteStore, layer: ByteLayer, line: ByteLine, base: ByteTensor, zero: int
) -> ByteTensor | None:
    """The bytes behind synapses; None where a matrix is not read as one.

    Args:
        store: Where it is written.
        layer: The synapses.
        line: What their kernel rounds.
        base: The bytes that they read.
        zero: The byte that stands for 0, and at borders.
    """
    draft, node = store.draft, layer.node
    behind = layer.inside[-1] if not layer.pools else node.output[0]
    sizes = draft.sample_shape(behind)
    if sizes is None:
        return None
    at, last = draft.at(layer.neurons[0].output[0]), draft.target.contributed
    held: dict[str, Any] = attributes(node) if is_convolution(node) else {}
    weights = layer.weights
    values, w_zero = operand(weights, base.top, signed=last and signed_kernels_are_exact())
    if is_convolution(node):
        last = last and len(sizes) == 3
        x = store.laid(base, last).name
    else:
        if not last and len(base.sizes) != 1:
            return None
        values = values.reshape(*values.shape, 1, 1)
        shape = [1, 1, -1, weights.shape[1]] if last else [-1, weights.shape[1], 1, 1]
        x = at.add("Reshape", [store.laid(base, False).name, at.constant(shape, np.int64)])
    one = at.constant(1)
    read = [
        x,
        one,
        at.constant(zero, np.uint8),
        at.constant(values, values.dtype),
        at.constant(line.multiplier),
    ]
    read += [at.constant(np.full(len(weights), w_zero), w_zero.dtype), one, at.constant(line.zero, np.uint8)]
    read.append(at.constant(line.bias, np.int32))
    if last:
        held |= {"domain": MICROSOFT, "channels_last": 1}
    y = at.add("QLinearConv", read, **held)
    if not is_convolution(node):
        y = at.add("Reshape", [y, at.constant([-1, *sizes], np.int64)])
        last = False
    return ByteTensor(y, last, sizes)
