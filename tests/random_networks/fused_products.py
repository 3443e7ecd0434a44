"""Products of matrices that hold more than one operator, or packed weights."""

from __future__ import annotations

import numpy as np

from random_networks.activations import activate
from random_networks.attributes import chosen
from random_networks.building import MICROSOFT, Building, Tensor
from random_networks.synapses import summed


def fused_gemm(b: Building, x: Tensor) -> Tensor | None:
    """FusedGemm: a dense layer and its activation; then a quantiser."""
    given, outputs = chosen(b, "FusedGemm"), b.pick([4, 6])
    if b.exact:
        given.update(activation="Relu")
    needed = {"LeakyRelu": ("activation_alpha",), "HardSigmoid": ("activation_alpha", "activation_beta")}
    given |= {name: b.pick([0.25, 0.5]) for name in needed.get(given["activation"], ())}
    weights, bias = b.weights((x.channels, outputs), (0,), x), b.bias((outputs,))
    read = b.op("Transpose", x, perm=[1, 0]) if given.get("transA") else x
    held = np.ascontiguousarray(weights.T) if given.get("transB") else weights
    y = b.op("FusedGemm", read, held, bias, domain=MICROSOFT, **given)
    b.typed(y, [outputs])
    alpha, beta = (np.float32(given.get(name, 1.0)) for name in ("alpha", "beta"))
    return activate(b, summed(b, x, y, weights * alpha, (0,), bias * beta))


def fused_matmul(b: Building, x: Tensor) -> Tensor | None:
    """FusedMatMul or TransposeMatMul of tokens, each operand laid out as its attributes turn it."""
    operator = b.any_of(["FusedMatMul", "TransposeMatMul"])
    given, outputs = chosen(b, operator), b.pick([4, 3])
    alpha = np.float32(given.get("alpha", 1.0))
    weights = b.weights((1, x.shape[1], outputs), (1,), x)
    left = [0, 1, 2]
    if given.get("transA"):
        left = [0, 2, 1]
    if given.get("transBatchA"):
        left = [left[1], left[0], left[2]]
    right = np.swapaxes(weights, 1, 2) if given.get("transB") else weights
    if given.get("transBatchB"):
        right = np.swapaxes(right, 0, 1)
    read = x if left == [0, 1, 2] else b.op("Transpose", x, perm=left)
    y = b.op(operator, read, np.ascontiguousarray(right), domain=MICROSOFT, **given)
    b.typed(y, [x.shape[0], outputs])
    return activate(b, summed(b, x, y, weights * alpha, (1,), None))


def packed_matmul(b: Building, x: Tensor) -> Tensor | None:
    """MatMulNBits: weights of few bits, a scale for each block of rows; at a level of accuracy that rounds what it reads, too."""
    given, rows, outputs = chosen(b, "MatMulNBits"), x.shape[-1], b.pick([4, 6])
    if given.get("accuracy_level") == 4 and not b.hybrid:
        del given["accuracy_level"]
    given.update(K=rows, N=outputs)
    bits, size = int(given.get("bits", 4)), int(given["block_size"])
    blocks = -(-rows // size)
    codes = b.hold(b.random.integers(0, 256, (outputs, blocks, size * bits // 8)), np.uint8)
    scales = b.hold(b.random.uniform(0.5, 1.0, (outputs, blocks)) * 2.0**-bits)
    zeros = b.pick(["none", "packed", *(["floats"] if bits < 8 else [])])
    zero = None
    if zeros == "packed":
        zero = b.hold(b.random.integers(0, 256, (outputs, -(-blocks * bits // 8))), np.uint8)
    elif zeros == "floats":
        zero = b.hold(b.random.uniform(0, 2**bits, (outputs, blocks)))
    bias = b.bias((outputs,)) if b.flip() else None
    y = b.op("MatMulNBits", x, codes, scales, zero, None, bias, domain=MICROSOFT, **given)
    b.typed(y, [*x.shape[:-1], outputs])
    return activate(b, b.value(y, like=x, top=4.0, levels=False, finite=False))


def packed_table(b: Building, x: Tensor) -> Tensor | None:
    """Rows of a table of packed codes, by the level of each entry, added to it."""
    given = chosen(b, "GatherBlockQuantized")
    bits, size, columns = int(given.get("bits", 4)), int(given.get("block_size", 128)), x.shape[-1]
    count, blocks = 5, -(-columns // size)
    width = -(-columns * bits // 8)
    codes = b.hold(b.random.integers(0, 256, (count, width)), np.uint8)
    scales = b.hold(b.random.uniform(0.5, 1.0, (count, blocks)) * 2.0**-bits)
    packed = -(-blocks * bits // 8)
    zero = b.hold(b.random.integers(0, 256, (count, packed)), np.uint8) if b.flip() else None
    if columns * bits % 8:
        return None
    places = b.hold(b.random.integers(0, count, x.shape[:-1]), np.int64)
    rows = b.op("GatherBlockQuantized", codes, places, scales, zero, domain=MICROSOFT, **given)
    b.typed(rows, [])
    b.types[rows].tensor_type.shape.CopyFrom(_shape_of(x))
    return activate(b, b.value(b.op("Add", x, rows), like=x, levels=False, finite=False))


def _shape_of(x: Tensor) -> object:
    from onnx import helper  # noqa: PLC0415

    return helper.make_tensor_type_proto(1, x.shape).tensor_type.shape
