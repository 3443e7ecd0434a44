"""How far float32 may be from exact arithmetic, between one layer of neurons and the next.

The running error analysis of Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. (SIAM 2002), sections 3.1, 3.3
and lemma 3.1: in whatever order a sum of products is taken, with fused multiply-adds or without, every product reaches the
result multiplied by at most n factors (1 + ε), |ε| ≤ u = 2⁻²⁴, so that

    |computed − exact| ≤ γ_n · Σ|w|·|x|,        γ_n = n·u / (1 − n·u).

n counts the roundings on the longest way through the operators (here); Σ|w|·|x| is the same way travelled with absolute
values (:mod:`onnx2snn.certificate.magnitudes`). Where every number is a multiple of one power of two, and sums stay below 2²⁴
of it, nothing is rounded at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnx2snn.float64.network import before_jumps, from_sizes
from onnx2snn.model.weights import SplitModel, is_hollow, let_go
from onnx2snn.operators import of
from onnx2snn.operators.running_error import ANY, Shapes, Step

#: Unit roundoff of float32, and of float64.
UNIT, UNIT64 = 2.0**-24, 2.0**-53
#: Integers up to here are exact in float32.
EXACT = 2.0**24
#: Values that are looked at together: enough for NumPy, and little memory.
BLOCK = 1 << 20

Array: TypeAlias = NDArray[Any]


def gamma(n: int) -> float:
    """γ_n."""
    return n * UNIT / (1 - n * UNIT)


def coarse(unit: float, operators: int) -> float:
    """What rounding the input, and each of ``operators`` results, to floats coarser than float32 adds; nothing in float32.

    Runtimes add products of such floats in float32, and round the sum once.
    """
    n = operators + 2
    return 0.0 if unit <= UNIT else n * unit / max(1 - n * unit, 0.5)


@dataclass(frozen=True)
class Rounding:
    """What can be said of one potential's rounding.

    Attributes:
        terms: Roundings on the longest way to it: n of γ_n.
        constants: Roundings that its constants may have gone through in conversion, in operators on the way.
        quantum: A power of two of which it is a multiple, sums and all; 0 where there is none.
        operators: How many operators that round lie on the longest way to it.
    """

    terms: int
    constants: int
    quantum: float
    operators: int = 0


class Analysis:
    """Walks through the operators of a cut.

    Args:
        model: The cut; one output.
        shapes: Of its tensors.
        quanta: Of its inputs: the power of two of which they hold multiples; 0 or missing: unknown.
    """

    def __init__(self, model: SplitModel, shapes: Shapes, quanta: Mapping[str, float]) -> None:
        graph = model.structure.graph
        self._shapes = shapes
        self._constants = constants_of(model)
        self._valued = {name for node in graph.node for name in node.output} - from_sizes(graph)
        self._shared = before_jumps(graph)  # computed alike by both networks, bit for bit
        self._terms: dict[str, int] = {}
        self._weights: dict[str, int] = {}
        self._operators: dict[str, int] = {}
        self._quanta = {
            name: quantum(value) for name, value in self._constants.items() if value.dtype.kind == "f"
        }
        self._quanta.update(quanta)
        for node in graph.node:
            self._visit(node)
        self._output = graph.output[0].name

    @property
    def result(self) -> Rounding:
        """Of the cut's output."""
        name = self._output
        return Rounding(
            self._terms.get(name, 0),
            self._weights.get(name, 0),
            self._quanta.get(name, 0.0),
            self._operators.get(name, 0),
        )

    @property
    def in_front(self) -> dict[str, float]:
        """Of what jumps read, and of what that is made of: quanta, 0 where there is none."""
        return {name: self._quanta.get(name, 0.0) for name in self._shared & self._valued}

    def _visit(self, node: onnx.NodeProto) -> None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        step = Step(node, attributes, self._shapes, self._constants)
        terms = max((self._terms.get(name, 0) for name in node.input), default=0) + step.roundings()
        if of(node).bilinear and not step.constants():  # a product of signals: errors of both
            terms = sum(self._terms.get(name, 0) for name in node.input) + step.roundings()
        weights = max((self._weights.get(name, 0) for name in node.input), default=0) + 2 * bool(
            step.constants()
        )
        operators = max((self._operators.get(n, 0) for n in node.input), default=0) + bool(step.roundings())
        for name in node.output:
            self._operators[name] = operators
            self._terms[name] = 0 if name in self._shared else terms
            self._weights[name] = 0 if name in self._shared else weights
            self._quanta[name] = step.quantum([self._quanta.get(i, 0.0) for i in node.input if i])


def constants_of(model: SplitModel) -> dict[str, Array]:
    """By name, large weights among them."""
    initializers = model.structure.graph.initializer
    return {t.name: numpy_helper.to_array(t) for t in initializers if not is_hollow(t)} | dict(model.weights)


def quantum(values: Array) -> float:
    """The largest power of two of which all ``values`` are multiples."""
    flat = values.reshape(-1)
    found = min((_quantum(flat[i : i + BLOCK]) for i in range(0, flat.size, BLOCK)), default=ANY)
    let_go(values)
    return found


def _quantum(values: Array) -> float:
    nonzero = np.abs(values.astype(np.float64))
    nonzero = nonzero[nonzero > 0]
    if nonzero.size == 0:
        return ANY
    if not np.isfinite(nonzero).all():
        return 0.0
    mantissa, exponent = np.frexp(nonzero)
    digits = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.log2((digits & -digits).astype(np.float64))
    return float(2.0 ** np.min(exponent - 53 + lowest))
