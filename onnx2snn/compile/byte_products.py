"""Matrix products of two functions of bytes, as 8-bit kernels compute them (QLinearMatMul).

    Σ (x + c)·(y + d)    a product of two signals whose levels have zero points, as it is converted: Σ x·y, and beside it, as
                         the neuron's bias, the silent parts c·Σ y or d·Σ x

Both operands are multiples of a step, so the potential is unit·Σ (a − za)·(b − zb), and one rounding passes its thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx2snn.compile.byte_functions import ByteTensor, Function, codes_of
from onnx2snn.compile.byte_lines import ByteLine, line_of
from onnx2snn.compile.byte_store import ByteStore
from onnx2snn.compile.draft import Draft
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ByteProduct:
    """A matrix product of what may be functions of bytes, and a number beside it.

    Attributes:
        left: Its first operand, or the number that all entries of that are.
        right: Its second one.
        terms: How many products a sum has.
        own: What is added.
    """

    left: Function | float
    right: Function | float
    terms: int
    own: float = 0.0


def product_of(
    draft: Draft, node: onnx.NodeProto, left: Function | None, right: Function | None
) -> ByteProduct | None:
    """``node`` as such a product; None where it is none.

    Args:
        draft: The network.
        node: An operator of it.
        left: What its first operand is of bytes; None: nothing.
        right: The same of its second one.
    """
    if of(node).weights is None or is_convolution(node) or node.attribute or len(node.input) != 2:
        return None
    operands: list[Function | float] = []
    for name, function in zip(node.input, (left, right), strict=True):
        held = draft.value(name) if function is None else None
        if function is not None and function.is_of_one:
            operands.append(function)
        elif held is not None and held.size and np.all(held == held.flat[0]):
            operands.append(float(held.flat[0]))
        else:
            return None
    terms = [one.bases[0].sizes for one in operands if isinstance(one, Function)]
    if not terms or any(len(sizes) < 2 for sizes in terms):
        return None
    inner = terms[0][-1] if isinstance(operands[0], Function) else terms[0][-2]
    return ByteProduct(operands[0], operands[1], inner)


def with_number(product: ByteProduct, number: NDArray[np.float32] | None) -> ByteProduct | None:
    """The same, and a constant of one number added."""
    if number is None or number.size != 1:
        return None
    return replace(product, own=product.own + float(number.reshape(())))


def with_silence(product: ByteProduct, silent: ByteProduct | None) -> ByteProduct | None:
    """Σ x·y + c·Σ y + own as one product of x + c and y; None where the second is none of the first's silent parts."""
    if silent is None:
        return product
    left, right = product.left, product.right
    if isinstance(silent.left, float) and _is_same(silent.right, right):
        left = _raised(left, silent.left)
    elif isinstance(silent.right, float) and _is_same(silent.left, left):
        right = _raised(right, silent.right)
    else:
        return None
    return ByteProduct(left, right, product.terms, product.own + silent.own)


def _raised(operand: Function | float, more: float) -> Function | float:
    if isinstance(operand, float):
        return operand + more
    return replace(operand, values=(operand.values.astype(np.float64) + more).astype(np.float32))


def _is_same(one: Function | float, other: Function | float) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return one == other
    return one.bases == other.bases and np.array_equal(one.values, other.values)


def multiplied(
    store: ByteStore, node: onnx.NodeProto, product: ByteProduct, thresholds: list[Array], stem: str
) -> tuple[ByteTensor, ByteLine] | None:
    """The bytes behind a product, and which of them have reached which thresholds; None where no kernel passes these.

    Args:
        store: Where it is written.
        node: The product.
        product: What it is of bytes.
        thresholds: By neuron, finite and rising.
        stem: What new tensors are named after.
    """
    left, right = product.left, product.right
    sizes = store.draft.sample_shape(node.output[0])
    if isinstance(left, float) or isinstance(right, float) or sizes is None:
        return None
    first, second = codes_of(left), codes_of(right)
    if first is None or second is None or any(t.ndim != 1 for t in thresholds):
        return None
    unit, own = np.array([first.step * second.step]), np.array([product.own])
    line = line_of(thresholds, own, unit, whole=False, terms=product.terms, free=False)
    if line is None:
        return None
    at = store.draft.at(stem)
    read = []
    for name, function, codes, factor in zip(
        node.input, (left, right), (first, second), (line.multiplier[0], np.float32(1)), strict=True
    ):
        base = store.laid(store.code(name, function, codes), False)
        read += [base.name, at.constant(factor), at.constant(codes.zero, np.uint8)]
    read += [at.constant(1), at.constant(line.zero, np.uint8)]
    return ByteTensor(at.add("QLinearMatMul", read), False, sizes), line
