"""Levels as whole numbers on their way to synapses and products: offsets in front of factors, factors behind products."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import parameters, set_parameters, staircase_of
from onnx2snn.activations.tables import Table, table_of
from onnx2snn.analysis.scale_propagation import factor_of
from onnx2snn.graph.build import Spelling, make_constant
from onnx2snn.graph.core import (
    Array,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    is_read_once,
    producer_of,
    signals,
    value_of,
)
from onnx2snn.graph.walks import forward
from onnx2snn.operators import of
from onnx2snn.operators.linear import TABLE_STAIRCASE, is_neuron, is_product
from onnx2snn.operators.scales import as_scale

#: Zero points that are no whole numbers are multiples of this.
FRACTION = 2.0**-4


def added_constant(node: gs.Node) -> Array | None:
    """What ``node`` adds to its one signal, where that stands first; None of other nodes."""
    adds = of(node).sums and not of(node).subtracts and len(node.inputs) == 2
    return constant_input(node, 1) if adds else None


@graph_pass
def tables_together(graph: gs.Graph) -> gs.Graph:
    """A staircase beside a table on one potential is a table, too: a function that rises and falls is looked up at once."""
    names = Names(graph)
    for node in graph.nodes:
        staircase = staircase_of(node)
        beside = [reader for reader in node.inputs[0].outputs if is_neuron(reader)] if staircase else []
        if staircase is not None and any(isinstance(parameters(n), Table) for n in beside):
            table = table_of(staircase)
            if table is not None:
                node.op = TABLE_STAIRCASE
                del node.attrs["rounding"], node.attrs["unit"]
                set_parameters(names, node, table)
    return graph


@graph_pass
def signed_levels(graph: gs.Graph) -> gs.Graph:
    """Offsets of levels as whole numbers, or nearly whole ones.

        k ─▶ Mul α ─▶ Add o      becomes      k ─▶ Add o/α ─▶ Mul α

    1. There is no factor: α is 1.
    2. Levels of a function that rises and falls are a difference of two.
    3. There is an offset in front of the factor, too: their sum.
    """
    names, levels = Names(graph), _levels(graph)
    for node in graph.nodes:
        offset = added_constant(node)
        alone = offset is not None and is_read_once(graph, node.inputs[0])
        maker = producer_of(node.inputs[0]) if alone else None
        if offset is None or maker is None:
            continue
        factor = factor_of(maker)
        if factor is not None and np.all(factor == 1):
            node.inputs[0], factor = signals(maker)[0], None
        if id(node.inputs[0] if factor is None else signals(maker)[0]) not in levels:
            continue
        rank = len(node.outputs[0].shape)
        scale = np.ones(()) if factor is None else factor
        zero = np.rint(as_scale(offset, rank) / scale / FRACTION) * FRACTION
        zero = zero.reshape(zero.shape[1:]) if zero.size > 1 else zero.reshape(1)
        held = make_constant(names, f"{node.name}/zero", zero.astype(np.float32))
        if factor is None:
            node.inputs[1] = held
        else:
            _offset_in_front(names, node, maker, held)
    return graph


def _offset_in_front(names: Names, node: gs.Node, maker: gs.Node, zero: gs.Constant) -> None:
    """Let ``maker``, which multiplies by a factor, add ``zero``, and ``node`` behind it multiply."""
    multiplier, level = next(t for t in maker.inputs if is_constant(t)), signals(maker)[0]
    node.op, maker.op = maker.op, node.op
    maker.inputs, node.inputs = [level, zero], [maker.outputs[0], multiplier]
    before = producer_of(level)
    first = None if before is None else added_constant(before)
    if before is not None and first is not None and len(level.outputs) == 1:  # case 3
        both = make_constant(names, zero.name, (first + value_of(zero)).astype(np.float32))
        maker.inputs = [before.inputs[0], both]


@graph_pass
def factors_behind_products(graph: gs.Graph) -> gs.Graph:
    """Factors of operands behind their product: what it multiplies are whole numbers.

    k ─▶ Mul α ─▶ MatMul ◀─ Mul β ◀─ l      becomes      k ─▶ MatMul ◀─ l ─▶ Mul α·β
    """
    names = Names(graph)
    for node in list(graph.nodes):
        if not is_product(node):
            continue
        total = 1.0
        for position, tensor in enumerate(node.inputs):
            maker = producer_of(tensor)
            factor = None if maker is None else factor_of(maker)
            if maker is not None and factor is not None and np.all(factor == factor.flat[0]):
                node.inputs[position], total = signals(maker)[0], total * float(factor.flat[0])
        if total != 1:
            out, spelling = node.outputs[0], Spelling(graph, names, node)
            whole = gs.Variable(names.fresh(f"{out.name}/levels"), np.float32, list(out.shape))
            node.outputs = [whole]
            spelling.apply("Mul", whole, np.full(1, total, np.float32), output=out)
    return graph


def _levels(graph: gs.Graph) -> set[int]:
    """Tensors that neurons made, by ``id``: cases 1 to 3 included."""

    def passes(node: gs.Node, read: list[bool]) -> bool:
        if added_constant(node) is not None:
            return read[0]
        factor, same = factor_of(node), of(node).passes
        if factor is not None:
            return bool(np.all(factor == 1)) and any(read)
        if same is not None and same(node) is not None:
            return any(read)
        return is_neuron(node) or bool(of(node).sums and of(node).subtracts and all(read))

    return forward(graph.nodes, passes)
