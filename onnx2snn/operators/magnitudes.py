"""Operators on magnitudes: what makes Σ|w|·|x| of an operator (METHOD 10).

Every rule keeps one promise. Where each input x of an operator is off by at most ε·M(x), and |x| ≤ M(x), then its output y is
off by at most ε'·M(y), with ε' ≥ ε the next running error, and |y| ≤ M(y).

1. Linear operators: the same operator, with |w|; differences become sums.
2. Maxima, minima, selections of signals: at most the largest of the errors.
3. Functions f of one value with a slope of at most L: L·M(x) + |f(0)|.
4. Softmax: its outputs change by at most twice the largest change of its inputs.
5. Interpolation: at most the largest of the neighbours, whose coefficients are rounded too.
6. Products of signals: the product of magnitudes (errors add).
7. Casts: integers, which are read as they are, lose their sign where they become numbers.

Anything else has no rule: then there is no bound, and what is said of it has to be measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.operators.table import Magnitude

if TYPE_CHECKING:
    from onnx2snn.certificate.magnitudes import Writer


def same(writer: Writer, node: onnx.NodeProto) -> bool:
    """Rules 1, 2 and 6: the operator itself."""
    writer.copy(node)
    return True


def instead(op: str) -> Magnitude:
    """Rules 1 and 2: another operator, where a sign is lost."""

    def rule(writer: Writer, node: onnx.NodeProto) -> bool:
        writer.copy(node, op)
        return True

    return rule


def gemm(writer: Writer, node: onnx.NodeProto) -> bool:
    """Rule 1, factors too."""
    for attribute in writer.copy(node).attribute:
        if attribute.name in ("alpha", "beta"):
            attribute.f = abs(attribute.f)
    return True


def by_constant(writer: Writer, node: onnx.NodeProto) -> bool:
    """Rule 1, of a constant divisor."""
    return writer.value(node.input[1]) is not None and same(writer, node)


def chosen(writer: Writer, node: onnx.NodeProto) -> bool:
    """Rule 2, where a constant chooses."""
    return writer.value(node.input[0]) is not None and same(writer, node)


def function(slope: float, at_zero: float = 0.0) -> Magnitude:
    """Rule 3."""
    return lambda writer, node: writer.line(node, slope, at_zero)


def clip(writer: Writer, node: onnx.NodeProto) -> bool:
    """Rule 3: what zero is clipped to."""
    limits = [writer.value(name) for name in node.input[1:] if name]
    if any(limit is None for limit in limits):
        return False
    low = writer.value(node.input[1]) if len(node.input) > 1 and node.input[1] else None
    high = writer.value(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    at_zero = max(
        0.0, float(np.max(low)) if low is not None else 0.0, -float(np.min(high)) if high is not None else 0.0
    )
    return writer.line(node, 1.0, at_zero)


def cast(writer: Writer, node: onnx.NodeProto) -> bool:
    """Rule 7."""
    signed = f"{node.output[0]}/signed"
    writer.copy(node).output[0] = signed
    writer.add("Abs", [signed], [node.output[0]])
    return True


def leaky(default: float) -> Magnitude:
    """Rule 3: a slope that the node may give."""

    def rule(writer: Writer, node: onnx.NodeProto) -> bool:
        alpha = next((a.f for a in node.attribute if a.name == "alpha"), default)
        return writer.line(node, max(1.0, abs(alpha)), 0.0)

    return rule


def softmax(at_most: float) -> Magnitude:
    """Rule 4."""

    def rule(writer: Writer, node: onnx.NodeProto) -> bool:
        axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
        x, y = node.input[0], node.output[0]
        axes = helper.make_node(
            "Constant", [], [f"{y}/axes"], value=numpy_helper.from_array(np.array([axis]))
        )
        writer.nodes.append(axes)
        writer.add("ReduceMax", [x, f"{y}/axes"], [f"{y}/largest"], keepdims=1)
        writer.add("Mul", [f"{y}/largest", writer.hold(f"{y}/two", 2.0)], [f"{y}/twice"])
        writer.add("Add", [f"{y}/twice", writer.hold(f"{y}/most", at_most)], [f"{y}/bound"])
        writer.add("Mul", [x, writer.hold(f"{y}/none", 0.0)], [f"{y}/nothing"])
        writer.add("Add", [f"{y}/bound", f"{y}/nothing"], [y])
        return True

    return rule


def resize(writer: Writer, node: onnx.NodeProto) -> bool:
    """Rule 5: neighbours up to two cells away; cubic coefficients add up to less than 1.4 in absolute value, each axis."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    mode, rank = attributes.get("mode", b"nearest"), writer.rank(node.input[0]) - 2
    if mode == b"nearest":
        return same(writer, node)
    if rank < 1 or attributes.get("antialias", 0):
        return False
    x, y = node.input[0], node.output[0]
    writer.add("MaxPool", [x], [f"{y}/neighbours"], kernel_shape=[5] * rank, pads=[2] * (2 * rank))
    fresh = writer.copy(node)
    fresh.input[0], fresh.output[0] = f"{y}/neighbours", f"{y}/blended"
    for attribute in fresh.attribute:
        if attribute.name == "mode":
            attribute.s = b"linear"
        elif attribute.name == "extrapolation_value":
            attribute.f = abs(attribute.f)
    writer.add("Mul", [f"{y}/blended", writer.hold(f"{y}/sum", 1.4**rank)], [y])
    return True


def batch_norm(writer: Writer, node: onnx.NodeProto) -> bool:
    """γ/σ·(x − μ) + β, with |γ| and |β|, and −|μ| so that the difference is a sum."""
    fresh = writer.copy(node)
    mean = writer.value(node.input[3])
    if mean is None:
        return False
    fresh.input[3] = writer.hold(f"{node.input[3]}/minus", -np.abs(mean))
    return True
