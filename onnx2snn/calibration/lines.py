"""Clipped lines: the activations that calibration makes staircases of, however they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.expression import Value
from onnx2snn.activations.made_of import MadeOf
from onnx2snn.activations.piecewise_linear import Curve
from onnx2snn.activations.recognise import expressions
from onnx2snn.analysis.channels import channel_axis
from onnx2snn.calibration.entering import CHOSEN
from onnx2snn.errors import InvalidModelError
from onnx2snn.graph.core import is_float, origin, producer_of, value_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_line
from onnx2snn.passes.recognise.recognise_staircases import between_synapses


@dataclass(frozen=True)
class ClippedLine:
    """a = low + clip(slope·z + shift, 0, span): ReLU, ReLU6, Clip(0, c), HardSigmoid, HardTanh.

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
        chosen: Whether the range was chosen for a quantiser that was put in: the float network does not clip there.
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
    chosen: bool = False

    def value(self, z: NDArray[Any]) -> NDArray[np.float32]:
        """The float network's activation of z (N, ...)."""
        above = self.driven(z)
        if not self.chosen:
            above = np.clip(above, 0, self.span.astype(np.float32))
        return (above + self.low.astype(np.float32)).astype(np.float32)

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


def clipped_lines(graph: gs.Graph) -> list[ClippedLine]:
    """Those that lie between synapses, in topological order; what is no clipped line is left out.

    Where synapses follow no activation at all, those behind the last synapses count too.
    """
    found = expressions(graph)
    ends: list[tuple[gs.Tensor, ClippedLine]] = []
    taken: set[int] = set()
    outputs = {id(t) for t in graph.outputs}
    put_in = {id(n.outputs[0]): _chosen_line(n) for n in graph.nodes if CHOSEN in n.attrs}
    for node in graph.nodes:
        for tensor in node.outputs:
            if id(tensor) in put_in:
                ends.append((tensor, put_in[id(tensor)]))
                continue
            value = found.get(id(tensor))
            if value is None or value.root is None or value.is_affine or value.is_discrete:
                continue
            if not is_float(tensor) or not (id(tensor) in outputs or _is_read_outside(tensor, value, found)):
                continue
            line = _clipped_line(tensor, value)
            if line is not None and not _is_line_of(value, taken):
                ends.append((tensor, line))
                taken.add(id(tensor))
    others = [(found[id(t)].potential, t) for t, _ in ends if id(t) not in put_in]
    chosen = {id(t) for t in between_synapses(graph, others)} | set(put_in)
    made_of = MadeOf(graph) if put_in else None
    return [line for t, line in ends if id(t) in chosen and not (made_of and _is_inside(made_of, t))]


def _is_inside(made_of: MadeOf, tensor: gs.Tensor) -> bool:
    """Whether nothing but functions of the same tensor read this one: the gate of a HardSwish is a part of it."""
    readers = tensor.outputs
    return bool(readers) and all(
        made_of.is_entrywise(r) and not is_line(r) and CHOSEN not in r.attrs for r in readers
    )


def _chosen_line(node: gs.Node) -> ClippedLine:
    low, high = (value_of(node.inputs[i]).astype(np.float64).reshape(()) for i in (1, 2))
    root, one = node.inputs[0], np.ones(())
    name = next(iter(origin(node)), root.name)
    maker = producer_of(root)
    operator = node.op if maker is None else maker.op
    return ClippedLine(
        name,
        operator,
        root.name,
        node.outputs[0].name,
        one,
        -low,
        low,
        high - low,
        channel_axis(root),
        chosen=True,
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


def _clipped_line(tensor: gs.Tensor, value: Value) -> ClippedLine | None:
    parts = _parts(value.of_root)
    if parts is None or value.root is None or value.root.shape is None:
        return None
    rank = len(value.root.shape)
    slope, offset, low, high = (_per_sample(part, rank) for part in parts)
    last = value.nodes[-1]
    return ClippedLine(
        node=next(iter(origin(last)), last.name or tensor.name),
        operator=last.op,
        root=value.root.name,
        output=tensor.name,
        slope=slope,
        shift=offset - low,
        low=low,
        span=high - low,
        axis=channel_axis(value.root),
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
