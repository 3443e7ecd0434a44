"""How often operators round, and what their results are multiples of: the rules of their records (METHOD 10)."""

from __future__ import annotations

import math
from collections.abc import Callable

from onnx2snn.operators.running_error import Step


def cells(step: Step) -> int:
    """Length of the sums of a reduction: how many elements become one."""
    return math.ceil(step.signal(0).value.size / max(step.answers[0].size, 1))


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
    return 0 if nearest else 16 * max(step.answers[0].shape)


def squared(step: Step) -> int:
    """Of a sum of squares: each operand counts twice."""
    return cells(step) + 1 + step.signal(0).rounding.terms


def contracted(step: Step) -> int:
    """Products of what is joined."""
    sizes = [s.value.size for s in step.inputs if s is not None]
    return math.ceil(math.prod(sizes) / max(step.answers[0].size, 1))


def added_up(step: Step) -> int:
    """Of running sums."""
    return max(step.shape(0), default=0)
