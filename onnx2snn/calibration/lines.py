"""Clipped lines: activations that a staircase takes the place of, however they are written; and other places of quantisers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.chains import between
from onnx2snn.activations.expression import Value
from onnx2snn.activations.made_of import MadeOf
from onnx2snn.activations.piecewise_linear import Curve
from onnx2snn.activations.recognise import expressions
from onnx2snn.analysis.channels import channel_axis
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import is_float, origin, producer_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_line
from onnx2snn.passes.recognise.recognise_staircases import between_synapses


@dataclass(frozen=True)
class QuantiserPlace:
    """Where a staircase comes to stand, and what it is to come near to.

        a = low + clip(slope·z + shift, 0, span)

    1. A clipped line of the network: ReLU, ReLU6, Clip(0, c), HardSigmoid, HardTanh. The staircase takes its place.
    2. Any tensor that enters synapses or a product (``ranged``): slope 1, and a range that is chosen from data.

    Arrays broadcast against one sample, without the batch axis: shape () for one value, (C, 1, 1) per channel.

    Attributes:
        node: The user's node that ends it.
        operator: That node's operator.
        root: The tensor that holds z, (N, ...).
        output: The tensor that holds a.
        slope: > 0.
        shift: In units of a.
        low: The smallest a.
        span: The largest a, above ``low``; infinite for a ReLU.
        axis: The axis of z along which its channels lie.
        ranged: Case 2: the float network does not clip there.
        entrance: Of a function without a quantiser in front, the tensor that it is one of: z is that function. Empty: none.
        reach: What that tensor lies between; made up until data was seen.
        rank: Of z.
    """

    node: str
    operator: str
    root: str
    output: str
    slope: NDArray[np.float64]
    shift: NDArray[np.float64]
    low: NDArray[np.float64]
    span: NDArray[np.float64]
    axis: int
    ranged: bool = False
    entrance: str = ""
    reach: tuple[float, float] = (-4.0, 4.0)
    rank: int = 1

    @property
    def argument(self) -> str:
        """The tensor that corrections act on."""
        return self.entrance or self.root

    def value(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """The float network's activation of z (N, ...)."""
        above = self.driven(z)
        if not self.ranged:
            above = np.clip(above, 0, self.span.astype(np.float32))
        return (above + self.low.astype(np.float32)).astype(np.float32)

    def between(self, low: float, high: float) -> QuantiserPlace:
        """Case 2, with its range."""
        bottom = np.asarray(low, np.float64)
        return replace(self, shift=-bottom, low=bottom, span=np.asarray(high, np.float64) - bottom)

    def driven(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """The activation of z before it is clipped: u = slope·z + shift.

        Raises:
            InvalidModelError: some number is not finite.
        """
        u = z.astype(np.float32, copy=False)
        if np.any(self.slope != 1) or np.any(self.shift):
            u = u * self.slope.astype(np.float32) + self.shift.astype(np.float32)
        if not np.isfinite(u).all():
            raise InvalidModelError(
                "what this activation is given is not finite: there is nothing to choose thresholds from",
                node=self.node,
                operator=self.operator,
                remedy="look at the network's weights and at the scale of the data",
            )
        return u


def function_nodes(graph: gs.Graph, place: QuantiserPlace) -> tuple[gs.Node, ...]:
    """What makes z of its entrance, in the order of ``graph``."""
    tensors = graph.tensors()
    order = {id(node): position for position, node in enumerate(graph.nodes)}
    return between(tensors[place.entrance], tensors[place.root], order).nodes


def clipped_lines(graph: gs.Graph) -> list[QuantiserPlace]:
    """Those that lie between synapses, in topological order; what is no clipped line is left out.

    Where synapses follow no activation at all, those behind the last synapses count too.
    """
    found, made_of = expressions(graph), MadeOf(graph)
    ends: list[tuple[gs.Tensor, QuantiserPlace]] = []
    taken: set[int] = set()
    outputs = {id(t) for t in graph.outputs}
    for node in graph.nodes:
        for tensor in node.outputs:
            value = found.get(id(tensor))
            if value is None or value.root is None or value.is_affine or value.is_discrete:
                continue
            if not is_float(tensor) or not (id(tensor) in outputs or _is_read_outside(tensor, value, found)):
                continue
            line = _clipped_line(tensor, value)
            if line is not None and not _is_line_of(value, taken) and not _is_inside(made_of, tensor):
                ends.append((tensor, line))
                taken.add(id(tensor))
    chosen = {id(t) for t in between_synapses(graph, [(found[id(t)].potential, t) for t, _ in ends])}
    return [line for t, line in ends if id(t) in chosen]


def _is_inside(made_of: MadeOf, tensor: gs.Tensor) -> bool:
    """Whether nothing but functions of the same tensor read this one: the gate of a HardSwish is a part of it."""
    readers = tensor.outputs
    return bool(readers) and all(made_of.is_entrywise(r) and not is_line(r) for r in readers)


def ranged_place(tensor: gs.Tensor, quantised: gs.Tensor, entrance: gs.Tensor | None) -> QuantiserPlace:
    """Case 2, before its range is known.

    Args:
        tensor: Holds z.
        quantised: Will hold a.
        entrance: See :class:`QuantiserPlace`.
    """
    maker, nothing = producer_of(tensor), np.zeros(())
    return QuantiserPlace(
        node=tensor.name if maker is None else next(iter(origin(maker)), tensor.name),
        operator="Identity" if maker is None else maker.op,
        root=tensor.name,
        output=quantised.name,
        slope=np.ones(()),
        shift=nothing,
        low=nothing,
        span=nothing,
        axis=channel_axis(entrance or tensor),
        rank=len(tensor.shape),
        ranged=True,
        entrance="" if entrance is None else entrance.name,
    )


def _is_read_outside(tensor: gs.Tensor, value: Value, found: dict[int, Value]) -> bool:
    composed = [found.get(id(reader.outputs[0])) for reader in tensor.outputs]
    return any(other is None or other.root is not value.root for other in composed)


def _is_line_of(value: Value, taken: set[int]) -> bool:
    """Whether ``value`` is a line of an activation that is one already."""
    for node in reversed(value.nodes):
        if id(node.outputs[0]) in taken:
            return True
        if not (of(node).line or of(node).sums or of(node).plain):
            return False
    return False


def _clipped_line(tensor: gs.Tensor, value: Value) -> QuantiserPlace | None:
    parts = _parts(value.of_root)
    if parts is None or value.root is None or value.root.shape is None:
        return None
    rank = len(value.root.shape)
    slope, offset, low, high = (_per_sample(part, rank) for part in parts)
    last = value.nodes[-1]
    return QuantiserPlace(
        node=next(iter(origin(last)), last.name or tensor.name),
        operator=last.op,
        root=value.root.name,
        output=tensor.name,
        slope=slope,
        shift=offset - low,
        low=low,
        span=high - low,
        axis=channel_axis(value.root),
        rank=rank,
    )


def _parts(curve: Curve) -> tuple[NDArray[np.float64], ...] | None:
    """Slope and offset of the line, and the values between which it is clipped; None if it is something else."""
    if len(curve.breaks) not in (1, 2):
        return None
    low, line, *top = curve.pieces
    if (low.slope != 0).any() or not (line.slope > 0).all() or any((t.slope != 0).any() for t in top):
        return None
    for edge, point, before, after in zip(
        curve.breaks, curve.points, curve.pieces, curve.pieces[1:], strict=False
    ):
        if (before.at(edge) != point).any() or (after.at(edge) != point).any():
            return None
    high = top[0].offset.floats() if top else np.array(np.inf)
    return (line.slope.floats(), line.offset.floats(), low.offset.floats(), high)


def _per_sample(values: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    return values.reshape(values.shape[1:]) if values.ndim == rank else values
