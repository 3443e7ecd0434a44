"""Rounding in the blocked layout in which onnxruntime computes convolutions on CPUs (NCHWc).

Round, Floor and Clip of a tensor are no operators of that layout: each neuron would pay two changes of layout, and three more
passes over memory. Convolutions are, with what is fused into them, and float32 itself rounds to the nearest whole number, half
to even: numbers between 2²³ and 2²⁴ are whole. With n channels, and 1×1 kernels that join each channel to itself,

    v ─▶ HardSigmoid m·2⁻²⁴·v + (1 − K·2⁻²⁴) ─▶ Conv 2²⁴, K − 2²⁴ ─▶ Relu       1. behind a convolution, one m for all channels
    v ─▶ Conv m, 2²³ ─▶ Clip 2²³, 2²³ + K ─▶ Conv 1, −2²³                         2. anywhere else

are both round(clip(m·v, 0, K)), half to even, for every float32 v. In 1. HardSigmoid is fused into the convolution that makes
v, so that one pass over memory is left. Its upper end is K; a tie goes to the even level only if that is even, so an odd one
is cut to behind.

Rounding down, or up, becomes rounding to the nearest by half a step less, or more; so that no tie is left, by half a unit
of the grid on which all potentials lie (METHOD 14). Where there is no such grid, or float32 has no room for the half of its
unit, the neuron keeps its own operator.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx

from onnx2snn.compile.byte_trains import takes_largest
from onnx2snn.compile.draft import Array, Draft, Place, attributes, is_dialect
from onnx2snn.compile.small_images import joined_taps
from onnx2snn.compile.thresholds import RoundingOperator
from onnx2snn.graph.walks import reached
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_convolution

#: Where whole numbers are the only ones that float32 has; below it they are the only ones on one side of one.
_WHOLE = 2.0**23
#: Multiples of a power of two below 2²⁴ of it are numbers of float32.
_EXACT = 2.0**24
#: onnxruntime takes channels into the blocked layout by so many, and groups by the largest of its blocks.
_CHANNELS, _BLOCK = 4, 16
#: So many factors of a channel mostly tell whether they are on a grid.
_FEW = 16

#: Factors by channel (C, n), or the same for all (1, n), and the highest whole number that each may meet.
Summand: TypeAlias = tuple[Array, int]


@dataclass(frozen=True)
class BlockedRounding:
    """How the level of one neuron is written.

    Attributes:
        top: K.
        shift: What the bias of the convolution grows by, (n,).
        multiplier: m, by channel; None for 1.
        convolution: The tensor of the convolution.
        fused: Whether its HardSigmoid rounds (1.), or what stands behind it (2.).
        ties: Whether potentials may lie in the middle between two levels.
    """

    top: float
    shift: Array
    multiplier: Array | None
    convolution: str
    fused: bool
    ties: bool

    @property
    def _end(self) -> float:
        """Where HardSigmoid ends: a tie goes to the even level only if this is even."""
        return self.top + (self.ties and self.top % 2)

    def write_first(self, at: Place, v: str, output: str) -> None:
        """Behind the convolution: the level, as 1 − (K − k)·2⁻²⁴."""
        factor = 1.0 if self.multiplier is None else float(self.multiplier.flat[0])
        at.add("HardSigmoid", [v], output=output, alpha=factor / _EXACT, beta=1 - self._end / _EXACT)

    def write_last(self, at: Place, v: str, output: str) -> None:
        """The level."""
        if not self.fused:
            low, high = at.constant(_WHOLE), at.constant(_WHOLE + self.top)
            self._scaled(
                at,
                at.add("Clip", [self._scaled(at, v, self.multiplier, _WHOLE), low, high]),
                1,
                -_WHOLE,
                output,
            )
            return
        k = self._scaled(at, v, _EXACT, self._end - _EXACT)
        if self._end == self.top:
            at.add("Relu", [k], output=output)
        else:
            at.add("Clip", [k, at.constant(0), at.constant(self.top)], output=output)

    def _scaled(self, at: Place, x: str, factor: Array | float | None, term: float, output: str = "") -> str:
        """``factor``·x + ``term``."""
        channels = len(self.shift)
        factors = np.broadcast_to(np.reshape(1 if factor is None else factor, -1), channels)
        read = [x, at.constant(factors.reshape(-1, 1, 1, 1)), at.constant(np.full(channels, term))]
        return at.add("Conv", read, output=output, group=channels, kernel_shape=[1, 1])


def blocked_rounding(
    draft: Draft,
    node: onnx.NodeProto,
    rounding: RoundingOperator,
    highest: Mapping[str, int],
    folded: Container[str],
) -> BlockedRounding | None:
    """How a neuron rounds in the blocked layout; None where its potential is not in it, or where it keeps its operator.

    Args:
        draft: The network.
        node: The neuron.
        rounding: Its operator.
        highest: The highest level of each train.
        folded: Neurons and Integrates whose bias a convolution adds, by what they write.
    """
    convolution = convolution_behind(node.input[0], [node], draft)
    shape = draft.sample_shape(node.input[0])
    if convolution is None or shape is None or np.unique(rounding.top).size != 1:
        return None
    if not _is_free(node, draft, folded) or not _is_blocked(convolution, draft):
        return None
    shift = _shift(draft, node, rounding, highest)
    if shift is None:
        return None
    alike = rounding.multiplier is None or np.unique(rounding.multiplier).size == 1
    return BlockedRounding(
        top=float(np.floor(rounding.top.flat[0])),
        shift=np.broadcast_to(shift.reshape(-1), shape[0]),
        multiplier=rounding.multiplier,
        convolution=convolution.output[0],
        fused=alike and _alone(convolution, node, draft, folded),
        ties=rounding.operator == "Round",
    )


def _shift(
    draft: Draft, node: onnx.NodeProto, rounding: RoundingOperator, highest: Mapping[str, int]
) -> Array | None:
    """What the convolution adds, by channel or everywhere, so that the nearest whole number is the level, if that works."""
    if rounding.operator == "Round":
        return np.zeros(1) if rounding.shift is None else -rounding.shift
    summands, bias = _summands(node.input[0], draft, highest), draft.value(node.input[1])
    if summands is None or bias is None:
        return None
    half = half_a_unit([*summands, _constant(bias)])
    return None if half is None else (half - 0.5) * (1 if rounding.operator == "Floor" else -1)


def convolution_behind(name: str, readers: Sequence[onnx.NodeProto], draft: Draft) -> onnx.NodeProto | None:
    """The convolution that makes ``name``, or an operand of the sum that does, for ``readers`` alone."""

    def makers(names: Iterable[str], *readers: onnx.NodeProto) -> list[onnx.NodeProto]:
        alone = [draft.producer(n) for n in reversed(list(names)) if draft.is_read_by(n, readers)]
        return [node for node in alone if node is not None]

    def further(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if of(node).sums and not of(node).subtracts:
            return makers(node.input, node)
        passes = is_dialect(node, "Integrate") or (takes_largest(node) and len(node.output) == 1)
        return makers(node.input[:1] if passes else (), node)

    found = (node for node in reached(makers([name], *readers), further) if is_convolution(node))
    return next((n for n in found if all(draft.value(read) is not None for read in n.input[1:])), None)


def _is_blocked(convolution: onnx.NodeProto, draft: Draft) -> bool:
    """Whether onnxruntime computes a convolution in the blocked layout."""
    weights, group = draft.value(convolution.input[1]), int(attributes(convolution).get("group", 1))
    if weights is None or weights.ndim != 4 or len(weights) % _CHANNELS or joined_taps(convolution, draft):
        return False
    if group == 1:
        return bool(weights.shape[1] < 2 * _CHANNELS or weights.shape[1] % _CHANNELS == 0)
    whole_blocks = weights.shape[1] % _BLOCK == 0 and len(weights) // group % _BLOCK == 0
    return whole_blocks or bool(weights.shape[1] == 1 and len(weights) == group)


def _is_free(node: onnx.NodeProto, draft: Draft, folded: Container[str]) -> bool:
    """Whether a neuron or an Integrate has no bias of its own to add."""
    bias = draft.value(node.input[1])
    return node.output[0] in folded or (bias is not None and not np.any(bias))


def _alone(convolution: onnx.NodeProto, neuron: onnx.NodeProto, draft: Draft, folded: Container[str]) -> bool:
    """Whether nothing but the largest is taken between a convolution and a neuron."""
    node = draft.producer(neuron.input[0])
    while node is not None and node is not convolution:
        if not takes_largest(node) and not (is_dialect(node, "Integrate") and _is_free(node, draft, folded)):
            return False
        node = draft.producer(node.input[0])
    return True


def half_a_unit(summands: Sequence[Summand]) -> Array | None:
    """By channel, half the unit of a grid of all partial sums, where float32 has room for the half; None: there is none.

    Args:
        summands: What each potential is a sum of.
    """
    sizes = (np.abs(values).sum(axis=1, dtype=np.float64) * top for values, top in summands)
    half = np.asarray(2.0 ** np.ceil(np.log2((sum(sizes) + 1) / _EXACT)))
    few = [(values[:, :_FEW], top) for values, top in summands]
    if np.any(half > 0.5) or any(_off_grid(values, half) for values, _ in (*few, *summands)):
        return None
    return half


def _off_grid(values: Array, half: Array) -> bool:
    """Whether some values are no multiples of twice ``half`` (C,), powers of two."""
    steps = values / (2 * half[:, None]).astype(values.dtype)
    return bool(np.any(steps != np.rint(steps)))


def _summands(name: str, draft: Draft, highest: Mapping[str, int]) -> list[Summand] | None:
    """What each potential ``name`` is a sum of, if it is known."""
    node = draft.producer(name)
    if name in highest:
        return [(np.ones((1, 1)), highest[name])]
    if node is None or not node.input:
        return None
    read = [draft.value(operand) if operand else None for operand in node.input]
    if of(node).sums:
        parts = [_summands(operand, draft, highest) for operand in node.input]
        found = [part for part in parts if part is not None]
        return [term for part in found for term in part] if len(found) == len(parts) else None
    if takes_largest(node) or is_dialect(node, "Integrate"):
        before = _summands(node.input[0], draft, highest)
        return (
            None
            if before is None
            else before + [_constant(values) for values in read[1:] if values is not None]
        )
    if is_convolution(node) and read[1] is not None and node.input[0] in highest:
        synapses = (read[1].reshape(len(read[1]), -1), highest[node.input[0]])
        return [synapses, *(_constant(values) for values in read[2:] if values is not None)]
    if (
        of(node).neutral == 1
        and of(node).divides is None
        and read[1] is not None
        and node.input[0] in highest
    ):
        return [(_constant(read[1])[0], highest[node.input[0]])]
    return None


def _constant(values: Array) -> Summand:
    """A bias, one or by channel."""
    return values.reshape(-1, 1), 1
