"""How an operator rounds, and what its results are multiples of (METHOD 10): the rules of the running error analysis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx

from onnx2snn.graph.core import Array
from onnx2snn.operators.scales import is_power_of_two
from onnx2snn.operators.table import Quantum, of

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

#: Of a constant that is zero: a multiple of anything.
ANY = 2.0**100
#: Roundings of a function of one value, which runtimes compute within a few ulp.
FUNCTION = 8


@dataclass(frozen=True)
class Step:
    """One operator, with what its rules ask for."""

    node: onnx.NodeProto
    attributes: Mapping[str, Any]
    shapes: Shapes
    values: Mapping[str, Array]

    def size(self, name: str) -> int:
        """Elements of a tensor."""
        return math.prod(self.shapes.get(name, ()))

    def shape(self, position: int) -> tuple[int, ...]:
        """Of an input."""
        return self.shapes.get(self.node.input[position], ())

    def constants(self) -> list[Array]:
        """Float constants that it reads."""
        return [
            self.values[n] for n in self.node.input if n in self.values and self.values[n].dtype.kind == "f"
        ]

    def roundings(self) -> int:
        """Roundings between an input of this operator and its output, at most."""
        rule = of(self.node).roundings
        known = all(name in self.shapes for name in [*self.node.input[:1], *self.node.output])
        if rule is None or (callable(rule) and not known):
            return FUNCTION
        return rule(self) if callable(rule) else rule

    def quantum(self, inputs: list[float]) -> float:
        """Of the output, where those of the inputs are known."""
        rule = of(self.node).quantum
        return rule(self, inputs) if rule is not None else 0.0


def cells(step: Step) -> int:
    """Length of the sums of a reduction: how many elements become one."""
    return math.ceil(step.size(step.node.input[0]) / max(step.size(step.node.output[0]), 1))


def kernel(step: Step) -> int:
    """Cells of a window."""
    return math.prod(step.attributes["kernel_shape"])


def operands(step: Step) -> int:
    """Tensors that it reads."""
    return len(step.node.input)


def one_more(count: Callable[[Step], int]) -> Callable[[Step], int]:
    """A sum of so many, and a division or a bias."""
    return lambda step: count(step) + 1


def convolved(step: Step) -> int:
    """Products of a convolution, and the bias."""
    return math.prod(step.shape(1)[1:]) + 1


def spread_out(step: Step) -> int:
    """Products of a transposed convolution, and the bias."""
    w = step.shape(1)
    return w[0] // int(step.attributes.get("group", 1)) * math.prod(w[2:]) + 1


def gemm(step: Step) -> int:
    """Products, alpha, beta and the bias."""
    return step.shape(1)[1 if step.attributes.get("transB", 0) else 0] + 3


def matmul(step: Step) -> int:
    """Products."""
    return step.shape(0)[-1]


def normalised(step: Step) -> int:
    """Exponentials, their sum, a quotient."""
    return max(step.shape(0)) + 16


def resized(step: Step) -> int:
    """Coefficients, whose places are rounded."""
    nearest = step.attributes.get("mode", b"nearest") == b"nearest"
    return 0 if nearest else 16 * max(step.shapes[step.node.output[0]])


def smallest(_: Step, inputs: list[float]) -> float:
    """Sums, and copies of several."""
    return min(inputs, default=0.0)


def first(_: Step, inputs: list[float]) -> float:
    """Copies and sums of the first."""
    return inputs[0]


def whole(_step: Step, _inputs: list[float]) -> float:
    """Integers."""
    return 1.0


def chosen(_: Step, inputs: list[float]) -> float:
    """Copies of what is chosen from."""
    return min(inputs[1:], default=0.0)


def padded(step: Step, inputs: list[float]) -> float:
    """Copies, and the number that pads."""
    filled = len(step.node.input) > 2 and step.node.input[2]
    return min(inputs[0], inputs[2]) if filled else inputs[0]


def product(_: Step, inputs: list[float]) -> float:
    """Products of the first two, and a bias where there is one."""
    return min(inputs[0] * inputs[1], *inputs[2:], ANY)


def scaled_product(step: Step, inputs: list[float]) -> float:
    """As :func:`product`, where alpha and beta are 1."""
    factors = (float(step.attributes.get("alpha", 1.0)), float(step.attributes.get("beta", 1.0)))
    return product(step, inputs) if factors == (1.0, 1.0) else 0.0


def quotient(step: Step, inputs: list[float]) -> float:
    """By powers of two."""
    divisor = step.values.get(step.node.input[1])
    if divisor is None or not is_power_of_two(divisor):
        return 0.0
    return inputs[0] / float(np.max(np.abs(divisor)))


def mean(count: Callable[[Step], int]) -> Quantum:
    """Of a number that is a power of two."""

    def rule(step: Step, inputs: list[float]) -> float:
        n = count(step)
        uneven = step.attributes.get("ceil_mode", 0) or (
            any(step.attributes.get("pads", ())) and not step.attributes.get("count_include_pad", 0)
        )
        same = step.attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID", "NOTSET", "VALID")
        return min(inputs) / n if n & (n - 1) == 0 and not uneven and same else 0.0

    return rule


def nearest(step: Step, inputs: list[float]) -> float:
    """Copies, where nothing is interpolated."""
    return inputs[0] if step.attributes.get("mode", b"nearest") == b"nearest" else 0.0
