"""Neurons that read one potential, and find their levels by one search (:mod:`onnx2snn.compile.coded_search`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import onnx

from onnx2snn.compile.coded_search import CodedSearch, Rows, coded_search
from onnx2snn.compile.draft import Draft, Place, is_dialect
from onnx2snn.compile.narrowed_search import rows_of_thresholds
from onnx2snn.dialect.functions import TABLE_IF

#: What tells potentials apart: a tensor, and what is added to it.
_Potential: TypeAlias = "tuple[str, tuple[int, ...], bytes]"


class _Member(NamedTuple):
    """One neuron of those that share a search."""

    search: CodedSearch
    potential: _Potential
    position: int


class SharedSearches:
    """The neurons of a network that share searches.

    Args:
        draft: The network.
        nodes: Neurons that find their levels by a table, all of them.
    """

    def __init__(self, draft: Draft, nodes: list[onnx.NodeProto]) -> None:
        self._members: dict[str, _Member] = {}
        self._places: dict[_Potential, tuple[str, str]] = {}
        groups: dict[_Potential, list[tuple[str, Rows]]] = {}
        for node in nodes:
            bias = draft.value(node.input[1]) if is_dialect(node, "IF", TABLE_IF) else None
            rows = None if bias is None else rows_of_thresholds(draft, node)
            if bias is not None and rows is not None:
                potential = node.input[0], bias.shape, bias.tobytes()
                groups.setdefault(potential, []).append((node.output[0], rows))
        for potential, members in groups.items():
            search = coded_search([rows for _, rows in members])
            if search is None:
                continue
            for position, (name, _) in enumerate(members):
                self._members[name] = _Member(search, potential, position)

    def write(self, at: Place, node: onnx.NodeProto, potential: Callable[[], str]) -> bool:
        """Write the level of a neuron; ``potential`` writes what it compares. False: it shares no search."""
        member = self._members.get(node.output[0])
        if member is None:
            return False
        if member.potential not in self._places:
            v = potential()
            self._places[member.potential] = v, member.search.write(at, v)
        v, place = self._places[member.potential]
        member.search.write_level(at, place, member.position, v, node.output[0])
        return True
