"""Activations whose own operators round nothing, and quotients by θ that decide as exact ones do (METHOD 14)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron import Staircase
from onnx2snn.activations.rules import by_rule
from onnx2snn.activations.tables import Table
from onnx2snn.graph.core import Array, constant_input, origin
from onnx2snn.graph.walks import backward
from onnx2snn.operators import of
from onnx2snn.operators.scales import is_power_of_two

#: Levels are counted in float32: so far is a number of few of them from a whole one.
ROUNDING = 2.0**-10


def rounds_nothing(node: gs.Node) -> bool:
    """Whether ``node`` adds, compares, chooses or moves, multiplies by powers of two, or divides in front of a rounding."""
    operator = of(node)
    exact = operator.sums or operator.jumps or operator.whole or operator.roundings == 0
    return bool(exact) or _by_powers_of_two(node) or is_whole_quotient(node)


def _by_powers_of_two(node: gs.Node) -> bool:
    if of(node).neutral != 1:
        return False
    factors = (constant_input(node, i) for i in range(len(node.inputs)))
    return all(is_power_of_two(f) for f in factors if f is not None)


def is_whole_quotient(node: gs.Node) -> bool:
    """Whether ``node`` divides by a constant, and nothing but roundings to whole numbers reads what it answers.

    Of integers m and n > 0 with m + n < 2²⁴, m/n is whole, or at least 1/n from every whole number p: more than half of what is
    between numbers of float32 near p, since p·n ≤ m + n. So float32 rounds m/n to p only where it is p.
    """
    divides = of(node).neutral == 1 and of(node).divides is not None and constant_input(node, 1) is not None
    readers = node.outputs[0].outputs if divides else []
    return bool(readers) and all(of(reader).jumps and len(reader.inputs) == 1 for reader in readers)


def deciding(nodes: Sequence[gs.Node]) -> frozenset[str]:
    """Names of the user's nodes, of an activation's in topological order, that decide a level: all but a line behind it."""

    def decides(node: gs.Node, written: list[bool]) -> bool:
        return of(node).jumps or any(written)

    read = backward(nodes, decides)
    found = (node for node in nodes if decides(node, [id(t) in read for t in node.outputs]))
    return frozenset(name for node in found for name in origin(node))


def divides_whole(nodes: Iterable[gs.Node]) -> bool:
    """Whether each quotient of an activation is one that a rounding reads at once."""
    divisions = [node for node in nodes if of(node).neutral == 1 and of(node).divides is not None]
    return bool(divisions) and all(is_whole_quotient(node) or _by_powers_of_two(node) for node in divisions)


def beside_potential(staircase: Staircase | Table) -> tuple[Array, ...]:
    """What must be on the grid of a potential, and together with it below 2²⁴ steps.

    δ, levels that are taken off in units of θ (o/α of them, where codes are signed), and a θ by which it divides.
    """
    offset = np.asarray(staircase.offset, np.float64)
    if not isinstance(staircase, Staircase):
        return (offset,)
    low = np.asarray(np.ceil(np.abs(staircase.shift / staircase.scale) - ROUNDING) * staircase.threshold)
    if is_power_of_two(staircase.threshold):
        return (offset, low)
    half = by_rule(staircase.rounding, floor=1.0, ceil=1.0, half_even=0.5, half_odd=0.5)
    theta = np.asarray(staircase.threshold * half)
    return (offset, low, theta, theta) if np.any(half < 1) else (offset, low, theta)
