"""Neurons for values that are sums, maxima and clips of levels: no activation, and yet so many values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.check_float32 import recognise_checked
from onnx2snn.activations.expression import Value
from onnx2snn.activations.lattice import Lattice
from onnx2snn.activations.neuron_nodes import POOLED
from onnx2snn.activations.operators import HANDLERS
from onnx2snn.activations.piecewise_linear import ONE
from onnx2snn.activations.rationals import where
from onnx2snn.activations.recognise import expressions
from onnx2snn.analysis.lattices import lattices
from onnx2snn.analysis.reach import is_passed, non_spiking_nodes
from onnx2snn.graph.build import Spelling
from onnx2snn.graph.core import Names, graph_pass, replace_uses, signals, tidy
from onnx2snn.graph.walks import carried
from onnx2snn.operators.linear import is_neuron
from onnx2snn.passes.recognise.recognise_staircases import put_staircase


@graph_pass
def encode_lattices(graph: gs.Graph) -> gs.Graph:
    """A quantiser behind what no neuron could stand for, on the lattice that its values lie on: it changes none of them.

        a + b ─▶ MaxPool ─▶ y     becomes     a + b ─▶ MaxPool ─▶ Staircase(θ = unit, K) ─▶ Mul unit ─▶ Add low ─▶ y

    The sum of two quantised activations takes as many values as their scales have common multiples: a neuron on their
    common measure encodes it, and the maximum (of membrane potentials) stands in front of that neuron.

    1. An elementwise operator (Relu, Clip ... of a sum): it is a part of the new activation. Maxima that are behind it are
       left for the next run: they may be hoisted in front of this neuron.
    2. A maximum: the last of several in a row, with nothing but moves and lines between.
    3. Lines follow, and synapses: they are a part of the new activation too.
    4. The scales have no common measure, or more than 16 bits of levels: nothing is done.
    """
    refused = non_spiking_nodes(graph)
    made = expressions(graph) if refused else {}
    known = lattices(graph) if refused else {}
    candidates = [n for n in refused if len(n.outputs) == 1 and id(n.outputs[0]) in known]
    is_part = partial(_is_part, made=made)
    elementwise = [n for n in candidates if is_part(n)]
    ends = (
        _ends(graph, elementwise, is_part)
        if elementwise
        else _ends(graph, candidates, lambda node: is_neuron(node) or is_passed(node))
    )
    names = Names(graph)
    raw = {}
    for node in ends:
        output = node.outputs[0]
        raw[output.name] = _quantise(graph, names, node, known[id(output)])
    encoded: set[str] = set()
    for found in recognise_checked(tidy(graph)).found if raw else ():
        inside = raw.keys() & {tensor.name for node in found.nodes for tensor in node.outputs}
        if inside:
            put_staircase(graph, names, found)
            encoded |= inside
    for name, tensor in raw.items():
        if name not in encoded:  # float32 did not agree: as it was
            replace_uses(graph, graph.tensors()[name], tensor)
    return graph


def _is_part(node: gs.Node, made: Mapping[int, Value]) -> bool:
    """Whether ``node`` can be a part of an activation: it reads one tensor, or what elementwise operators make of one."""
    if node.domain or node.op not in HANDLERS:
        return False
    return len(signals(node)) == 1 or id(node.outputs[0]) in made


def _ends(graph: gs.Graph, candidates: list[gs.Node], passes: Callable[[gs.Node], bool]) -> list[gs.Node]:
    """The last of ``candidates`` in each row of nodes that ``passes``: those with other readers than such a row's rest.

    A row of maxima may end in a neuron, which then stands for it; of parts of an activation that one has taken all it could.
    """
    wanted, outputs = {id(node) for node in candidates}, {id(t) for t in graph.outputs}
    neurons = {id(t): True for node in graph.nodes if is_neuron(node) for t in node.outputs}

    def is_within(node: gs.Node, inside: Mapping[int, bool]) -> bool:
        readers = [reader for tensor in node.outputs for reader in tensor.outputs]
        within = all(passes(r) and id(r.outputs[0]) in inside for r in readers)
        return within and not any(id(tensor) in outputs for tensor in node.outputs)

    def rule(node: gs.Node, inside: dict[int, bool]) -> Iterable[tuple[int, bool]]:
        joins = id(node) in wanted or is_within(node, inside)
        return [(id(tensor), True) for tensor in node.outputs if joins]

    inside = carried(reversed(graph.nodes), rule, neurons)
    return [node for node in reversed(graph.nodes) if id(node) in wanted and not is_within(node, inside)]


def _quantise(graph: gs.Graph, names: Names, node: gs.Node, lattice: Lattice) -> gs.Tensor:
    """Round what ``node`` writes to its lattice; returns what it writes now."""
    output = node.outputs[0]
    raw = gs.Variable(names.fresh(f"{output.name}/unrounded"), output.dtype, output.shape)
    node.outputs = [raw]
    node.attrs[POOLED] = True
    spelling = Spelling(graph, names, node)
    unit = where(lattice.unit == 0, ONE, lattice.unit)
    first = (lattice.low - unit / 2).floats().astype(np.float32)
    low, step, levels = (a.floats().astype(np.float32) for a in (lattice.low, unit, lattice.levels))
    level = spelling.apply("Floor", spelling.apply("Div", spelling.apply("Sub", raw, first), step))
    level = spelling.apply("Min", spelling.apply("Max", level, np.float32(0)), levels)
    spelling.apply("Add", spelling.apply("Mul", level, step), low, output=output)
    return raw
