"""Einstein sums as matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Array, is_constant, is_float, signals, value_of
from onnx2snn.operators.batch import static


def as_product(spelling: Spelling, node: gs.Node) -> None:
    """Write an Einsum of two tensors as a product of matrices.

        Einsum "bchw,oc->bohw" (x, W)     becomes     x ─▶ Transpose ─▶ MatMul Wᵀ ─▶ Transpose
        Einsum "bid,bjd->bij" (x, y)      becomes     x ─▶ MatMul ◀─ Transpose ◀─ y

    1. Several axes are summed, or made by a constant: they are one axis around the product.
    2. An ellipsis of the one signal stands for axes that are kept.
    3. An axis of signal and constant that is kept (a product entry by entry), one that only one of them has and that is
       summed, a repeated label, an ellipsis of the constant; several axes summed, or made, of two signals: the node stays.
    """
    product = _product_of(node)
    if product is None:
        return
    (left, right), output = product.operands, node.outputs[0]
    kept, made = product.sizes(product.kept), product.sizes(product.columns)
    several = len(product.summed) != 1 or len(made) != 1
    if several and (not is_constant(right) or not static(kept[1:])):
        return
    node.outputs.clear()
    first = _in_order(spelling, left, product.left, product.kept + product.summed)
    second = product.summed + product.columns
    if is_constant(right):
        turned: Array = value_of(right).transpose([product.right.index(c) for c in second])
        matrix = turned.reshape(math.prod(turned.shape[: len(product.summed)]), -1)
        if several:
            first = _reshaped(spelling, first, [*kept, len(matrix)])
        value = spelling.apply("MatMul", first, matrix, sizes=[*kept, matrix.shape[1]])
        if several:
            value = _reshaped(spelling, value, [*kept, *made])
    else:
        other = _in_order(spelling, right, product.right, product.both + second)
        value = spelling.apply("MatMul", first, other, sizes=[*kept, *made])
    order = [(product.kept + product.columns).index(c) for c in product.result]
    spelling.apply("Transpose", value, output=output, perm=order)


@dataclass(frozen=True)
class _Product:
    """Labels of two operands, the constant last, and of the result."""

    operands: tuple[gs.Tensor, gs.Tensor]
    left: str
    right: str
    result: str

    @property
    def both(self) -> str:
        """Labels of matrices beside each other."""
        return "".join(c for c in self.left if c in self.right and c in self.result)

    @property
    def summed(self) -> str:
        return "".join(c for c in self.left if c in self.right and c not in self.result)

    @property
    def kept(self) -> str:
        """All that the first operand keeps."""
        return self.both + "".join(c for c in self.left if c not in self.right)

    @property
    def columns(self) -> str:
        return "".join(c for c in self.right if c not in self.left)

    def sizes(self, labels: str) -> list[int | str]:
        """Of axes."""
        known = zip(self.left + self.right, [size for t in self.operands for size in t.shape], strict=True)
        of_labels = dict(reversed(list(known)))
        return [of_labels[c] for c in labels]


def _product_of(node: gs.Node) -> _Product | None:
    """None in case 3."""
    equation, arrow, result = str(node.attrs["equation"]).replace(" ", "").partition("->")
    terms = equation.split(",")
    read = signals(node)
    if not arrow or len(terms) != 2 or len(node.inputs) != 2 or not read:
        return None
    if any(t.shape is None or not is_float(t) for t in read):
        return None
    operands = (node.inputs[0], node.inputs[1])
    if is_constant(operands[0]):
        operands, terms = (operands[1], operands[0]), terms[::-1]
    if len(read) == 1:
        terms[0], result = _named(terms, result, len(operands[0].shape))
    found = _Product(operands, terms[0], terms[1], result)
    whole = all(len(set(labels)) == len(labels) and labels.isalpha() for labels in (*terms, result))
    entries = bool(found.both) and is_constant(operands[1])
    rows = len(found.kept) - len(found.both)
    alone = rows == len(found.columns) == len(found.summed) == 1 if len(read) > 1 else rows > 0
    shown = set(result) == set(found.kept + found.columns)
    return found if whole and shown and alone and not entries else None


def _named(terms: list[str], result: str, rank: int) -> tuple[str, str]:
    """Case 2: letters for an ellipsis of the signal."""
    if "..." not in terms[0] or "..." in terms[1]:
        return terms[0], result
    free = [c for c in ascii_uppercase if c not in "".join(terms) + result]
    letters = "".join(free[: rank - len(terms[0].replace("...", ""))])
    return terms[0].replace("...", letters), result.replace("...", letters)


def _in_order(spelling: Spelling, tensor: gs.Tensor, labels: str, wanted: str) -> gs.Tensor:
    perm = [labels.index(c) for c in wanted]
    if perm == sorted(perm):
        return tensor
    return spelling.apply("Transpose", tensor, perm=perm, sizes=[tensor.shape[axis] for axis in perm])


def _reshaped(spelling: Spelling, value: gs.Tensor, sizes: Sequence[int | str]) -> gs.Tensor:
    """To ``sizes``; the first axis is the batch, or counts whatever is left."""
    return spelling.apply("Reshape", value, np.array([-1, *sizes[1:]], np.int64), sizes=sizes)
