"""On which lattice the values of each tensor lie: what sums, maxima and moves leave of neurons' levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.lattice import (
    Lattice,
    added,
    gathered,
    larger,
    negated,
    of_constants,
    scaled,
    single,
    smaller,
    united,
)
from onnx2snn.activations.neuron_nodes import EXTENT, parameters
from onnx2snn.activations.piecewise_linear import ONE
from onnx2snn.activations.rationals import Rationals, moved, ratio, rationals
from onnx2snn.activations.reduction import MAX_LEVELS
from onnx2snn.graph.core import Array, is_constant, is_float, signals, value_of
from onnx2snn.graph.walks import carried
from onnx2snn.operators import of
from onnx2snn.operators.linear import (
    DOMAIN,
    STAIRCASE,
    TABLE_STAIRCASE,
    axes_of,
    compared_axes,
    is_linear,
)
from onnx2snn.operators.places import compact
from onnx2snn.operators.transfer import Domain, is_nothing

#: A constant of more values is not followed, rational by rational.
MAX_ENTRIES = 1 << 15


def lattices(graph: gs.Graph) -> dict[int, Lattice]:
    """By id, of every tensor that lies on one of at most :data:`MAX_LEVELS` + 1 values.

    Args:
        graph: With Staircase nodes.
    """

    def rule(node: gs.Node, found: dict[int, Lattice]) -> Iterable[tuple[int, Lattice]]:
        lattice: Lattice | None
        if node.op in (STAIRCASE, TABLE_STAIRCASE) and node.domain == DOMAIN:
            lattice = _of_levels(0, parameters(node).ceilings)
        elif EXTENT in node.attrs:
            lattice = _of_levels(*node.attrs[EXTENT])
        else:
            lattice = _behind(node, found)
        if lattice is None or (lattice.levels > MAX_LEVELS).any():
            return ()
        known = [t for t in node.outputs if is_float(t) and t.shape is not None]
        return [(id(tensor), _of_rank(lattice, len(tensor.shape))) for tensor in known]

    return carried(graph.nodes, rule)


def _of_rank(lattice: Lattice, rank: int) -> Lattice:
    """The same, its arrays of so many axes, or of one number each."""
    return lattice.map(lambda a: _ranked(a, rank))


def _ranked(values: Rationals, rank: int) -> Rationals:
    def spread(arrays: list[Array]) -> Array:
        whole = compact(arrays[0].reshape((1,) * (rank - values.ndim) + values.shape))
        return whole.reshape(()) if whole.size == 1 else whole

    return moved([values], spread) or values


def _of_levels(low: Array | int, high: Array) -> Lattice:
    least, most = rationals(np.broadcast_to(low, np.shape(high))), rationals(high)
    return Lattice(least, most, most * 0 + 1)


def _behind(node: gs.Node, found: Mapping[int, Lattice]) -> Lattice | None:
    if is_nothing(node):
        return single(0)
    transfer = of(node).transfer
    if transfer is None or not any(id(t) in found for t in signals(node)):
        return None
    read = [_read(t, found) for t in node.inputs if not t.is_empty()]
    known = all(part is not None for part in read)
    result: Lattice | None = transfer(_DOMAIN, node, read) if known else None
    return result


def _read(tensor: gs.Tensor, found: Mapping[int, Lattice]) -> Lattice | None:
    if not is_constant(tensor):
        return found.get(id(tensor))
    values = value_of(tensor)
    if values.dtype.kind not in "fiu" or values.size > MAX_ENTRIES or not np.all(np.isfinite(values)):
        return None
    return of_constants(rationals(values))


def _averaged_entries(node: gs.Node) -> int | None:
    """Of how many entries ``node`` takes the mean; None where that differs by place, or is not known."""
    if of(node).windows:
        counted = node.attrs.get("count_include_pad", 0) or not any(node.attrs.get("pads", ()))
        other = node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.attrs.get(
            "ceil_mode", 0
        )
        return math.prod(node.attrs["kernel_shape"]) if counted and not other else None
    shape = node.inputs[0].shape
    axes = axes_of(node) if of(node).one else range(2, len(shape))
    sizes = [shape[axis] for axis in axes or ()]
    whole = sizes and all(isinstance(size, (int, np.integer)) for size in sizes)
    return int(math.prod(sizes)) if whole else None


class _Lattices(Domain[Lattice]):
    """Sums, multiples and means of lattices; what rounds is none of them."""

    def number(self, value: float) -> Lattice:
        return single(value)

    def total(self, parts: Sequence[Lattice]) -> Lattice:
        return added(parts)

    def negated(self, part: Lattice) -> Lattice:
        return negated(part)

    def product(self, node: gs.Node, parts: list[Lattice]) -> Lattice | None:
        constant = int(is_constant(node.inputs[1]))
        return scaled(parts[1 - constant], parts[constant].low) if is_linear(node) else None

    def quotient(self, node: gs.Node, parts: list[Lattice]) -> Lattice | None:
        divisor = parts[1].low
        return scaled(parts[0], ONE / divisor) if is_linear(node) and (divisor != 0).all() else None

    def mean(self, parts: Sequence[Lattice]) -> Lattice:
        return scaled(added(parts), ratio(1, len(parts)))

    def average(self, node: gs.Node, part: Lattice) -> Lattice | None:
        count = _averaged_entries(node)
        return None if count is None else Lattice(part.low, part.high, part.unit / count)

    def affine(self, part: Lattice, factor: Array, term: Array) -> Lattice:
        factors, terms = (rationals(values.astype(np.float32)) for values in (factor, term))
        return added([scaled(part, factors), of_constants(terms)])

    def larger(self, one: Lattice, other: Lattice) -> Lattice:
        return larger(one, other)

    def smaller(self, one: Lattice, other: Lattice) -> Lattice:
        return smaller(one, other)

    def united(self, one: Lattice, other: Lattice) -> Lattice:
        return united(one, other)

    def gathered(self, part: Lattice) -> Lattice:
        return gathered(part)

    def mapped(self, part: Lattice, function: Callable[[Array], Array | None]) -> Lattice | None:
        return self.joined([part], lambda arrays: function(arrays[0]))

    def joined(
        self, parts: Sequence[Lattice], function: Callable[[list[Array]], Array | None]
    ) -> Lattice | None:
        low, high, unit = (
            moved([getattr(part, name) for part in parts], function) for name in ("low", "high", "unit")
        )
        return None if low is None or high is None or unit is None else Lattice(low, high, unit)

    def compared(self, node: gs.Node, part: Lattice) -> Lattice | None:
        """What is compared comes on one lattice first."""
        rank, axes = len(node.inputs[0].shape), compared_axes(node)
        if axes is None:
            return None
        spread = part.map(lambda a: a.reshape((1,) * (rank - a.ndim) + a.shape))
        return _of_rank(gathered(spread, axes), rank)


_DOMAIN = _Lattices()
