"""Einstein sums as matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import Spelling, spells
from onnx2snn.graph.core import Array, is_constant, is_float, signals, value_of
from onnx2snn.operators.batch import static


@spells("Einsum")
def spell_einsum(spelling: Spelling, node: gs.Node) -> None:
    """Write an Einsum of one signal and one constant as a product with a matrix.

        Einsum "bchw,oc->bohw" (x, W)     becomes     x ─▶ Transpose ─▶ MatMul Wᵀ ─▶ Transpose

    1. Several axes are summed, or made by the constant: they are one axis around the product.
    2. An ellipsis of the signal stands for axes that are kept.
    3. An axis of signal and constant that is kept (a product entry by entry), one that only the signal has and that is
       summed, a repeated label, an ellipsis of the constant: the node stays.
    4. Two signals (attention), with one axis that is summed and one that each keeps alone: a product of matrices.
    """
    if len(node.inputs) == 2 and len(signals(node)) == 1:
        terms = _terms(node)
        if terms is not None:
            _product(spelling, node, terms)
    elif len(node.inputs) == 2 and len(signals(node)) == 2:
        _of_signals(spelling, node)


def _of_signals(spelling: Spelling, node: gs.Node) -> None:
    """Case 4: "bid,bjd->bij" becomes MatMul of (b, i, d) and (b, d, j)."""
    read, _, result = str(node.attrs["equation"]).replace(" ", "").partition("->")
    left, _, right = read.partition(",")
    both = "".join(c for c in left if c in right and c in result)
    summed = "".join(c for c in left if c in right and c not in result)
    rows, columns = (
        "".join(c for c in one if c not in other) for one, other in ((left, right), (right, left))
    )
    whole = all(len(set(labels)) == len(labels) and labels.isalpha() for labels in (left, right, result))
    if (
        not whole
        or (len(summed), len(rows), len(columns)) != (1, 1, 1)
        or not set(rows + columns) <= set(result)
    ):
        return
    if set(result) != set(both + rows + columns) or any(
        t.shape is None for t in (*node.inputs, *node.outputs)
    ):
        return
    output = node.outputs[0]
    node.outputs.clear()
    first = _in_order(spelling, node.inputs[0], left, both + rows + summed)
    second = _in_order(spelling, node.inputs[1], right, both + summed + columns)
    sizes = dict(zip(left + right, [*node.inputs[0].shape, *node.inputs[1].shape], strict=True))
    made = both + rows + columns
    product = spelling.apply("MatMul", first, second, sizes=[sizes[c] for c in made])
    spelling.apply("Transpose", product, output=output, perm=[made.index(c) for c in result])


def _in_order(spelling: Spelling, tensor: gs.Tensor, labels: str, wanted: str) -> gs.Tensor:
    perm = [labels.index(c) for c in wanted]
    if perm == sorted(perm):
        return tensor
    return spelling.apply("Transpose", tensor, perm=perm, sizes=[tensor.shape[axis] for axis in perm])


@dataclass(frozen=True)
class _Terms:
    """Labels: of the signal, the constant and the result; ``summed``, ``kept`` by the signal, ``made`` by the constant."""

    signal: str
    constant: str
    result: str

    @property
    def summed(self) -> str:
        return "".join(c for c in self.signal if c in self.constant)

    @property
    def kept(self) -> str:
        return "".join(c for c in self.signal if c not in self.constant)

    @property
    def made(self) -> str:
        return "".join(c for c in self.constant if c not in self.signal)


def _terms(node: gs.Node) -> _Terms | None:
    """None in case 3."""
    read, arrow, result = str(node.attrs["equation"]).replace(" ", "").partition("->")
    first, _, second = read.partition(",")
    first, second, result = _named(node, first, second, result)
    read = first + second
    if not arrow or not read.isalpha() or not result.isalpha():
        return None
    terms = _Terms(first, second, result) if is_constant(node.inputs[1]) else _Terms(second, first, result)
    whole = all(len(set(term)) == len(term) for term in (terms.signal, terms.constant, terms.result))
    if not whole or set(terms.result) != set(terms.kept + terms.made) or not is_float(signals(node)[0]):
        return None
    return terms


def _named(node: gs.Node, first: str, second: str, result: str) -> tuple[str, str, str]:
    """Case 2: letters for an ellipsis of the signal; as it is, where the constant has one or the rank is unknown."""
    terms, dots = [first, second], "..."
    position = 1 if is_constant(node.inputs[0]) else 0
    signal = node.inputs[position]
    if dots not in terms[position] or dots in terms[1 - position] or signal.shape is None:
        return first, second, result
    free = [c for c in ascii_uppercase if c not in first + second + result]
    letters = "".join(free[: len(signal.shape) - len(terms[position].replace(dots, ""))])
    first, second, result = (term.replace(dots, letters) for term in (first, second, result))
    return first, second, result


def _product(spelling: Spelling, node: gs.Node, terms: _Terms) -> None:
    signal, output = signals(node)[0], node.outputs[0]
    if signal.shape is None:
        return
    constant = value_of(next(t for t in node.inputs if is_constant(t)))
    sizes = dict(zip(terms.signal, signal.shape, strict=True))
    held = dict(zip(terms.constant, constant.shape, strict=True))
    kept = [sizes.get(c, "") for c in terms.kept]
    made = [held[c] for c in terms.made]
    single = len(terms.summed) == 1 and len(made) == 1
    if not kept or (not single and not static(kept[1:])):
        return
    value = _turned(spelling, signal, terms)
    matrix = _matrix(constant, terms, held)
    if not single:
        value = _reshaped(spelling, value, [*kept, matrix.shape[0]])
    value = spelling.apply("MatMul", value, matrix, sizes=[*kept, matrix.shape[1]])
    if not single:
        value = _reshaped(spelling, value, [*kept, *made])
    order = [(terms.kept + terms.made).index(c) for c in terms.result]
    node.outputs.clear()
    spelling.apply("Transpose", value, output=output, perm=order)


def _matrix(constant: Array, terms: _Terms, sizes: dict[str, int]) -> Array:
    turned: Array = constant.transpose([terms.constant.index(c) for c in terms.summed + terms.made])
    matrix: Array = turned.reshape(math.prod(sizes[c] for c in terms.summed), -1)
    return matrix


def _turned(spelling: Spelling, value: gs.Tensor, terms: _Terms) -> gs.Tensor:
    order = [terms.signal.index(c) for c in terms.kept + terms.summed]
    if order == sorted(order):
        return value
    return spelling.apply("Transpose", value, perm=order, sizes=[value.shape[i] for i in order])


def _reshaped(spelling: Spelling, value: gs.Tensor, sizes: Sequence[int | str]) -> gs.Tensor:
    """To ``sizes``; the first axis is the batch, or counts whatever is left."""
    return spelling.apply("Reshape", value, np.array([-1, *sizes[1:]], np.int64), sizes=sizes)
