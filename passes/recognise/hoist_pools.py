"""Max pooling in front of the neuron: onto membrane potentials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations import Staircase
from onnx2snn.activations.neuron import ARRAYS
from onnx2snn.analysis.lines import line_constant
from onnx2snn.analysis.merged_grids import Merged, merged
from onnx2snn.analysis.selections import (
    Selected,
    copy_behind,
    copy_selection,
    decoding,
    rises,
    selected,
)
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, graph_pass, origin, producer_of, signals
from onnx2snn.graph.neuron_nodes import POOLED, SOURCE, staircase_node
from onnx2snn.operators.linear import ORDER_PRESERVING, axes_of, is_alike


@graph_pass
def hoist_pools(graph: gs.Graph) -> gs.Graph:
    """A maximum commutes with a rising staircase, applied alike to all that it compares (METHOD 6).

        z ─▶ Staircase ─▶ k ─▶ Mul α ─▶ MaxPool ─▶ a     becomes     z ─▶ MaxPool ─▶ Staircase ─▶ k ─▶ Mul α ─▶ a

    1. What picks, moves or joins activations on the way (Reshape, Slice, Concat, zero padding ...) does so with their
       potentials; the neurons behind the pooling have the thresholds that arrive with each entry.
    2. The staircase has other readers: it stays for them, and the pooled one is a neuron of its own.
    3. Parameters differ within what is compared, or α < 0: nothing is done.
    4. It pools potentials, for a neuron behind it: nothing is done, whatever those are made of.
    """
    names = Names(graph)
    for pool in list(graph.nodes):
        if pool.op not in ORDER_PRESERVING or pool.domain or len(pool.outputs) > 1 or POOLED in pool.attrs:
            continue
        base, lines = _behind_lines(pool)
        found = selected(base)
        grid = None if found is None else merged(found)
        if found is not None and grid is not None and _alike(pool, grid, lines):
            _hoist(graph, names, _Hoisting(pool, found, grid, lines))
    return graph


@dataclass(frozen=True)
class _Hoisting:
    """A pooling of ``found``, decoded by ``lines`` behind it."""

    pool: gs.Node
    found: Selected
    grid: Merged
    lines: tuple[gs.Node, ...]


def _behind_lines(pool: gs.Node) -> tuple[gs.Tensor, tuple[gs.Node, ...]]:
    """What is pooled, without the rising lines in front of the pooling; a reduction may drop axes that they have."""
    tensor, lines = pool.inputs[0], []
    node = producer_of(tensor)
    while node is not None and rises(node) and pool.op != "ReduceMax":
        lines.append(node)
        tensor = signals(node)[0]
        node = producer_of(tensor)
    return tensor, tuple(n for n in reversed(lines) if n.op != "Identity")


def _alike(pool: gs.Node, grid: Merged, lines: tuple[gs.Node, ...]) -> bool:
    """Whether all entries that ``pool`` compares are on one grid."""
    staircase, rank = grid.staircase, len(pool.inputs[0].shape)
    arrays = [getattr(staircase, name) for name in ARRAYS]
    if np.any(staircase.scale <= 0):
        return False
    constants = [c for line in lines if (c := line_constant(line)) is not None]
    if pool.op == "ReduceMax":
        reduced = axes_of(pool)
        return reduced is not None and not lines and all(is_alike(a, rank, reduced) for a in arrays)
    return all(
        a.size == 1 or (a.ndim in (rank - 1, rank) and a.size == a.shape[1 - rank])
        for a in (*arrays, *constants)
    )


def _hoist(graph: gs.Graph, names: Names, work: _Hoisting) -> None:
    pool, found, output = work.pool, work.found, work.pool.outputs[0]
    copies: dict[int, gs.Tensor] = {id(leaf.tensor): leaf.staircase.inputs[0] for leaf in found.leaves}
    copy_selection(found, copies, graph, names, silent=work.grid.silent)
    staircase = _pooled(pool, work.grid.staircase)
    sources = [n for leaf in found.leaves for n in origin(leaf.staircase)]
    old = _replaced(work)
    name = f"{pool.name}/neuron" if old is None else old.name
    if old is not None:
        old.name = names.fresh(f"{name}/replaced")
    potential = copy_behind(graph, names, pool, copies[id(found.tensor)])
    potential.inputs[0].attrs[POOLED] = True
    fresh = staircase_node(
        names,
        staircase,
        potential,
        name=name,
        origin=list(dict.fromkeys([*sources, *origin(pool)])),
        source=output.name,
    )
    if old is not None:
        fresh.name = name
    fresh.attrs[SOURCE] = _decoded(staircase, work.lines, len(output.shape))
    graph.nodes.append(fresh)
    value = fresh.outputs[0]
    spelling = Spelling(graph, names, fresh)
    for op, values, neutral in (("Mul", staircase.scale, 1.0), ("Add", staircase.shift, 0.0)):
        if np.any(values != neutral):
            value = spelling.apply(op, value, values.astype(np.float32))
    for node in work.lines:
        value = copy_behind(graph, names, node, value)
    pool.outputs.clear()
    graph.nodes.append(gs.Node(op="Identity", name=names.fresh(pool.name), inputs=[value], outputs=[output]))


def _pooled(pool: gs.Node, staircase: Staircase) -> Staircase:
    """``staircase`` without the axes that ``pool`` drops."""
    dropped = axes_of(pool) or [] if pool.op == "ReduceMax" else []
    if not dropped or pool.attrs.get("keepdims", 1):
        return staircase
    rank = len(pool.inputs[0].shape)

    def drop(values: Any) -> Any:
        own = (axis - rank + values.ndim for axis in dropped)
        return values.squeeze(tuple(axis for axis in own if axis >= 0))

    return replace(staircase, **{name: drop(getattr(staircase, name)) for name in ARRAYS})


def _replaced(work: _Hoisting) -> gs.Node | None:
    """The one staircase that nothing but this pooling reads, so that the pooled one takes its place."""
    leaf, *more = work.found.leaves
    between = (*leaf.lines, *work.found.nodes, *work.lines)
    chain = {id(node) for node in (*between, work.pool)}
    read = [leaf.staircase.outputs[0], *(t for node in between for t in node.outputs)]
    alone = not more and all(id(reader) in chain for t in read for reader in t.outputs)
    return leaf.staircase if alone else None


def _decoded(staircase: Staircase, lines: tuple[gs.Node, ...], rank: int) -> Staircase:
    """``staircase`` with the α and o of what ``lines`` make of it."""
    factor, term = (v[0] if v.ndim == rank else v for v in decoding(lines))
    return replace(staircase, scale=factor * staircase.scale, shift=factor * staircase.shift + term)
