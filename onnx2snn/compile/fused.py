"""The fused execution in plain operators: levels flow, one pass."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import onnx

from onnx2snn.compile.blocked_rounding import BlockedRounding, blocked_rounding, convolution_behind
from onnx2snn.compile.byte_trains import highest_levels
from onnx2snn.compile.corrected_rounding import CorrectedRounding, corrected_rounding
from onnx2snn.compile.draft import Array, Draft, Place, is_dialect, is_neuron
from onnx2snn.compile.integers import integers, is_whole
from onnx2snn.compile.narrowed_search import CountedThresholds, NarrowedSearch, narrowed_search
from onnx2snn.compile.neuron_writer import Writer, whole_values
from onnx2snn.compile.scaled_search import scaled_search
from onnx2snn.compile.shared_searches import LookedUp, SharedSearches
from onnx2snn.compile.small_images import tap_by_tap
from onnx2snn.compile.spike_sums import SpikeSums, sums_of
from onnx2snn.compile.thresholds import thresholds_of
from onnx2snn.dialect.functions import SCALED_IF
from onnx2snn.dialect.neuron_bodies import level
from onnx2snn.operators import of


class FusedWriter(Writer):
    """Levels flow."""

    def __init__(self, draft: Draft, **options: Any) -> None:
        super().__init__(draft, **options)
        self._biases: dict[str, Array] = {}
        self._searches: dict[str, SharedSearches] = {}
        self._folded: set[str] = set()
        self._blocked: dict[str, BlockedRounding] = {}
        self._first: dict[str, BlockedRounding] = {}
        if self.plain:
            return
        for convolution, nodes, values in _foldable(draft):
            self._add_bias(convolution, values)
            self._folded.update(node.output[0] for node in nodes)
        if draft.target.blocked:
            self._first = self._round_blocked()

    @cached_property
    def highest(self) -> dict[str, int]:
        """The highest level of every train, and of what only moves it."""
        return highest_levels(self.draft)

    def _add_bias(self, convolution: str, values: Array) -> None:
        self._biases[convolution] = self._biases.get(convolution, 0) + values.astype(np.float64)

    def _round_blocked(self) -> dict[str, BlockedRounding]:
        """Those that a convolution rounds, by its output."""
        for node in filter(is_neuron, self.draft.nodes):
            rounding = self.rounding(node)
            found = rounding and blocked_rounding(self.draft, node, rounding, self.highest, self._folded)
            if found:
                self._blocked[node.output[0]] = found
                if np.any(found.shift):
                    self._add_bias(found.convolution, found.shift)
        return {found.convolution: found for found in self._blocked.values() if found.fused}

    def write(self, node: onnx.NodeProto) -> bool:
        """As :meth:`Writer.write`; also a difference that is looked up."""
        found = self.difference(node)
        if found is not None:
            found.write(self.draft.at(node.output[0]), output=node.output[0])
            return True
        return super().write(node)

    def difference(self, node: onnx.NodeProto) -> LookedUp | None:
        """What ``node`` subtracts, where that is looked up."""
        searches = self._searches_of(node.input[0]) if of(node).subtracts == (1,) else None
        return None if searches is None else searches.difference(node)

    def is_apart(self, train: str) -> bool:
        """Whether the levels of a train are looked up in a difference alone."""
        searches = self._searches_of(train)
        return searches is not None and searches.is_apart(train)

    def _searches_of(self, train: str) -> SharedSearches | None:
        """What has found the levels of a train, and of others of one potential; None of what is no train."""
        neuron = self.draft.producer(train)
        return None if neuron is None or not is_neuron(neuron) else self._searches.get(neuron.input[0])

    def stands_as(self, train: str) -> Any:
        """As :meth:`Writer.stands_as`; None where there are none of its own."""
        return None if self.is_apart(train) else train

    def integrate(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.integrate`."""
        at = self.draft.at(node.output[0])
        at.end("Identity", [self._potential(at, node)])

    def hold(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.hold`."""
        self.draft.at(node.output[0]).end("Identity", [node.input[0]])

    def sums(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.sums`."""
        if self.draft.target.sums:
            self.draft.keep(node)
            return
        found = self.summed(self.draft.at(node.output[0]), node.input[0], sums_of(self.draft, node))
        for name, made in zip(node.output, found, strict=True):
            self.draft.at(name).end("Identity", [made])

    def summed(self, at: Place, train: str, sums: SpikeSums) -> list[str]:
        """Sums over the spikes of a train: J times (N,)."""
        return sums.of_levels(at, train, quick=self.draft.target.elements)

    def neuron(self, node: onnx.NodeProto) -> None:
        """As :meth:`Writer.neuron`."""
        at = self.draft.at(node.output[0])
        blocked = self._blocked.get(node.output[0])
        if blocked is not None:
            blocked.write_last(at, node.input[0], node.output[0])
            return
        rounding = self.rounding(node)
        if rounding is None and self._shared(node.input[0]).write(
            at, node, lambda: self._potential(at, node)
        ):
            return
        v = self._potential(at, node)
        scaled = None if self.plain else scaled_search(self.draft, node)
        if scaled is not None:
            scaled.write(at, v, node.input[5], node.output[0])
            return
        search = None if self.plain or rounding is not None else self._search(node)
        if rounding is not None:
            self.rounded(at, v, rounding, output=node.output[0])
        elif search is not None:
            search.write(at, v, node.output[0])
        else:
            at.end("Identity", [level(at, self.compared(at, v, node))])

    def _shared(self, potential: str) -> SharedSearches:
        """Searches of those neurons which read ``potential`` and whose level nothing shorter finds."""
        if potential not in self._searches:
            nodes = [] if self.plain else [n for n in self.draft.readers(potential) if is_neuron(n)]
            searching = [n for n in nodes if self.rounding(n) is None and self._corrected(n) is None]
            searching = [n for n in searching if n.input[0] == potential]
            self._searches[potential] = SharedSearches(self.draft, searching, self._bias)
        return self._searches[potential]

    def _bias(self, node: onnx.NodeProto) -> Array | None:
        """What is added to the tensor that a neuron reads."""
        bias = self.draft.value(node.input[1])
        if bias is None or self.factor(node) != 1:
            return None
        return np.zeros(1, np.float32) if node.output[0] in self._folded else bias.astype(np.float32)

    def _search(self, node: onnx.NodeProto) -> CorrectedRounding | NarrowedSearch | CountedThresholds | None:
        """What finds a level in fewer operators than the neuron's own comparisons."""
        return self._corrected(node) or narrowed_search(self.draft, node)

    def _corrected(self, node: onnx.NodeProto) -> CorrectedRounding | None:
        held = thresholds_of(node, self.draft) if is_dialect(node, "IF") else None
        bias, shape = self.draft.value(node.input[1]), self.draft.sample_shape(node.input[0])
        if held is None or bias is None or not shape or not is_whole(self.draft, node.input[0]):
            return None
        return corrected_rounding(held, bias, shape)

    def convolution(self, node: onnx.NodeProto) -> bool:
        """As :meth:`Writer.convolution`."""
        bias = self._biases.get(node.output[0])
        if bias is not None:
            own = self.draft.value(node.input[2]) if len(node.input) > 2 else None
            values = self.draft.hold(node.output[0], bias if own is None else own + bias, np.float32)
            biased = onnx.NodeProto()
            biased.CopyFrom(node)
            biased.input[:] = [*node.input[:2], values]
            node = biased
        first = self._first.get(node.output[0])
        if first is not None:
            at = self.draft.at(node.output[0])
            v = at.fresh()
            self.draft.keep(node, outputs=[v])
            first.write_first(at, v, node.output[0])
        elif not tap_by_tap(node, self.draft):
            self.draft.keep(node)
        return True

    def _potential(self, at: Place, node: onnx.NodeProto) -> str:
        if is_dialect(node, SCALED_IF):
            return self.scaled(at, node)
        if node.output[0] in self._folded:
            return str(node.input[0])
        return self.biased(at, node.input[0], node.input[1], factor=self.factor(node))


def _foldable(draft: Draft) -> list[tuple[str, list[onnx.NodeProto], Array]]:
    """(output of a convolution, the neurons and Integrate nodes behind it, their bias by channel) where one can add the other's.

    Several of one potential (the rising and the falling steps of a function) have to agree on it.
    """
    groups: dict[str, list[onnx.NodeProto]] = {}
    for node in draft.nodes:
        plain = is_neuron(node) and not is_dialect(node, SCALED_IF)  # whose bias is scaled, too
        if plain or is_dialect(node, "Integrate"):
            groups.setdefault(node.input[0], []).append(node)
    found = []
    for name, nodes in groups.items():
        convolution = convolution_behind(name, nodes, draft)
        if convolution is None:
            continue
        bias, weights = draft.value(nodes[0].input[1]), draft.sample_shape(convolution.output[0])
        if bias is None or weights is None or not np.any(bias) or _exact_without(convolution, bias, draft):
            continue
        others = [draft.value(node.input[1]) for node in nodes[1:]]
        if any(other is None or not np.array_equal(other, bias) for other in others):
            continue
        shape = bias.shape[-len(weights) :] if bias.ndim >= len(weights) else bias.shape
        if bias.size == 1:
            values = np.full(weights[0], bias.reshape(()))
        elif bias.ndim >= len(weights) and bias.size == shape[0] == weights[0]:
            values = bias.reshape(-1)
        else:
            continue
        found.append((convolution.output[0], nodes, values))
    return found


def _exact_without(convolution: onnx.NodeProto, bias: Array, draft: Draft) -> bool:
    """Whether sums of whole-number weights are exact, and would not be with ``bias`` among them."""
    return not whole_values(bias) and integers(draft, convolution.input[1]) is not None
