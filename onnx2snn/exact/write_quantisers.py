"""A network on levels, in ordinary operators: Floor and Clip in place of neurons."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx2snn.activations.neuron_nodes import SOURCE_TENSOR, staircase_of
from onnx2snn.exact.weight_grids import THRESHOLDS
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


@graph_pass
def plain_neurons(graph: gs.Graph) -> gs.Graph:
    """Neurons of threshold 1 as what they compute.

        z ─▶ Staircase(1, b) ─▶ k ─▶ Add −z₀      becomes      z ─▶ Add b − z₀ ─▶ Floor ─▶ Clip −z₀, K − z₀

    1. The bias, one value a channel, goes into the synapses in front, where nothing else reads them.
    2. Thresholds of a table are compared with, one after the other, and what is reached is added up.
    3. Integrate and Hold do nothing to values.
    """
    for node in list(graph.nodes):
        if is_hold(node) or is_integrate(node):
            value = node.inputs[0]
            if is_integrate(node) and np.any(bias := value_of(node.inputs[1])):
                value = Spelling(graph, Names(graph), node).apply("Add", value, bias)
            replace_uses(graph, node.outputs[0], value)
            node.outputs = []
        elif is_neuron(node):
            _write(graph, node)
    return graph


def _write(graph: gs.Graph, node: gs.Node) -> None:
    names = Names(graph)
    zero, out = _zero_of(node)
    spelling = Spelling(graph, names, node)
    node.outputs = [] if out is node.outputs[0] else node.outputs
    if node.attrs[SOURCE_TENSOR] not in names_of(graph) and not any(out is t for t in graph.outputs):
        out.name = node.attrs[SOURCE_TENSOR]
    staircase = staircase_of(node)
    if staircase is None:
        level = _searched(spelling, node)
        spelling.apply("Sub", level, np.full(1, zero, np.float32), output=out)
    else:
        ceilings = np.asarray(staircase.ceilings)
        biased = _biased(graph, spelling, node, zero)
        level, low, high = (
            spelling.apply("Floor", biased),
            np.float32(0 - zero),
            (ceilings - zero).astype(np.float32),
        )
        if high.size == 1:
            spelling.apply("Clip", level, low, high.reshape(())[()], output=out)
        else:
            spelling.apply("Min", spelling.apply("Max", level, np.atleast_1d(low)), high, output=out)
    last = producer_of(out)
    if last is not None and origin(node):
        last.name = names.fresh(origin(node)[-1])


def names_of(graph: gs.Graph) -> set[str]:
    """Of all tensors."""
    return set(graph.tensors())


def _zero_of(node: gs.Node) -> tuple[float, gs.Tensor]:
    """What is taken off levels behind ``node``, and the tensor that holds the result."""
    level = node.outputs[0]
    reader = level.outputs[0] if len(level.outputs) == 1 else None
    if reader is not None and of(reader).sums and not of(reader).subtracts:
        held = constant_input(reader, 1)
        if held is not None and held.size == 1 and list(reader.outputs[0].shape) == list(level.shape):
            out = reader.outputs[0]
            reader.outputs = []
            return -float(held.reshape(-1)[0]), out
    return 0.0, level


def _biased(graph: gs.Graph, spelling: Spelling, node: gs.Node, zero: float) -> gs.Tensor:
    """Case 1."""
    potential, held = node.inputs[0], node.inputs[1]
    if not is_constant(held):
        shifted = spelling.apply("Add", potential, held)
        return shifted if not zero else spelling.apply("Sub", shifted, np.full(1, zero, np.float32))
    bias = (value_of(held).astype(np.float64) - zero).astype(np.float32)
    if not np.any(bias):
        return potential
    maker = producer_of(potential)
    if maker is not None and is_weighted(maker) and len(potential.outputs) == 1:
        vector = _per_channel(maker, bias)
        if vector is not None and of(maker).terms is not None:
            add_to(graph, maker, vector.astype(np.float64))
            return node.inputs[0]
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


def _searched(spelling: Spelling, node: gs.Node) -> gs.Tensor:
    """Case 2."""
    total: gs.Tensor | None = None
    for threshold in node.attrs[THRESHOLDS]:
        held = np.atleast_1d(threshold).astype(np.float32)
        reached = spelling.apply("GreaterOrEqual", node.inputs[0], held)
        reached.dtype = np.bool_
        one = spelling.apply("Cast", reached, to=1)
        total = one if total is None else spelling.apply("Add", total, one)
    if total is None:
        raise AssertionError("a table has thresholds")
    return total


def add_to(graph: gs.Graph, node: gs.Node, shift: NDArray[np.float64]) -> None:
    """Add ``shift`` (C,) to what a Conv, Gemm or MatMul answers."""
    names = Names(graph)
    given = constant_input(node, 2)
    if of(node).terms is not None and (
        len(node.inputs) < 3 or (given is not None and given.size == len(shift))
    ):
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
