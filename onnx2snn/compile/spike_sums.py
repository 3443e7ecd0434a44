"""Sums over the spikes of a layer, in one reading of its train: how many there are, and how many synapses they reach.

What is summed is the count c of each neuron, times the columns F of a constant, in which neurons mostly are alike:

    c (N, L, R) ─▶ sum over L (N, R) ─▶ · F[j] (R,), their sum, j < J  F is the same along the first axes, L of them together

Of levels, c is the ones in their binary code (METHOD 2). Several levels stand in one number, whose ones are looked up:

    k (N, g, M) ─▶ Σ_i 2^(T·i)·k[i] (N, M) ─▶ table of 2^(T·g) entries
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnx2snn.compile.draft import Draft, Place, attributes
from onnx2snn.compile.transposed import compact
from onnx2snn.dialect.functions import DOMAIN
from onnx2snn.dialect.neuron_bodies import Appending

#: A node of graphs that are compiled: the sums of a layer's spikes, from its levels.
SPIKE_SUMS = "SpikeSums"
#: Whole numbers below are exact in float32.
_EXACT = 2**24
#: So small a share of channels is counted by itself.
_OTHERS = 0.25
#: Axes of a map behind these: rows, and channels.
_MAP = 2
#: A product of matrices sums up so many kinds of places, at most.
_KINDS = 64
#: Sums over rows of so many entries are quicker than those over all.
_ROW = 256
#: Bits of a number whose ones are looked up, in a table that caches hold; one for all layers.
CODED = 16


class _Layout(NamedTuple):
    """Which neurons are summed before anything else: L of them, at most, for each of R.

    They lie before these, or behind; or ``kinds`` (places, kinds) says which places of a map are of one kind, in all channels.
    """

    along: int
    rest: int
    before: bool = False
    kinds: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class SpikeSums:
    """What is summed of a layer.

    Attributes:
        sizes: Of its train, one sample; along axis 0 all rows that belong to one.
        columns: F, (J, ...), with as many further axes as ``sizes``, and one entry along those where neurons are alike.
        timesteps: T.
    """

    sizes: tuple[int, ...]
    columns: NDArray[np.float64]
    timesteps: int

    def node(self, train: str, stem: str) -> onnx.NodeProto:
        """What stands for the J sums of ``train`` until an execution writes them; it also reads :meth:`held`."""
        facts: dict[str, Any] = {"sizes": self.sizes, "timesteps": self.timesteps}
        made = [f"{stem}/{column}" for column in range(len(self.columns))]
        return helper.make_node(SPIKE_SUMS, [train, f"{stem}/columns"], made, domain=DOMAIN, **facts)

    def held(self, node: onnx.NodeProto) -> onnx.TensorProto:
        """The constant that a node reads."""
        return numpy_helper.from_array(self.columns, node.input[1])

    def channels_last(self) -> SpikeSums:
        """The same of a train whose channels lie last."""
        columns = np.moveaxis(self.columns, 2, -1)
        return replace(self, sizes=(self.sizes[0], *self.sizes[2:], self.sizes[1]), columns=columns)

    @property
    def _axes(self) -> list[int]:
        """Along which neurons differ."""
        return [axis for axis, size in enumerate(self.columns.shape[1:]) if size > 1]

    @cached_property
    def _layout(self) -> _Layout:
        """Of several axes that are alike those before the ones that are not, or those behind them; of all, any entries."""
        axes, every = self._axes, math.prod(self.sizes)
        if not axes:
            rest = max(r for r in range(1, _ROW + 1) if (every // self._most) % r == 0)
            return _Layout(every // rest, rest, before=True)
        before, behind = math.prod(self.sizes[: axes[0]]), math.prod(self.sizes[axes[-1] + 1 :])
        along = max(before, behind)
        if along == 1 and len(self.sizes) > _MAP:
            kinds = self._kinds
            if kinds is not None:
                return _Layout(len(kinds), every // len(kinds) * kinds.shape[1], kinds=kinds)
        return _Layout(along, every // along, before=before >= behind)

    @cached_property
    def _by_place(self) -> NDArray[np.float64]:
        """F (J·rows·channels, places), of a map."""
        whole = np.broadcast_to(self.columns, (len(self.columns), *self.sizes))
        return whole.reshape(len(whole) * math.prod(self.sizes[:_MAP]), -1)

    @property
    def _kinds(self) -> NDArray[np.float32] | None:
        """Places near one border are alike, or those that a stride meets as often; None where hardly any are."""
        kinds = kinds_of(self._by_place.T)
        count = int(kinds.max()) + 1
        return np.eye(count, dtype=np.float32)[kinds] if count <= min(_KINDS, len(kinds) // 2) else None

    @property
    def _most(self) -> int:
        """So many levels may stand in one number, if all neurons are alike."""
        every, room = math.prod(self.sizes), max(CODED // self.timesteps, 1)
        return max(g for g in range(1, room + 1) if every % g == 0)

    @property
    def _rows(self) -> NDArray[np.float64]:
        """F (J, R)."""
        layout = self._layout
        axes = self._axes
        if not axes:
            return np.repeat(self.columns.reshape(-1, 1), layout.rest, axis=1)
        if layout.kinds is not None:
            return self._by_place[:, layout.kinds.argmax(axis=0)].reshape(len(self.columns), -1)
        apart = slice(axes[0], None) if layout.before else slice(0, axes[-1] + 1)
        held = self.columns.reshape(-1, *self.columns.shape[1:][apart])
        return np.broadcast_to(held, (len(held), *self.sizes[apart])).reshape(len(held), -1)

    def of_counts(self, at: Appending, counts: str) -> list[str]:
        """J times (N,) float64, of counts (N, ...) float32, T at most."""
        return self._products(at, self._summed(at, counts, self.timesteps))

    def of_levels(self, at: Place, levels: str, *, quick: bool) -> list[str]:
        """J times (N,) float64, of levels (N, ...) float32.

        Args:
            at: Where it is written.
            levels: The tensor.
            quick: Tables are looked up quickly there.
        """
        if self.timesteps == 1:
            return self.of_counts(at, levels)
        if quick and self.timesteps <= CODED:
            ones = self._looked_up(at, levels)
            return self._products(at, self._summed(at, ones, self.timesteps * self._together, self._together))
        highest = 2**self.timesteps - 1
        total = self._summed(at, levels, highest)
        for bit in range(1, self.timesteps):  # the ones of k are k − Σ floor(k / 2^j), j ≥ 1 (Legendre)
            shifted = at.add("Floor", [at.add("Mul", [levels, at.constant(2.0**-bit)])])
            total = at.add("Sub", [total, self._summed(at, shifted, highest)])
        return self._products(at, total)

    @property
    def _together(self) -> int:
        """g: levels of one number; many short products of matrices would take longer than it takes to look each up."""
        most = self._most if self._layout.before else 1
        return max(g for g in range(1, most + 1) if self._layout.along % g == 0)

    def _looked_up(self, at: Place, levels: str) -> str:
        """Ones of several levels at a time, (N·M,)."""
        g = self._together
        if g > 1:
            shape = [-1, g, math.prod(self.sizes) // g]
            weights = at.constant(2.0 ** (self.timesteps * np.arange(g))[None])
            levels = at.add("MatMul", [weights, at.add("Reshape", [levels, at.constant(shape, np.int64)])])
        places = at.add("Cast", [levels], to=TensorProto.INT32)
        return at.looked_up(at.constant(ones_of_codes(), shared=True), at.flat(places))

    def _summed(self, at: Appending, counts: str, highest: int, together: int = 1) -> str:
        """(N, R) float64: the sum of those that are alike, each of which is at most ``highest``."""
        layout = self._layout
        along = layout.along // together
        wide = along * highest >= _EXACT
        shape = [-1, along, layout.rest] if layout.before else [-1, layout.rest, along]
        if layout.kinds is not None:
            shape = [-1, along]
        counts = at.add("Reshape", [counts, at.constant(shape, np.int64)])
        counts = at.add("Cast", [counts], to=TensorProto.DOUBLE) if wide else counts
        if layout.kinds is None:
            axis = at.constant([1 if layout.before else 2], np.int64)
            summed = at.add("ReduceSum", [counts, axis], keepdims=0)
        else:
            kinds = at.constant(layout.kinds, np.float64 if wide else np.float32)
            every = at.constant([-1, layout.rest], np.int64)
            summed = at.add("Reshape", [at.add("MatMul", [counts, kinds]), every])
        return summed if wide else at.add("Cast", [summed], to=TensorProto.DOUBLE)

    def _products(self, at: Appending, summed: str) -> list[str]:
        """J times (N,). Not every runtime multiplies matrices in float64: a factor each, and a sum."""
        found = []
        for row in self._rows:
            weighted = summed if np.all(row == 1) else at.add("Mul", [summed, at.constant(row, np.float64)])
            found.append(at.add("ReduceSum", [weighted, at.constant([1], np.int64)], keepdims=0))
        return found


def sums_of(draft: Draft, node: onnx.NodeProto) -> SpikeSums:
    """What a node stands for."""
    facts, columns = attributes(node), draft.value(node.input[1])
    if columns is None:
        raise AssertionError("a sum of spikes without its columns")
    return SpikeSums(tuple(facts["sizes"]), columns, int(facts["timesteps"]))


@cache
def ones_of_codes() -> NDArray[np.float32]:
    """Of each number, in its binary code."""
    ones = np.zeros(1, np.float32)
    for _ in range(CODED):
        ones = np.concatenate([ones, ones + 1])
    return ones


def kinds_of(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of each row's kind: rows of one kind are the same."""
    marks = rows @ np.random.default_rng(0).integers(1, 1 << 20, rows.shape[1]).astype(np.float64)
    _, first, kinds = np.unique(marks, return_index=True, return_inverse=True)
    if not np.array_equal(rows, rows[first[kinds]]):  # different rows have one mark
        kinds = np.unique(rows, axis=0, return_inverse=True)[1]
    return kinds.reshape(-1)


def apart_from_most(fan_out: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(the fan-out of most channels, the few others), where it differs by place too; else (the whole, none).

    A weight that is zero in one channel of a depthwise convolution sets that channel apart.
    """
    none = np.zeros(0, np.int64)
    if fan_out.ndim < 3 or fan_out.shape[0] > 1 or fan_out.shape[1] == 1 or fan_out.size == fan_out.shape[1]:
        return fan_out, none
    rows = fan_out.reshape(fan_out.shape[1], -1)
    kinds = kinds_of(rows)
    most = np.argmax(np.bincount(kinds))
    others = np.flatnonzero(kinds != most)
    if len(others) > _OTHERS * len(rows):
        return fan_out, none
    first = int(np.argmax(kinds == most))
    return compact(fan_out[:, first : first + 1]), others
