"""On which lattice the values of each tensor lie: what sums, maxima and moves leave of neurons' levels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.expression import Value
from onnx2snn.activations.jumps import exact
from onnx2snn.activations.lattice import (
    Lattice,
    added,
    gathered,
    larger,
    negated,
    scaled,
    single,
    smaller,
    united,
)
from onnx2snn.activations.neuron_nodes import parameters
from onnx2snn.activations.piecewise_linear import Rationals, rationals
from onnx2snn.activations.reduction import MAX_LEVELS, clipped_line
from onnx2snn.analysis.selections import SELECTIONS, is_selection, normalisation, padding
from onnx2snn.graph.core import Array, is_constant, is_float, signals, value_of
from onnx2snn.operators.linear import (
    DOMAIN,
    ORDER_PRESERVING,
    STAIRCASE,
    TABLE_STAIRCASE,
    axes_of,
    compared_axes,
    is_linear,
)
from onnx2snn.operators.places import arriving, compact, joined

#: A constant of more values is not followed, rational by rational.
MAX_ENTRIES = 1 << 15


Rule: TypeAlias = "Callable[[gs.Node, list[Lattice]], Lattice | None]"


def lattices(graph: gs.Graph, made: Mapping[int, Value]) -> dict[int, Lattice]:
    """By id, of every tensor that lies on one of at most :data:`MAX_LEVELS` + 1 values.

    Args:
        graph: With Staircase nodes.
        made: What elementwise operators make of one tensor, by id: clips that are spelled with comparisons.
    """
    found: dict[int, Lattice] = {}
    for node in graph.nodes:
        lattice: Lattice | None
        if node.op in (STAIRCASE, TABLE_STAIRCASE) and node.domain == DOMAIN:
            lattice = _of_levels(parameters(node).ceilings)
        elif (lattice := _behind(node, found)) is None and id(node.outputs[0]) in made:
            lattice = _expressed(made[id(node.outputs[0])], found)
        if lattice is None or np.any(lattice.levels > MAX_LEVELS):
            continue
        for tensor in node.outputs:
            if is_float(tensor) and tensor.shape is not None:
                found[id(tensor)] = _of_rank(lattice, len(tensor.shape))
    return found


def _of_rank(lattice: Lattice, rank: int) -> Lattice:
    """The same, its arrays of so many axes, or of one number each."""
    return lattice.map(lambda a: _ranked(a, rank))


def _ranked(values: Rationals, rank: int) -> Rationals:
    whole = compact(values.reshape((1,) * (rank - values.ndim) + values.shape))
    return whole.reshape(()) if whole.size == 1 else whole


def _of_levels(ceilings: Array) -> Lattice:
    whole = rationals(ceilings)
    return Lattice(exact(whole * 0), whole, exact(whole * 0 + 1))


def _behind(node: gs.Node, found: Mapping[int, Lattice]) -> Lattice | None:
    rule = RULES.get(node.op) if not node.domain else None
    if _is_nothing(node):
        return single(0)
    if rule is None or not any(id(t) in found for t in signals(node)):
        return None
    read = [_read(t, found) for t in node.inputs if not t.is_empty()]
    return None if any(lattice is None for lattice in read) else rule(node, read)  # type: ignore[arg-type]


def _expressed(value: Value, found: Mapping[int, Lattice]) -> Lattice | None:
    """Of a clipped line, in whatever operators."""
    whole = found.get(id(value.root))
    line = clipped_line(value.of_root) if whole is not None and value.of_level is None else None
    if whole is None or line is None:
        return None
    slope, offset, low, high = line
    result = added([scaled(whole, slope), _constant(offset)])
    if low is not None:
        result = larger(result, _constant(low))
    return result if high is None else smaller(result, _constant(high))


def _constant(numbers: Rationals) -> Lattice:
    return Lattice(numbers, numbers, exact(numbers * 0))


def _is_nothing(node: gs.Node) -> bool:
    """Whether ``node`` multiplies by zero: how a constant activation is written."""
    factors = [value_of(t) for t in node.inputs if is_constant(t)]
    return node.op == "Mul" and not node.domain and len(factors) == 1 and not np.any(factors[0])


def _read(tensor: gs.Tensor, found: Mapping[int, Lattice]) -> Lattice | None:
    if not is_constant(tensor):
        return found.get(id(tensor))
    values = value_of(tensor)
    if values.dtype.kind not in "fiu" or values.size > MAX_ENTRIES or not np.all(np.isfinite(values)):
        return None
    return _constant(rationals(values))


def _sum(_: gs.Node, read: list[Lattice]) -> Lattice:
    return added(read)


def _product(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    if not is_linear(node):
        return None
    constant = int(is_constant(node.inputs[1]))
    return scaled(read[1 - constant], read[constant].low)


def _divided(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    divisor = read[1].low
    if not is_linear(node) or np.any(divisor == 0):
        return None
    return scaled(read[0], exact(1 / divisor))


def _normalised(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    if not is_linear(node) or not all(is_constant(t) for t in node.inputs[1:]):
        return None
    factor, term = (rationals(values.astype(np.float32)) for values in normalisation(node))
    return _sum(node, [scaled(read[0], factor), _constant(term)])


def _copied(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    """Copies of entries of one sample, perhaps beside a number that pads them; and the largest of some."""
    if node.op in ORDER_PRESERVING:
        return _largest(node, read[0])
    if not is_selection(node):
        return None
    if node.op == "Concat":
        columns = [joined(node, [getattr(part, name) for part in read]) for name in ("low", "high", "unit")]
        if any(column is None for column in columns):
            return united(*(gathered(part) for part in read))
        return Lattice(*columns)  # type: ignore[arg-type]
    fill = padding(node)
    whole = read[0] if fill is None else united(read[0], single(fill))
    return _arrived(node, whole)


def _arrived(node: gs.Node, lattice: Lattice) -> Lattice:
    low, high, unit = (arriving(node, a) for a in (lattice.low, lattice.high, lattice.unit))
    if low is None or high is None or unit is None:
        return gathered(lattice)
    return Lattice(low, high, unit)


def _largest(node: gs.Node, lattice: Lattice) -> Lattice | None:
    """What is compared comes on one lattice first."""
    rank, axes = len(node.inputs[0].shape), compared_axes(node)
    if axes is None:
        return None
    spread = lattice.map(lambda a: a.reshape((1,) * (rank - a.ndim) + a.shape))
    return _arrived(node, _of_rank(gathered(spread, axes), rank))


def _averaged(node: gs.Node, read: list[Lattice]) -> Lattice | None:
    """Means of as many entries everywhere, zeros that pad them among them."""
    count = _averaged_entries(node)
    if count is None or not is_linear(node):
        return None
    padded = node.op == "AveragePool" and any(node.attrs.get("pads", ()))
    whole = _arrived(node, united(read[0], single(0)) if padded else read[0])
    return Lattice(whole.low, whole.high, exact(whole.unit / count))


def _averaged_entries(node: gs.Node) -> int | None:
    """Of how many entries ``node`` takes the mean; None where that differs by place, or is not known."""
    if node.op == "AveragePool":
        counted = node.attrs.get("count_include_pad", 0) or not any(node.attrs.get("pads", ()))
        other = node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.attrs.get(
            "ceil_mode", 0
        )
        return math.prod(node.attrs["kernel_shape"]) if counted and not other else None
    shape = node.inputs[0].shape
    axes = range(2, len(shape)) if node.op == "GlobalAveragePool" else axes_of(node)
    sizes = [shape[axis] for axis in axes or ()]
    whole = sizes and all(isinstance(size, (int, np.integer)) for size in sizes)
    return int(math.prod(sizes)) if whole else None


def _folded(function: Callable[[Lattice, Lattice], Lattice]) -> Rule:
    return lambda _, read: functools.reduce(function, read)


def _clip(node: gs.Node, read: list[Lattice]) -> Lattice:
    result, bounds = read[0], iter(read[1:])
    for tensor, function in zip(node.inputs[1:], (larger, smaller), strict=False):
        if not tensor.is_empty():
            result = function(result, next(bounds))
    return result


def _mean(node: gs.Node, read: list[Lattice]) -> Lattice:
    return scaled(_sum(node, read), exact(Fraction(1, len(read))))


RULES: Mapping[str, Rule] = {
    **dict.fromkeys((*SELECTIONS, *ORDER_PRESERVING), _copied),
    **dict.fromkeys(("AveragePool", "GlobalAveragePool", "ReduceMean"), _averaged),
    "Add": _sum,
    "BatchNormalization": _normalised,
    "Clip": _clip,
    "Div": _divided,
    "Max": _folded(larger),
    "Mean": _mean,
    "Min": _folded(smaller),
    "Mul": _product,
    "Neg": lambda _, read: negated(read[0]),
    "Relu": lambda _, read: larger(read[0], single(0)),
    "Sub": lambda node, read: _sum(node, [read[0], negated(read[1])]),
    "Sum": _sum,
}
