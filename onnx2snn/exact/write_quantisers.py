"""A network on levels, in ordinary operators: Floor and Clip in place of neurons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations import Staircase
from onnx2snn.activations.neuron_nodes import SOURCE_TENSOR, staircase_of
from onnx2snn.exact.threshold_search import searched
from onnx2snn.exact.weight_grids import THRESHOLDS
from onnx2snn.exact.whole_levels import added_constant
from onnx2snn.graph.build import Spelling, make_constant
from onnx2snn.graph.core import (
    Names,
    constant_input,
    graph_pass,
    is_constant,
    origin,
    producer_of,
    replace_uses,
    tidy,
    value_of,
)
from onnx2snn.operators import of
from onnx2snn.operators.linear import by_axis_1, by_channel, is_hold, is_integrate, is_neuron, is_weighted
from onnx2snn.operators.signals import quantum

#: Longest list of levels, one for each cell of a grid.
MOST_CELLS = 1 << 14


@graph_pass
def plain_neurons(graph: gs.Graph) -> gs.Graph:
    """Neurons of threshold 1 as what they compute.

        z ─▶ Staircase(1, b) ─▶ k ─▶ Add −z₀      becomes      z ─▶ Add b − z₀ ─▶ Floor ─▶ Clip −z₀, K − z₀

    1. The bias, one value a channel, goes into the synapses in front, where nothing else reads them.
    2. Thresholds of a table that lie on a grid: the level of each cell of the grid is looked up. Others are found by a binary
       search, as neurons do it.
    3. Integrate and Hold do nothing to values.
    4. A threshold of its own, a multiple of what the potential is one of: z ─▶ Div θ ─▶ Floor. Below 2²⁴ steps a quotient of
       whole numbers that is not whole is further from whole ones than float32 rounds, so that Floor gives what it is to give.
    """
    shared = Shared()
    for node in list(graph.nodes):
        if is_hold(node) or is_integrate(node):
            value = node.inputs[0]
            if is_integrate(node) and np.any(bias := value_of(node.inputs[1])):
                value = Spelling(graph, Names(graph), node).apply("Add", value, bias)
            replace_uses(graph, node.outputs[0], value)
            node.outputs = []
        elif is_neuron(node):
            _write(graph, node, shared)
    return graph


@dataclass(frozen=True)
class Shared:
    """What several neurons read.

    Attributes:
        cells: By potential.
        biased: Potentials with a bias, by both.
    """

    cells: dict[int, Cells] = field(default_factory=dict)
    biased: dict[tuple[int, bytes], gs.Tensor] = field(default_factory=dict)


def _write(graph: gs.Graph, node: gs.Node, shared: Shared) -> None:
    names = Names(graph)
    zero, out = _zero_of(node)
    spelling = Spelling(graph, names, node)
    node.outputs = [] if out is node.outputs[0] else node.outputs
    if node.attrs[SOURCE_TENSOR] not in names_of(graph) and not any(out is t for t in graph.outputs):
        out.name = node.attrs[SOURCE_TENSOR]
    staircase = staircase_of(node)
    if staircase is None:
        potential = node.inputs[0]
        if id(potential) not in shared.cells:
            shared.cells[id(potential)] = cells_of(graph, spelling, node)
        found = shared.cells[id(potential)]
        if found.cell is None:
            level = searched(spelling, node.attrs[THRESHOLDS], _biased_once(graph, spelling, node, shared))
            spelling.apply("Sub", level, np.full(1, zero, np.float32), output=out)
        else:
            looked_up = found.levels(node.attrs[THRESHOLDS]) - zero
            spelling.apply(
                "Gather", looked_up.astype(np.float32), found.cell, output=out, sizes=list(out.shape)
            )
    else:
        _floored(graph, spelling, node, out, zero)
    last = producer_of(out)
    if last is not None and origin(node):
        last.name = names.fresh(origin(node)[-1])


def _floored(graph: gs.Graph, spelling: Spelling, node: gs.Node, out: gs.Tensor, zero: float) -> None:
    """Cases 1 and 4: ``out`` is the level less ``zero``, of which what is whole goes into the bias."""
    staircase = cast("Staircase", staircase_of(node))
    theta, whole = staircase.threshold, float(np.rint(zero))
    value = _biased(graph, spelling, node, whole * theta)
    if not np.all(theta == 1):
        value = spelling.apply("Div", value, theta.astype(np.float32))
    level = spelling.apply("Floor", value)
    low, high = np.float32(-whole), (np.asarray(staircase.ceilings) - whole).astype(np.float32)
    last = out if zero == whole else None
    if high.size == 1:
        level = spelling.apply("Clip", level, low, high.reshape(())[()], output=last)
    else:
        level = spelling.apply("Min", spelling.apply("Max", level, np.atleast_1d(low)), high, output=last)
    if zero != whole:
        spelling.apply("Sub", level, np.full(1, zero - whole, np.float32), output=out)


def names_of(graph: gs.Graph) -> set[str]:
    """Of all tensors."""
    return set(graph.tensors())


def _zero_of(node: gs.Node) -> tuple[float, gs.Tensor]:
    """What is taken off levels behind ``node``, and the tensor that holds the result."""
    level = node.outputs[0]
    reader = level.outputs[0] if len(level.outputs) == 1 else None
    if reader is not None:
        held = added_constant(reader)
        if held is not None and held.size == 1 and list(reader.outputs[0].shape) == list(level.shape):
            out = reader.outputs[0]
            reader.outputs = []
            return -float(held.reshape(-1)[0]), out
    return 0.0, level


def _biased_once(graph: gs.Graph, spelling: Spelling, node: gs.Node, shared: Shared) -> gs.Tensor:
    """Case 1, of neurons of several kinds of steps: a reader of the file sees one function of one potential."""
    bias = constant_input(node, 1)
    if bias is None:
        return _biased(graph, spelling, node, 0.0)
    key = id(node.inputs[0]), bias.tobytes()
    if key not in shared.biased:
        shared.biased[key] = _biased(graph, spelling, node, 0.0)
    return shared.biased[key]


def _biased(graph: gs.Graph, spelling: Spelling, node: gs.Node, zero: Any, *, alone: int = 1) -> gs.Tensor:
    """Case 1, less ``zero``; ``alone``: so many readers have the same bias."""
    potential, held = node.inputs[0], node.inputs[1]
    if not is_constant(held):
        shifted = spelling.apply("Add", potential, held)
        return (
            spelling.apply("Sub", shifted, np.atleast_1d(zero).astype(np.float32))
            if np.any(zero)
            else shifted
        )
    bias = (value_of(held).astype(np.float64) - zero).astype(np.float32)
    if not np.any(bias):
        return potential
    maker = producer_of(potential)
    if maker is not None and is_weighted(maker) and len(potential.outputs) == alone:
        vector = _per_channel(maker, bias)
        if vector is not None and _takes_bias(maker, len(vector)):
            add_to(graph, maker, vector.astype(np.float64))
            return potential
    return spelling.apply("Add", potential, bias)


def _per_channel(maker: gs.Node, bias: np.ndarray) -> np.ndarray | None:
    """``bias`` of one sample as one value for each output channel of ``maker``."""
    record, weights = of(maker).weights, constant_input(maker, 1)
    rows = None if record is None or weights is None else record.rows(maker, weights)
    if rows is None:
        return None
    rank = len(maker.outputs[0].shape)
    whole = bias.reshape((1,) * (rank - bias.ndim) + bias.shape)
    axis = 1 if by_axis_1(maker) else rank - 1
    if whole.size not in (1, whole.shape[axis]):
        return None
    return np.broadcast_to(whole.reshape(-1), (len(rows),))


@dataclass(frozen=True)
class Cells:
    """The grid on which all thresholds of the tables of one potential lie.

    Attributes:
        cell: The number of the cell that the potential lies in, from 0 on, int64; None where there is no grid, or too fine a one.
        edges: Where each cell begins, (cells,): below the first threshold, and at every place where one may be.
    """

    cell: gs.Tensor | None
    edges: NDArray[np.float64]

    def levels(self, thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many thresholds (J, ...) each cell has reached."""
        return np.searchsorted(np.sort(thresholds.ravel()), self.edges, side="right")


def cells_of(graph: gs.Graph, spelling: Spelling, node: gs.Node) -> Cells:
    """The cells of what ``node`` reads, in the graph: z ─▶ Div g ─▶ Floor ─▶ Clip ─▶ Sub ─▶ Cast."""
    nothing, bias = Cells(None, np.empty(0)), constant_input(node, 1)
    readers = [reader for reader in node.inputs[0].outputs if THRESHOLDS in reader.attrs]
    tables = [reader.attrs[THRESHOLDS] for reader in readers]
    others = [constant_input(reader, 1) for reader in readers]
    if any(t.size != len(t) for t in tables) or bias is None:
        return nothing
    if any(other is None or other.shape != bias.shape for other in others):
        return nothing
    every = np.unique(np.concatenate([t.ravel() for t in tables]))
    every = every[np.isfinite(every)]
    step = quantum(every) if len(every) else 0.0
    if not step or (every[-1] - every[0]) / step >= MOST_CELLS:
        return nothing
    if any(np.any(np.abs(other - bias) > step / MOST_CELLS) for other in others if other is not None):
        return nothing  # nearer ones are told apart by rounding alone
    low, high = every[0] / step - 1, every[-1] / step
    potential = _biased(graph, spelling, node, 0.0, alone=len(readers))
    cell = spelling.apply("Floor", spelling.apply("Div", potential, np.float32(step)))
    cell = spelling.apply("Clip", cell, np.float32(low), np.float32(high))
    whole = spelling.apply("Cast", spelling.apply("Sub", cell, np.float32(low)), to=onnx.TensorProto.INT64)
    whole.dtype = np.dtype(np.int64)
    return Cells(whole, np.arange(low, high + 1) * step)


def _takes_bias(node: gs.Node, channels: int) -> bool:
    """Whether the bias of ``node`` can hold a value for each of its channels."""
    given = constant_input(node, 2)
    return of(node).terms is not None and (
        len(node.inputs) < 3 or (given is not None and given.size == channels)
    )


def add_to(graph: gs.Graph, node: gs.Node, shift: NDArray[np.float64]) -> None:
    """Add ``shift`` (C,) to what a Conv, Gemm or MatMul answers."""
    names = Names(graph)
    given = constant_input(node, 2)
    if _takes_bias(node, len(shift)):
        beta = float(node.attrs.get("beta", 1.0))
        old = np.zeros(len(shift)) if given is None else beta * given.astype(np.float64).ravel()
        bias = make_constant(names, f"{node.name}/bias", (old + shift).astype(np.float32))
        node.inputs = [*node.inputs[:2], bias]
        node.attrs.pop("beta", None)
        return
    out = node.outputs[0]
    spelling = Spelling(graph, names, node)
    answer = gs.Variable(names.fresh(f"{out.name}/uncorrected"), np.float32, list(out.shape))
    node.outputs = [answer]
    spelling.apply("Add", answer, by_channel(node, shift).astype(np.float32), output=out)
    tidy(graph)
