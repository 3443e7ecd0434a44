"""A choice between values of which synapses read one: products with the mask, and with what is left of one (METHOD 12)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.made_of import MadeOf
from onnx2snn.analysis.facts import facts
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, graph_pass, is_constant, is_float, nodes_of, value_of
from onnx2snn.operators.conditions import rank_of


@graph_pass
def choose_by_products(graph: gs.Graph) -> gs.Graph:
    """A mask that is no constant, as zeros and ones: what it selects is a product, which is linear in what spikes.

        Where(m, a, b)      becomes      a · Cast(m) + b · (1 − Cast(m))

    Every product is by 0 or 1, and of every sum one term is 0: nothing is rounded.

    1. A branch that is 0 makes no product.
    2. All that it reads is made of one tensor: it is a part of an activation, and stays.
    3. Synapses are in front of no branch, or none behind: it is computed as it is, and stays.
    4. Synapses are in front of the mask: it is a signal, and would have to be an activation itself.
    5. A branch is infinite, or no number; the mask is of a lower rank than what it selects: it stays.
    """
    chosen = nodes_of(graph, "Where")
    if not chosen:
        return graph
    made_of, names = MadeOf(graph), Names(graph)
    behind, before = facts(graph).behind_synapses, facts(graph).before_synapses
    for node in chosen:
        mask, *branches = (id(t) in behind for t in node.inputs)
        between = any(branches) and not mask and id(node.outputs[0]) in before
        if between and _is_product(node) and not made_of.is_entrywise(node):
            _spell(Spelling(graph, names, node), node)
    return graph


def _is_product(node: gs.Node) -> bool:
    """None of cases 5, and its condition no constant."""
    mask, *branches = node.inputs
    held = [value_of(t) for t in branches if is_constant(t)]
    signals = [t for t in branches if not is_constant(t)]
    known = mask.shape is not None and node.outputs[0].shape is not None
    if is_constant(mask) or not known or not is_float(node.outputs[0]):
        return False
    full = all(rank_of(t) == rank_of(mask) for t in (*signals, node.outputs[0]))
    finite = all(np.isfinite(values).all() for values in held)
    return full and finite and not all(map(_is_nothing, branches))


def _spell(spelling: Spelling, node: gs.Node) -> None:
    output, (condition, *branches) = node.outputs[0], node.inputs
    mask = spelling.apply("Cast", condition, to=1)
    some = [(branch, place == 0) for place, branch in enumerate(branches) if not _is_nothing(branch)]
    factors = [mask if chosen else spelling.apply("Sub", np.float32(1), mask) for _, chosen in some]
    node.outputs = []
    if len(some) == 1:  # case 1
        spelling.apply("Mul", some[0][0], factors[0], output=output)
        return
    terms = [
        spelling.apply("Mul", branch, factor, sizes=_against(branch, condition))
        for branch, factor in zip(branches, factors, strict=True)
    ]
    spelling.apply("Add", *terms, output=output)


def _is_nothing(branch: gs.Tensor) -> bool:
    return is_constant(branch) and not value_of(branch).any()


def _against(branch: gs.Tensor, mask: gs.Tensor) -> list[int | str]:
    """The sizes of both, taken against each other."""
    held = [1] * (rank_of(mask) - len(branch.shape)) + list(branch.shape)
    return [other if size == 1 else size for size, other in zip(held, mask.shape, strict=True)]
