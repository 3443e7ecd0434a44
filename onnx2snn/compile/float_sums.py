"""Matrices of 8-bit weights that read bytes, and whose sums flow on as float32: to residual sums, norms, functions, outputs.

    x·W + b,  x = step·(k − zero),  W = n·unit        becomes        MatMulIntegerToFloat(k, n, step·unit, zero, b)

The kernel of onnxruntime adds up whole numbers, which is exact, and rounds each sum where it is multiplied and where the bias is
added.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.byte_functions import MICROSOFT, Function, codes_of
from onnx2snn.compile.byte_store import ByteStore
from onnx2snn.compile.byte_synapses import whole_rows


def write_float_sums(
    store: ByteStore, node: onnx.NodeProto, weights: NDArray[np.float32], function: Function
) -> bool:
    """Whether ``node`` has been written as such a product.

    Args:
        store: Where.
        node: A matrix.
        weights: Its weights, (outputs, inputs).
        function: What it reads first, as a function of bytes.
    """
    draft = store.draft
    codes = codes_of(function) if function.is_of_one else None
    given = any(node.input[2:])
    bias = draft.value(node.input[2]) if given else None
    if codes is None or (given and (bias is None or bias.size != len(weights))):
        return False
    found = whole_rows(weights)
    if found is None:
        return False
    rows, unit = found
    bytes_ = store.laid(store.code(node.input[0], function, codes), False)
    at = draft.at(node.output[0])
    read = [bytes_.name, at.constant(rows.T, np.int8), at.constant(1), at.constant(unit * codes.step)]
    read.append(at.constant(codes.zero, np.uint8))
    if bias is not None:
        read += ["", at.constant(bias.reshape(-1))]
    at.end("MatMulIntegerToFloat", read, domain=MICROSOFT)
    return True
