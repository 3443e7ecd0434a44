"""Places of quantisers beside those of clipped lines (METHOD 11 to 14).

*A quantiser stands where a value enters synapses, or a product of two activations*: what arrives there is a level. What is a
level already, moved, pooled or averaged, needs none; neither does what quotients alone make of potentials, in the dendrites of
the neurons behind (METHOD 13). Its range is chosen from data, signed as they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.chains import Chain
from onnx2snn.activations.entrywise import read_by_place, sample_of
from onnx2snn.activations.made_of import MadeOf
from onnx2snn.activations.recognise import recognise
from onnx2snn.analysis.dataflow import influenced_by, influencing, only_read_by
from onnx2snn.calibration.lines import QuantiserPlace, clipped_lines, ranged_place
from onnx2snn.graph.core import ORIGIN, Names, origin, tidy
from onnx2snn.graph.walks import backward
from onnx2snn.operators import of
from onnx2snn.operators.linear import (
    ROWS,
    float_signals,
    is_line,
    is_linear,
    is_mean,
    is_product,
    is_quotient,
    is_weighted,
)

#: Averages of so many levels have as many bits more as six time steps.
LONG = 64
#: Types of tensors that hold no values of samples, but which of them is taken.
_DECISIONS = (np.dtype(np.bool_), np.dtype(np.int64))


class ValueKind(Enum):
    """What a tensor behind synapses holds, before anything is put in.

    LEVELS: what neurons say, moved, averaged or added up.
    CURRENT: what synapses or products make of levels, linear operators of that, and averages of many levels.
    SMOOTH: a function of currents, or a quotient; every value between two others may occur.
    """

    LEVELS = "levels"
    CURRENT = "current"
    SMOOTH = "smooth"


class QuantiserPlaces:
    """Which tensors need a quantiser.

    1. A function or a quotient ends: anything but a line, or a further function of the same tensor, reads it.
    2. An operand of a product of two signals is no level.
    3. A current enters synapses that lead to further quantisers (``exact``): each keeps its own bits.

    4. One number a sample, without an axis of its own, gets it behind what gives it one.

    What lies in front of the first synapses, or behind the last ones, needs none; neither does what only decides which values
    enter synapses: scores that boxes are selected by.

    Args:
        graph: Prepared.
        lines: By id, outputs of clipped lines, which will be levels.
        exact: Case 3.
    """

    def __init__(self, graph: gs.Graph, lines: Collection[int], *, exact: bool) -> None:
        quantised = {id(found.output) for found in recognise(graph).found} | set(lines)
        self._made_of = MadeOf(graph, quantised)
        self._inner = only_read_by(graph, is_quotient, _is_dendritic)
        self._kinds: dict[int, ValueKind] = {}
        self._asked: list[gs.Tensor] = []
        self._entering: list[tuple[gs.Tensor, gs.Node]] = []
        behind = influenced_by(graph, is_weighted)
        self._feeding = backward(graph.nodes, _passes_values)
        for node in graph.nodes:
            kind = self._kind(node) if any(id(t) in behind for t in node.outputs) else None
            for tensor in node.outputs:
                if id(tensor) in quantised:
                    self._kinds[id(tensor)] = ValueKind.LEVELS
                elif kind is not None:
                    self._kinds[id(tensor)] = kind
        self.wanted = self._between(graph, set(lines), exact=exact)

    def _kind(self, node: gs.Node) -> ValueKind | None:
        """What ``node`` writes; quantisers are asked for where it reads what is no level."""
        read = [t for t in float_signals(node) if id(t) in self._kinds]
        kinds = {self._kinds[id(t)] for t in read}
        if self._made_of.is_entrywise(node) and not (is_linear(node) and ValueKind.SMOOTH not in kinds):
            return ValueKind.SMOOTH
        if is_quotient(node):
            return ValueKind.SMOOTH
        if is_product(node) and len(float_signals(node)) == len(node.inputs):
            self._ask(read, node, {ValueKind.SMOOTH, ValueKind.CURRENT})
            return ValueKind.CURRENT
        if is_weighted(node):
            self._ask(read, node, {ValueKind.SMOOTH})
            self._entering += [(t, node) for t in read if self._kinds[id(t)] is ValueKind.CURRENT]
            return ValueKind.CURRENT
        if all(id(t) in self._inner for t in node.outputs) or is_line(node):
            return ValueKind.SMOOTH if ValueKind.SMOOTH in kinds else next(iter(kinds), None)
        self._ask(read, node, {ValueKind.SMOOTH})
        if any(self._kinds[id(t)] is ValueKind.SMOOTH for t in read):
            return ValueKind.SMOOTH
        if is_linear(node) or _moves(node) or of(node).compares is not None or of(node).extreme:
            current = ValueKind.CURRENT in kinds or (kinds and _is_long_mean(node))
            return ValueKind.CURRENT if current else ValueKind.LEVELS if kinds else None
        return ValueKind.SMOOTH

    def _ask(self, read: Collection[gs.Tensor], node: gs.Node, unfit: Collection[ValueKind]) -> None:
        if not (is_weighted(node) or any(id(t) in self._feeding for t in node.outputs)):
            return
        for tensor in read:
            if self._kinds[id(tensor)] in unfit and tensor.shape and len(tensor.shape) > 1:
                self._asked.append(tensor)
                self._kinds[id(tensor)] = ValueKind.LEVELS

    def _between(self, graph: gs.Graph, lines: set[int], *, exact: bool) -> list[gs.Tensor]:
        """Those with synapses behind them; of currents that enter synapses, those with further quantisers."""
        found = {id(t): t for t in self._asked}
        ends = lines | found.keys()
        leading = influencing(graph, lambda node: any(id(t) in ends for t in node.outputs))
        if exact:
            found |= {id(t): t for t, node in self._entering if id(node.outputs[0]) in leading}
        order = {id(t): i for i, t in enumerate(t for node in graph.nodes for t in node.outputs)}
        return sorted(found.values(), key=lambda t: order[id(t)])


def _passes_values(node: gs.Node, written: list[bool]) -> bool:
    """Whether values that ``node`` reads enter synapses: places and comparisons of them only decide which values do."""
    return is_weighted(node) or any(
        feeds and tensor.dtype not in _DECISIONS for feeds, tensor in zip(written, node.outputs, strict=True)
    )


def _moves(node: gs.Node) -> bool:
    """Whether ``node`` moves or picks entries, be it across samples."""
    copies = of(node).copies
    return of(node).moves or (copies is not None and copies(node))


def _is_long_mean(node: gs.Node) -> bool:
    """Whether ``node`` averages so many levels that their sum leaves synapses behind few bits."""
    read, made = node.inputs[0].shape, node.outputs[0].shape
    if not is_mean(node) or of(node).windows or read is None or made is None:
        return False
    sizes = [[size for size in shape if isinstance(size, (int, np.integer))] for shape in (read, made)]
    return bool(math.prod(sizes[0]) >= LONG * math.prod(sizes[1]))


def _is_dendritic(node: gs.Node) -> bool:
    """Whether neurons compute ``node`` of potentials in front of a quotient."""
    return not is_weighted(node) and not is_product(node)


def find_places(graph: gs.Graph, *, exact: bool) -> list[QuantiserPlace]:
    """All places of staircases, in the order in which their tensors are made.

    Args:
        graph: Prepared; it gets an Identity at those that are no clipped line.
        exact: See :class:`QuantiserPlaces`.
    """
    tensors, lines = graph.tensors(), clipped_lines(graph)
    wanted = QuantiserPlaces(graph, {id(tensors[line.output]) for line in lines}, exact=exact).wanted
    return put_places(graph, wanted, lines) if wanted else lines


def put_places(
    graph: gs.Graph, wanted: Collection[gs.Tensor], lines: Sequence[QuantiserPlace]
) -> list[QuantiserPlace]:
    """A place behind each tensor; with ``lines``, in the order in which their tensors are made.

    f ─▶ x ─▶ Conv      becomes      f ─▶ x/float ─▶ Identity ─▶ x ─▶ Conv
    """
    names = Names(graph)
    put: dict[str, gs.Tensor] = {}
    for tensor in wanted:
        out = gs.Variable(names.fresh(f"{tensor.name}/quantised"), np.float32, list(tensor.shape))
        for reader in list(tensor.outputs):
            reader.inputs = [out if t is tensor else t for t in reader.inputs]
        node = gs.Node("Identity", names.fresh(f"{tensor.name}/quantiser"), inputs=[tensor], outputs=[out])
        maker = tensor.inputs[0]
        node.attrs[ORIGIN] = origin(maker)
        if ROWS in maker.attrs:
            node.attrs[ROWS] = maker.attrs[ROWS]
        graph.nodes.append(node)
        if not any(tensor is t for t in graph.outputs):
            tensor.name, out.name = names.fresh(f"{tensor.name}/float"), tensor.name
        else:
            lines = [replace(line, root=out.name) if line.root == tensor.name else line for line in lines]
        put[out.name] = tensor
    tidy(graph)
    tensors, known = graph.tensors(), {line.output: line for line in lines}
    stops = {id(tensors[name]) for name in (*put, *known)} | {id(f.output) for f in recognise(graph).found}
    made_of = MadeOf(graph, stops)
    places = []
    for made in (t for node in graph.nodes for t in node.outputs):
        if made.name in known:
            places.append(known[made.name])
        elif made.name in put:
            path = made_of.path(put[made.name])
            entrance = path[0] if len(path) == 1 and path[0] is not put[made.name] else None
            place = ranged_place(put[made.name], made, entrance)
            if entrance is not None and not _by_channel(
                made_of.between(entrance, put[made.name]), place.axis
            ):
                place = ranged_place(put[made.name], made, None)
            places.append(place)
    return places


def _by_channel(function: Chain, axis: int) -> bool:
    """Whether a function is the same at all places of a channel: its argument is looked at without them."""
    read = [t for node in function.nodes for t in read_by_place(node)]
    sample = sample_of(read, function.root.shape)
    return sample is not None and all(size == 1 for place, size in enumerate(sample, 1) if place != axis)
