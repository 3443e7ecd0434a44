"""Maxima in front of what rises: onto membrane potentials."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.bisection import grid
from onnx2snn.activations.chains import Chain, Evaluation
from onnx2snn.activations.entrywise import Opsets
from onnx2snn.activations.made_of import MadeOf
from onnx2snn.graph.build import make_constant
from onnx2snn.graph.core import ORIGIN, Names, graph_pass, is_constant, origin, producer_of, tidy, value_of
from onnx2snn.operators.linear import ORDER_PRESERVING, compared_axes, is_alike, is_linear, is_quotient

#: A function rises if it falls nowhere by more than its own rounding.
_NOISE = 8 * float(np.finfo(np.float32).eps)


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
    """
    moved = any(map(_is_pool, graph.nodes))
    while moved:
        names, made_of = Names(graph), MadeOf(graph)
        pools = [pool for pool in graph.nodes if _is_pool(pool)]
        found = [(pool, _function(pool, made_of) or _behind(graph, pool, made_of)) for pool in pools]
        ready = [(pool, chain) for pool, chain in found if chain is not None]
        used: set[int] = set()
        for pool, chain in ready:
            ends = {id(t) for t in (*pool.inputs[:1], *pool.outputs, chain.root, chain.output)}
            if used.isdisjoint(ends):
                _swap(graph, names, pool, chain)
                used |= ends
        graph, moved = tidy(graph), bool(ready)
    return graph


def _is_pool(node: gs.Node) -> bool:
    return node.op in ORDER_PRESERVING and not node.domain and len(node.outputs) == 1


def _function(pool: gs.Node, made_of: MadeOf) -> Chain | None:
    """The longest function in front of ``pool`` that may stand behind it; of a quotient, none."""
    tensor = pool.inputs[0]
    if _is_of_quotient(tensor, made_of):
        return None
    chains = made_of.between(made_of.path(tensor)[-1], tensor), made_of.chain(tensor)
    return next((chain for chain in chains if _commutes(pool, chain, made_of.opsets)), None)


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
    return _rises(Evaluation(chain, chain.output, opsets))


def _rises(evaluation: Evaluation) -> bool:
    values = evaluation.run(grid()[:, None])[1].astype(np.float64)
    if np.isnan(values).any():
        return False
    highest = np.maximum.accumulate(values, axis=0)
    with np.errstate(invalid="ignore"):
        fallen = highest - values
    largest = np.minimum(np.abs(values).max(axis=0), 1.0)
    return bool(np.all((highest == values) | (fallen <= _NOISE * np.maximum(np.abs(highest), largest))))


def _behind(graph: gs.Graph, pool: gs.Node, made_of: MadeOf) -> Chain | None:
    """Case 3: the longest function behind ``pool``, of several operators, that may stand in front of it."""
    read = pool.inputs[0]
    straight = all(map(is_linear, made_of.between(made_of.path(read)[-1], read).nodes))
    if straight and not _is_of_quotient(read, made_of):
        return None
    kept, tensor = {id(t) for t in graph.outputs}, pool.outputs[0]
    ends = []
    while id(tensor) not in kept and len(tensor.outputs) == 1 and made_of.is_entrywise(tensor.outputs[0]):
        tensor = tensor.outputs[0].outputs[0]
        ends.append(tensor)
    chains = (made_of.between(pool.outputs[0], end) for end in reversed(ends))
    return next((chain for chain in chains if _commutes(pool, chain, made_of.opsets)), None)


def _swap(graph: gs.Graph, names: Names, pool: gs.Node, chain: Chain) -> None:
    """The function behind the maximum; or in front of it, where it stood behind."""
    given, result = pool.inputs[0], pool.outputs[0]
    behind = chain.root is result
    shape = list((given if behind else result).shape)
    inner = gs.Variable(
        names.fresh(f"{chain.output.name}/{'compared' if behind else 'potential'}"), np.float32, shape
    )
    dropped = len(result.shape) != len(given.shape)
    if behind:
        _copy(graph, names, chain, given, inner, dropped=dropped)
        last = chain.nodes[-1]
        last.outputs = [
            gs.Variable(names.fresh(f"{chain.output.name}/replaced"), np.float32, list(result.shape))
        ]
        pool.inputs[0], pool.outputs = inner, [chain.output]
    else:
        pool.inputs[0], pool.outputs = chain.root, [inner]
        _copy(graph, names, chain, inner, result, dropped=dropped)


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
                held = make_constant(names, tensor.name, values)
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
