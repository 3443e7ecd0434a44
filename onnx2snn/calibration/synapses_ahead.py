"""The synapses in front of an activation: where a correction of their weights reaches it, and what they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from onnx2snn.graph.core import Array, constant_input, is_constant, producer_of, signals, value_of
from onnx2snn.operators import of
from onnx2snn.operators.linear import is_linear, is_weighted

#: Longer sums than this are not corrected: solving for them costs their third power.
MOST_TERMS = 1152


@dataclass(frozen=True)
class Synapses:
    """A weighted operator whose output reaches a tensor, channel by channel: z = gain·(W·x) + whatever else.

    Attributes:
        node: Conv, Gemm or MatMul.
        gain: What a batch norm and constants on the way multiply by, (C,).
    """

    node: gs.Node
    gain: NDArray[np.float64]

    @property
    def source(self) -> str:
        """The tensor x."""
        return str(self.node.inputs[0].name)

    @property
    def groups(self) -> int:
        """Of a convolution."""
        return int(self.node.attrs.get("group", 1))

    @property
    def terms(self) -> int:
        """Length of the sums."""
        rows = _rows(self.node)
        return 0 if rows is None else rows.shape[1]

    def operands(
        self, x: Array, samples: NDArray[np.int64], places: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """What is summed at given places of the output.

        Args:
            x: (N, ...).
            samples: Of each row, (R,).
            places: Position of each row among the output's positions, in their order, (R,).

        Returns:
            (groups, R, terms).
        """
        if of(self.node).channels_second:
            return _patches(self.node, x, samples, places, self.groups)
        flat = x.reshape(len(x), -1, x.shape[-1])
        return flat[samples, places][None]

    def add(self, change: NDArray[np.float64]) -> None:
        """Add ``change``, (groups, terms, channels of a group), to the weights."""
        weights, held = value_of(self.node.inputs[1]), of(self.node).weights
        rows = np.moveaxis(change, 1, 2).reshape(-1, change.shape[1])
        if held is not None:
            changed = np.asarray(weights + held.held(self.node, rows, weights.shape), weights.dtype)
            self.node.inputs[1] = gs.Constant(self.node.inputs[1].name, changed)


def _rows(node: gs.Node) -> Array | None:
    """Constant weights as (output channels, weights of each)."""
    held, weights = of(node).weights, constant_input(node, 1)
    return None if held is None or weights is None else held.rows(node, weights)


def synapses_of(tensor: gs.Tensor, channels: int) -> Synapses | None:
    """The synapses whose weights can be corrected for ``tensor``; None where there are none, or others read them too."""
    gain = np.ones(channels)
    node = producer_of(tensor)
    while node is not None:
        read = signals(node)
        if is_weighted(node):
            return _checked(node, gain)
        if not is_linear(node) or not read:
            return None
        factor = _factor(node, channels)
        if factor is None:
            return None
        gain = gain * factor
        if len(read) > 1:
            for branch in read:
                found = _of_branch(branch, channels)
                if found is not None:
                    return Synapses(found.node, found.gain * gain)
            return None
        if len(read[0].outputs) != 1:
            return None
        node = producer_of(read[0])
    return None


def _of_branch(branch: gs.Tensor, channels: int) -> Synapses | None:
    return synapses_of(branch, channels) if len(branch.outputs) == 1 else None


def _checked(node: gs.Node, gain: NDArray[np.float64]) -> Synapses | None:
    rows = _rows(node)
    if rows is None or len(rows) != len(gain) or is_constant(node.inputs[0]) or node.attrs.get("transA", 0):
        return None
    if str(node.attrs.get("auto_pad", "NOTSET")) not in ("NOTSET", "VALID"):
        return None
    found = Synapses(node, gain * float(node.attrs.get("alpha", 1.0)))
    return found if found.terms <= MOST_TERMS and np.all(found.gain != 0) else None


def _factor(node: gs.Node, channels: int) -> NDArray[np.float64] | None:
    """What a channelwise operator multiplies by, (C,)."""
    record = of(node)
    if any(not is_constant(node.inputs[i]) for i in record.subtracts):
        return None
    if record.sums or record.passes is not None:
        return np.ones(channels)
    if record.normalises is not None:
        constants = record.normalises(node)
        if constants is None:
            return None
        scale, _, _, variance = constants
        return np.asarray(scale / np.sqrt(variance.astype(np.float64) + node.attrs.get("epsilon", 1e-5)))
    if record.neutral != 1:
        return None
    held = next((value_of(t) for t in node.inputs if is_constant(t)), None)
    rank = len(node.outputs[0].shape)
    if held is None or held.size not in (1, channels) or held.ndim not in (0, 1, rank - 1, rank):
        return None
    if held.size > 1 and held.ndim < rank - 1 and rank > 2:
        return None
    flat = np.broadcast_to(held.astype(np.float64).ravel(), (channels,))
    return 1 / flat if record.divides else flat


def _patches(
    node: gs.Node, x: Array, samples: NDArray[np.int64], places: NDArray[np.int64], groups: int
) -> NDArray[np.float32]:
    rank = x.ndim - 2
    kernel = value_of(node.inputs[1]).shape[2:]
    strides = node.attrs.get("strides") or [1] * rank
    dilations = node.attrs.get("dilations") or [1] * rank
    pads = node.attrs.get("pads") or [0] * (2 * rank)
    padded = np.pad(x, [(0, 0), (0, 0), *((pads[i], pads[i + rank]) for i in range(rank))])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    windows: NDArray[Any] = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    everything = (slice(None), slice(None))
    windows = windows[everything + tuple(slice(None, None, s) for s in strides)]
    windows = windows[everything + (slice(None),) * rank + tuple(slice(None, None, d) for d in dilations)]
    at = np.unravel_index(places, windows.shape[2 : 2 + rank])
    picked: tuple[Any, ...] = (samples, slice(None), *at)
    rows = np.asarray(windows[picked])  # (R, channels, kernel)
    split = rows.reshape(len(rows), groups, -1)
    return np.ascontiguousarray(np.moveaxis(split, 1, 0), np.float32)
