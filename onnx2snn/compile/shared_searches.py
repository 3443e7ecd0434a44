"""Neurons that read one potential, and find their levels by one search (:mod:`onnx2snn.compile.coded_search`).

Where nothing but the difference of two of them is read (a function's steps up, less those down), it is looked up at once.

A constant bias of all channels together is no operator: fl(v + b) grows with v, so thresholds of the sum are thresholds of v.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnx

from onnx2snn.compile.coded_search import CodedSearch, Rows, coded_search
from onnx2snn.compile.draft import Array, Draft, Place, is_dialect
from onnx2snn.compile.narrowed_search import FEW, CountedThresholds, rows_of_thresholds
from onnx2snn.dialect.functions import TABLE_IF
from onnx2snn.operators import of

#: The operator set whose quantisers write 16 bits.
_WIDE = 21


class _Summed(NamedTuple):
    """What tells potentials apart: a tensor, and what is added to it, another one or a constant."""

    tensor: str
    computed: str
    shape: tuple[int, ...] = ()
    values: bytes = b""

    @property
    def bias(self) -> Array | None:
        """What is added, where it is constant."""
        return None if self.computed else np.frombuffer(self.values, np.float32).reshape(self.shape)


class _Member(NamedTuple):
    """One neuron of those that share a search, and the first of them."""

    search: CodedSearch
    first: str
    position: int
    added: bool


class LookedUp(NamedTuple):
    """What one look-up finds.

    Attributes:
        table: The difference of two levels, at each place.
        place: The places.
        v: The potential.
    """

    table: Array
    place: str
    v: str

    def write(self, at: Place, *, less: float = 0.0, dtype: Any = np.float32, output: str = "") -> str:
        """It, or as much as it is more than ``less``; a tensor in the network's own order."""
        found = at.looked_up(at.constant(self.table - np.float32(less), dtype), self.place)
        return at.laid_back(found, self.v, output or at.fresh())


class SharedSearches:
    """The neurons of a network that share searches.

    Args:
        draft: The network.
        nodes: Neurons that find their levels by a table, all of them.
        bias_of: What is added to the tensor that a neuron reads; None where that is not constant.
    """

    def __init__(
        self,
        draft: Draft,
        nodes: list[onnx.NodeProto],
        bias_of: Callable[[onnx.NodeProto], Array | None],
    ) -> None:
        self._draft = draft
        self._members: dict[str, _Member] = {}
        self._few: dict[str, CountedThresholds] = {}
        self._places: dict[str, tuple[str, str]] = {}
        self._wide = draft.target.contributed and all(opset.version >= _WIDE for opset in draft.opsets)
        groups: dict[_Summed, list[tuple[str, Rows]]] = {}
        for node in nodes:
            rows = rows_of_thresholds(draft, node) if is_dialect(node, "IF", TABLE_IF) else None
            if rows is None:
                continue
            bias = bias_of(node)
            if bias is None:
                potential = _Summed(node.input[0], node.input[1])
            else:
                if bias.size == 1:
                    rows, bias = (sum_reaches(rows[0], bias.reshape(())), rows[1]), np.zeros(1, np.float32)
                potential = _Summed(node.input[0], "", bias.shape, bias.tobytes())
            groups.setdefault(potential, []).append((node.output[0], rows))
        for potential, members in groups.items():
            if not self._share(potential, members):
                for member in members:
                    self._share(potential, [member])
        # Files name the tensor of each neuron's levels; in sessions those that nothing else reads are not written.
        self._differences: dict[str, tuple[str, str]] = {}
        self._apart: set[str] = set()
        if draft.target.contributed:
            for train in self._members:
                for node in filter(self._is_difference, draft.readers(train)):
                    self._differences[node.output[0]] = node.input[0], node.input[1]
                    self._apart.update(name for name in node.input if draft.is_read_by(name, [node]))

    def _share(self, potential: _Summed, members: list[tuple[str, Rows]]) -> bool:
        """Whether neurons find their levels by one search; or one alone by a few comparisons."""
        counted = _few(members[0][1], potential) if len(members) == 1 else None
        if counted is not None:
            self._few[members[0][0]] = counted
            return True
        search = coded_search([rows for _, rows in members], wide=self._wide)
        if search is None:
            return False
        added = potential.bias is None or bool(np.any(potential.bias))
        for position, (name, _) in enumerate(members):
            self._members[name] = _Member(search, members[0][0], position, added)
        return True

    def _is_difference(self, node: onnx.NodeProto) -> bool:
        """Whether ``node`` subtracts the levels of one neuron from those of another, and both share a search."""
        if of(node).subtracts != (1,) or len(node.input) != 2:
            return False
        members = [self._members.get(name) for name in node.input]
        return len({member and member.first for member in members}) == 1

    def is_apart(self, train: str) -> bool:
        """Whether the levels of a neuron are written in a difference alone."""
        return train in self._apart and self._members[train].first in self._places

    def difference(self, node: onnx.NodeProto) -> LookedUp | None:
        """What ``node`` subtracts, its neurons having been written; None where it is not looked up."""
        pair = self._differences.get(node.output[0])
        if pair is None or self._members[pair[0]].first not in self._places:
            return None
        one, other = (self._members[train] for train in pair)
        v, place = self._places[one.first]
        return LookedUp(one.search.levels[one.position] - other.search.levels[other.position], place, v)

    def write(self, at: Place, node: onnx.NodeProto, potential: Callable[[], str]) -> bool:
        """Write the level of a neuron; ``potential`` writes the sum that it compares. False: it shares no search."""
        name = node.output[0]
        if name in self._few:
            self._few[name].write(at, node.input[0], name)
            return True
        if name not in self._members:
            return False
        member = self._members[name]
        if member.first not in self._places:
            v = potential() if member.added else node.input[0]
            self._places[member.first] = v, member.search.write(at, v)
        v, place = self._places[member.first]
        if name not in self._apart:
            member.search.write_level(at, place, member.position, v, name)
        return True


def _few(rows: Rows, potential: _Summed) -> CountedThresholds | None:
    """The thresholds of a neuron of few levels, of the tensor that it reads; None where it has more."""
    table, at_row = rows
    levels = int((table < np.inf).sum(axis=1).max(initial=0))
    bias = potential.bias
    if bias is None or not 0 < levels <= FEW:
        return None
    return CountedThresholds(tuple(sum_reaches(table[:, n][at_row], bias) for n in range(levels)))


def sum_reaches(thresholds: Array, bias: Array) -> Array:
    """The lowest float32 v so that v + ``bias``, rounded, is at least a threshold; found by bisection. Infinities stay."""
    held, added = np.broadcast_arrays(thresholds.astype(np.float32), bias.astype(np.float32))
    top = _order(np.float32(np.inf))
    low, high = np.full(held.shape, -top), np.full(held.shape, top)
    with np.errstate(over="ignore"):
        while np.any(high - low > 1):
            middle = (low + high) // 2
            enough = _ordered(middle) + added >= held
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(np.isfinite(held), _ordered(high), held)


def _order(values: Array) -> Array:
    """Integers in the order of numbers of float32, one apart where nothing lies between."""
    bits = np.asarray(values, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _ordered(places: Array) -> Array:
    """The numbers at such places."""
    bits = np.where(places < 0, -places | 0x80000000, places)
    return bits.astype(np.uint32).view(np.float32)
