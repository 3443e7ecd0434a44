"""Maxima in front of what rises: onto membrane potentials."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.bisection import grid
from onnx2snn.activations.chains import Chain, ChainEvaluation
from onnx2snn.activations.entrywise import Opsets
from onnx2snn.activations.made_of import MadeOf
from onnx2snn.graph.core import (
    ORIGIN,
    Names,
    graph_pass,
    is_constant,
    origin,
    producer_of,
    signals,
    tidy,
    value_of,
)
from onnx2snn.operators import of
from onnx2snn.operators.linear import ORDER_PRESERVING, compared_axes, is_alike, is_linear, is_quotient

#: A function rises if it falls nowhere by more than its own rounding.
_NOISE = 8 * float(np.finfo(np.float32).eps)

#: By the nodes of a maximum and of a function in front of it, that function, which keeps them, and whether the two commute.
Verdicts: TypeAlias = dict[tuple[int, ...], tuple[Chain, bool]]


@graph_pass
def maxima_first(graph: gs.Graph) -> gs.Graph:
    """A maximum commutes with a rising function, applied alike to all that it compares (METHOD 6).

        z ─▶ f ─▶ MaxPool ─▶ a      becomes      z ─▶ MaxPool ─▶ f ─▶ a

    f is what entrywise operators make of z: a Relu, a quantiser, both. Then the whole activation stands behind the maximum.

    1. f has other readers: it stays for them.
    2. It falls somewhere (its own operators are run), differs within what is compared, or is a line: nothing is done.
    3. It falls somewhere, and a function h is behind that rises: h goes in front of the maximum, so that h∘f is one function.

        z ─▶ f ─▶ MaxPool ─▶ h ─▶ a      becomes      z ─▶ f ─▶ h ─▶ MaxPool ─▶ a

       So it is where z is a quotient, which h decides without dividing; f stays in front of the maximum.
    4. Joins and further maxima may stand between: h is a function of all that they read.
    5. A join of functions that rise, along an axis that is not compared: the maximum of each goes in front of the join.

        z ─▶ f ─┐                          z ─▶ MaxPool ─▶ f ─┐
                Concat ─▶ MaxPool   becomes                   Concat
        y ─▶ g ─┘                          y ─▶ MaxPool ─▶ g ─┘
    """
    moved = any(map(_is_pool, graph.nodes))
    known: Verdicts = {}
    while moved:
        names, made_of = Names(graph), MadeOf(graph)
        found = [
            (pool, _function(pool, pool.inputs[0], made_of, known)) for pool in graph.nodes if _is_pool(pool)
        ]
        ready = [(pool, chain) for pool, chain in found if chain is not None]
        used: set[int] = set()
        for pool, chain in ready:
            ends = {id(t) for t in (*pool.inputs[:1], *pool.outputs, chain.root, chain.output)}
            if used.isdisjoint(ends):
                _swap(graph, names, pool, chain)
                used |= ends
        region = _in_front_of(graph, made_of) if not ready else None
        if region is not None:
            _put_in_front(graph, names, region)
        joined = None if ready or region else _behind_join(graph, made_of, known)
        if joined is not None:
            _split(graph, names, *joined)
        graph, moved = tidy(graph), bool(ready or region or joined)
    return graph


def _is_pool(node: gs.Node) -> bool:
    return node.op in ORDER_PRESERVING and not node.domain and len(node.outputs) == 1


def _function(pool: gs.Node, tensor: gs.Tensor, made_of: MadeOf, known: Verdicts) -> Chain | None:
    """The longest function that makes ``tensor`` and may stand behind ``pool``; of a quotient, none."""
    if _is_of_quotient(tensor, made_of):
        return None
    chains = made_of.between(made_of.path(tensor)[-1], tensor), made_of.chain(tensor)
    return next((chain for chain in chains if _known_to_commute(pool, chain, made_of.opsets, known)), None)


def _known_to_commute(pool: gs.Node, chain: Chain, opsets: Opsets, known: Verdicts) -> bool:
    """Operators are run once, however many rounds look at them."""
    key = (id(pool), *map(id, chain.nodes))
    if key not in known:
        known[key] = chain, _commutes(pool, chain, opsets)
    return known[key][1]


def _is_of_quotient(tensor: gs.Tensor, made_of: MadeOf) -> bool:
    maker = producer_of(made_of.path(tensor)[-1])
    return maker is not None and is_quotient(maker)


def _commutes(pool: gs.Node, chain: Chain, opsets: Opsets) -> bool:
    if all(is_linear(node) for node in chain.nodes):
        return False
    compared, rank = compared_axes(pool), len(pool.inputs[0].shape)
    if compared is None:
        return False
    constants = [value_of(t) for n in chain.nodes for t in n.inputs if is_constant(t) and not t.is_empty()]
    if len(pool.outputs[0].shape) != rank and any(c.size > 1 for c in constants):
        return False
    if not all(is_alike(c, rank, compared) for c in constants if c.ndim <= rank):
        return False
    return _rises(ChainEvaluation(chain, chain.output, opsets))


def _rises(evaluation: ChainEvaluation) -> bool:
    values = evaluation.run(grid()[:, None])[1].astype(np.float64)
    if np.isnan(values).any():
        return False
    highest = np.maximum.accumulate(values, axis=0)
    with np.errstate(invalid="ignore"):
        fallen = highest - values
    largest = np.minimum(np.abs(values).max(axis=0), 1.0)
    return bool(np.all((highest == values) | (fallen <= _NOISE * np.maximum(np.abs(highest), largest))))


@dataclass(frozen=True)
class _Region:
    """Maxima and joins between tensors and one function of what they make of them.

    Attributes:
        nodes: The maxima and joins, the last one first.
        roots: What they read.
        chain: The function.
    """

    nodes: tuple[gs.Node, ...]
    roots: tuple[gs.Tensor, ...]
    chain: Chain


def _in_front_of(graph: gs.Graph, made_of: MadeOf) -> _Region | None:
    """Case 3: a region with a maximum of what does not rise, and the longest function behind it that may stand in front."""
    kept = {id(t) for t in graph.outputs}
    for node in graph.nodes:
        top = node.outputs[0] if _is_pool(node) or of(node).joins else None
        if top is None or not _is_read_once(top, kept) or not made_of.is_entrywise(top.outputs[0]):
            continue
        nodes, roots = _between(node, kept)
        pools = [one for one in nodes if _is_pool(one)]
        if not any(_bends(root, made_of) for pool in pools for root in pool.inputs[:1]):
            continue
        ends, tensor = [], top
        while _is_read_once(tensor, kept) and made_of.is_entrywise(tensor.outputs[0]):
            tensor = tensor.outputs[0].outputs[0]
            ends.append(tensor)
        for chain in (made_of.between(top, end) for end in reversed(ends)):
            single = all(value_of(t).size == 1 for t in _constants(chain))
            if (single or len(pools) == len(nodes) == 1) and all(
                _commutes(pool, chain, made_of.opsets) for pool in pools
            ):
                return _Region(nodes, roots, chain)
    return None


def _is_read_once(tensor: gs.Tensor, kept: Collection[int]) -> bool:
    return id(tensor) not in kept and len(tensor.outputs) == 1


def _between(last: gs.Node, kept: Collection[int]) -> tuple[tuple[gs.Node, ...], tuple[gs.Tensor, ...]]:
    """Maxima and joins in front of ``last`` that nothing else reads, itself first; and what they read."""
    nodes, inside = [last], {id(last)}
    for node in nodes:
        for maker in (t.inputs[0] for t in node.inputs if t.inputs):
            ours = id(maker) not in inside and (_is_pool(maker) or of(maker).joins)
            if (
                ours
                and id(maker.outputs[0]) not in kept
                and all(id(r) in inside for r in maker.outputs[0].outputs)
            ):
                nodes.append(maker)
                inside.add(id(maker))
    read = {
        id(t): t for node in nodes for t in signals(node) if not t.inputs or id(t.inputs[0]) not in inside
    }
    return tuple(nodes), tuple(read.values())


def _bends(tensor: gs.Tensor, made_of: MadeOf) -> bool:
    """Whether ``tensor`` is a quotient, or what entrywise operators make of another, and no line of it."""
    nodes = made_of.between(made_of.path(tensor)[-1], tensor).nodes
    return not all(map(is_linear, nodes)) or _is_of_quotient(tensor, made_of)


def _constants(chain: Chain) -> list[gs.Tensor]:
    return [t for n in chain.nodes for t in n.inputs if is_constant(t) and not t.is_empty()]


def _behind_join(graph: gs.Graph, made_of: MadeOf, known: Verdicts) -> tuple[gs.Node, gs.Node] | None:
    """Case 5: a maximum and the join in front of it."""
    for pool in graph.nodes:
        join = producer_of(pool.inputs[0]) if _is_pool(pool) else None
        if join is None or not of(join).joins or len(pool.inputs[0].shape) != len(pool.outputs[0].shape):
            continue
        compared, rank = compared_axes(pool), len(pool.inputs[0].shape)
        if compared is None or int(join.attrs["axis"]) % rank in {axis % rank for axis in compared}:
            continue
        if any(_function(pool, tensor, made_of, known) is not None for tensor in signals(join)):
            return pool, join
    return None


def _split(graph: gs.Graph, names: Names, pool: gs.Node, join: gs.Node) -> None:
    """The maximum of each operand of the join, and their join; other readers keep the join as it is."""
    result, axis = pool.outputs[0], int(join.attrs["axis"]) % len(pool.outputs[0].shape)
    parts = []
    for tensor in join.inputs:
        shape = list(result.shape)
        shape[axis] = tensor.shape[axis]
        part = gs.Variable(names.fresh(f"{tensor.name}/pooled"), result.dtype, shape)
        fresh = gs.Node(
            pool.op,
            names.fresh(f"{pool.name}/part"),
            dict(pool.attrs),
            [tensor, *pool.inputs[1:]],
            [part],
            domain=pool.domain,
        )
        fresh.attrs[ORIGIN] = origin(pool)
        graph.nodes.append(fresh)
        parts.append(part)
    pool.outputs = []
    again = gs.Node(join.op, names.fresh(f"{join.name}/behind"), dict(join.attrs), parts, [result])
    again.attrs[ORIGIN] = origin(join)
    graph.nodes.append(again)


def _put_in_front(graph: gs.Graph, names: Names, region: _Region) -> None:
    """The function in front of the region, of each of its roots; other readers keep these."""
    chain, rank = region.chain, len(region.chain.root.shape)
    for root in region.roots:
        inner = gs.Variable(names.fresh(f"{chain.output.name}/compared"), np.float32, list(root.shape))
        for node in region.nodes:
            node.inputs = [inner if t is root else t for t in node.inputs]
        _copy(graph, names, chain, root, inner, dropped=len(root.shape) != rank)
    replaced = gs.Variable(names.fresh(f"{chain.output.name}/replaced"), np.float32, list(chain.root.shape))
    chain.nodes[-1].outputs = [replaced]
    region.nodes[0].outputs = [chain.output]


def _swap(graph: gs.Graph, names: Names, pool: gs.Node, chain: Chain) -> None:
    """The function behind the maximum."""
    given, result = pool.inputs[0], pool.outputs[0]
    inner = gs.Variable(names.fresh(f"{chain.output.name}/potential"), np.float32, list(result.shape))
    pool.inputs[0], pool.outputs = chain.root, [inner]
    _copy(graph, names, chain, inner, result, dropped=len(result.shape) != len(given.shape))


def _copy(
    graph: gs.Graph, names: Names, chain: Chain, root: gs.Tensor, output: gs.Tensor, *, dropped: bool
) -> None:
    """The operators of ``chain`` between two tensors; ``dropped``: of another rank, where constants are single numbers."""
    copies: dict[int, gs.Tensor] = {id(chain.root): root}
    for node in chain.nodes:
        inputs = []
        for tensor in node.inputs:
            held = copies.get(id(tensor), tensor)
            if is_constant(tensor) and not tensor.is_empty():
                single = dropped and value_of(tensor).size == 1
                values = value_of(tensor).reshape(()) if single else value_of(tensor)
                held = gs.Constant(names.fresh(tensor.name), values)
            inputs.append(held)
        fresh = gs.Node(
            node.op, names.fresh(f"{node.name}/pooled"), dict(node.attrs), inputs, domain=node.domain
        )
        fresh.attrs[ORIGIN] = origin(node)
        for tensor in node.outputs:
            copy = gs.Variable(names.fresh(f"{tensor.name}/pooled"), tensor.dtype, list(root.shape))
            copies[id(tensor)] = output if tensor is chain.output else copy
            fresh.outputs.append(copies[id(tensor)])
        graph.nodes.append(fresh)
