"""Where a float network needs quantisers: one rule, whatever its activations are called.

A quantiser stands where a value enters synapses, or a product of two signals. Of clipped lines (ReLU) it is their own staircase;
behind any other function (SiLU, a gate, a normalisation) it is put in, and what lies between synapses and it becomes a table, a
product or a quotient of the neuron (METHOD 11 to 13). Currents of synapses need one only in front of a product, or where
synapses behind synapses are to be exact (METHOD 14).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.made_of import MadeOf
from onnx2snn.activations.recognise import recognise
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Array, Names, origin
from onnx2snn.graph.exporter import with_outputs
from onnx2snn.operators import of
from onnx2snn.operators.linear import float_signals, is_line, is_linear, is_weighted

#: On a Clip that was put in: its range is chosen from data.
CHOSEN = "_onnx2snn_chosen"


class State(Enum):
    """What a tensor holds.

    INPUT: Nothing of synapses.
    LEVELS: Quantised values, or sums and means of them.
    CURRENTS: What synapses made of others.
    VALUES: Anything else.
    """

    INPUT = 0
    LEVELS = 1
    CURRENTS = 2
    VALUES = 3


class Entering:
    """Which tensors need a quantiser.

    Args:
        graph: Prepared.
        lines: By id, outputs of clipped lines, which will be staircases.
        exact: Whether currents must not enter synapses.
    """

    def __init__(self, graph: gs.Graph, lines: Collection[int], *, exact: bool) -> None:
        self._graph, self._exact = graph, exact
        self._quantised = {id(found.output) for found in recognise(graph).found} | set(lines)
        self._made_of = MadeOf(graph)
        self._states: dict[int, State] = {}
        self.wanted: dict[int, gs.Tensor] = {}
        for node in graph.nodes:
            self._visit(node)

    def _visit(self, node: gs.Node) -> None:
        read = float_signals(node)
        states = [self.state(t) for t in read]
        if is_weighted(node) and len(read) == 1:
            if states[0] is State.VALUES or (states[0] is State.CURRENTS and self._exact):
                self._want(read[0])
            made = State.CURRENTS
        elif self._is_product(node) and any(s is not State.INPUT for s in states):
            for tensor, state in zip(read, states, strict=True):
                if state in (State.VALUES, State.CURRENTS):
                    self._want(tensor)
            made = State.CURRENTS
        else:
            made = max(states, key=lambda s: s.value, default=State.INPUT)
            passes = is_linear(node) or of(node).compares is not None or of(node).extreme or of(node).sizes
            if made is not State.INPUT and not passes:
                made = State.VALUES
        for tensor in node.outputs:
            own = made is not State.INPUT and id(tensor) in self._quantised
            self._states[id(tensor)] = State.LEVELS if own else made

    def state(self, tensor: gs.Tensor) -> State:
        """What ``tensor`` holds once all that is wanted is quantised."""
        return self._states.get(id(tensor), State.INPUT)

    def _is_product(self, node: gs.Node) -> bool:
        return of(node).bilinear and len(float_signals(node)) == 2 and not self._made_of.is_entrywise(node)

    def _want(self, tensor: gs.Tensor) -> None:
        """A quantiser of ``tensor``; of what it is moved, pooled or put together from, where that is enough."""
        maker = tensor.inputs[0] if tensor.inputs else None
        read = [] if maker is None else float_signals(maker)
        apart = maker is not None and is_linear(maker) and not is_weighted(maker) and not is_line(maker)
        if maker is not None and apart and all(self.state(t) is not State.CURRENTS for t in read):
            for operand in read:
                if self.state(operand) is State.VALUES:
                    self._want(operand)
        else:
            self.wanted[id(tensor)] = tensor
        self._states[id(tensor)] = State.LEVELS


def put_clips(graph: gs.Graph, wanted: Collection[gs.Tensor]) -> None:
    """A Clip behind each tensor, whose range is to be chosen: a clipped line, as others are.

    f ─▶ x ─▶ Conv      becomes      f ─▶ x/float ─▶ Clip ─▶ x ─▶ Conv
    """
    names = Names(graph)
    for tensor in wanted:
        out = gs.Variable(names.fresh(f"{tensor.name}/quantised"), np.float32, list(tensor.shape))
        for reader in list(tensor.outputs):
            reader.inputs = [out if t is tensor else t for t in reader.inputs]
        limits = [
            make_constant(names, f"{tensor.name}/{end}", np.float32(v))
            for end, v in (("low", -1), ("high", 1))
        ]
        maker = tensor.inputs[0]
        node = gs.Node(
            "Clip", names.fresh(f"{tensor.name}/quantiser"), inputs=[tensor, *limits], outputs=[out]
        )
        node.attrs.update({CHOSEN: True, ORIGIN: origin(maker)})
        graph.nodes.append(node)
        if not any(tensor is t for t in graph.outputs):
            tensor.name, out.name = names.fresh(f"{tensor.name}/float"), tensor.name


#: Values that a range is chosen from, and shares of what was seen that are tried for its ends.
_VALUES, _SHARES = 50_000, np.linspace(0.2, 1.0, 9)


def choose_ranges(graph: gs.Graph, source: gs.Graph, samples: Mapping[str, Array], levels: int) -> None:
    """Set the limits of what was put in: of least squared error with ``levels`` steps between them.

    Args:
        graph: With the Clips; changed.
        source: Without, its tensors of the same names.
        samples: Inputs (N, ...).
    """
    put_in = [node for node in graph.nodes if CHOSEN in node.attrs]
    known = source.tensors()
    of_source = {id(n): n.outputs[0].name if n.outputs[0].name in known else n.inputs[0].name for n in put_in}
    network = with_outputs(source, list(of_source.values()))
    seen: dict[str, list[Array]] = {name: [] for name in of_source.values()}
    count = len(next(iter(samples.values())))
    for first in range(count):
        found = network.run({n: v[first : first + 1] for n, v in samples.items()}, list(seen))
        for name, parts in seen.items():
            flat = found[name].ravel()
            parts.append(flat[:: max(1, flat.size * count // _VALUES)].astype(np.float64))
    for node in put_in:
        ends = best_range(np.concatenate(seen[of_source[id(node)]]), levels)
        for position, end in enumerate(ends, 1):
            node.inputs[position] = gs.Constant(node.inputs[position].name, np.asarray(end, np.float32))


def best_range(values: Array, levels: int) -> tuple[float, float]:
    """The ends between which ``levels`` equal steps come nearest to ``values``; 0 lies between them."""
    low, high = min(float(values.min(initial=0)), 0.0), max(float(values.max(initial=0)), 0.0)
    best, least = (low, high if high > low else low + 1.0), np.inf
    for bottom in _SHARES if low < 0 else (1.0,):
        for top in _SHARES if high > 0 else (1.0,):
            ends = bottom * low, top * high
            step = (ends[1] - ends[0]) / levels
            if step <= 0:
                continue
            nearest = np.rint(np.clip((values - ends[0]) / step, 0, levels)) * step + ends[0]
            wrong = float(np.mean((nearest - values) ** 2))
            if wrong < least:
                best, least = ends, wrong
    return best
