"""The largest partial sum there may be, of every tensor of a network on levels.

A potential is a sum of levels, each times the weights on a way to it, and of biases. Its positive terms at their largest make P,
its negative ones N: whatever is added up, in whatever order, lies between −N and P. Σ|w|·K + |b| is P + N, and the potential
of the highest levels P − N, so that the larger of both is half of their absolute sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.neuron_nodes import parameters
from onnx2snn.analysis.channels import channel_axis
from onnx2snn.graph.core import Array, constant_input, is_constant, is_float, tidy, value_of
from onnx2snn.graph.exporter import to_split_model
from onnx2snn.graph.walks import forward
from onnx2snn.model.reference import Reference
from onnx2snn.operators import of
from onnx2snn.operators.linear import ROWS, is_hold, is_integrate, is_linear, is_neuron
from onnx2snn.passes.recognise.recognise_staircases import reached_by_synapses

#: An open size is taken for this one.
OPEN = 8


def magnitudes(graph: gs.Graph) -> dict[str, Array]:
    """The larger of P and N by channel, (1, C, 1, ...), of every float tensor that levels reach; by name.

    The network is run with all levels at their highest, with its constants and with their absolute values. Behind a maximum, or
    a level of both signs, P + N stands for both.
    """
    axes = {name: channel_axis(t) for name, t in graph.tensors().items() if t.shape is not None}
    sizes, levels = _at_highest(graph, _made_positive)
    highest, _ = _at_highest(graph, lambda _node: None)
    bent = _bent(graph, levels)
    found = {
        name: by_channel(largest_sum(size, None if name in bent else highest[name]), axes[name])
        for name, size in sizes.items()
    }
    return found | {name: value[:1, :1].max(keepdims=True) for name, value in levels.items()}


def largest_sum(size: Array, highest: Array | None) -> Array:
    """The larger of P and N, of P + N and P − N; P + N itself where the other is not known."""
    return size if highest is None else np.asarray((size + np.abs(highest)) / 2)


def _bent(graph: gs.Graph, levels: Mapping[str, Array]) -> set[str]:
    """Tensors that are no sums of levels that are all positive."""

    def passes(node: gs.Node, read: list[bool]) -> bool:
        if is_neuron(node):
            return float(levels[node.outputs[0].name].flat[0]) != float(parameters(node).levels)
        sums = is_linear(node) or of(node).bilinear or is_integrate(node) or is_hold(node)
        return not sums or any(read)

    found = forward(graph.nodes, passes)
    return {t.name for node in graph.nodes for t in node.outputs if id(t) in found}


def _at_highest(
    graph: gs.Graph, change: Callable[[gs.Node], None]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Every float tensor that levels at their highest reach, once ``change`` has seen its operators; and these levels."""
    largest = graph.copy()
    levels: dict[str, Array] = {}
    behind = reached_by_synapses(largest)
    for node in largest.nodes:
        if is_neuron(node):
            level = node.outputs[0]
            highest = float(parameters(node).levels)
            if id(node.inputs[0]) not in behind:
                highest = _analog(level, highest)
            node.outputs = []
            levels[level.name] = full(level, highest, node.attrs.get(ROWS, 1)).astype(np.float32)
            largest.inputs.append(level)
        elif is_integrate(node) or is_hold(node):
            node.op, node.domain, node.inputs, node.attrs = "Identity", "", node.inputs[:1], {}
        else:
            change(node)
    wanted = _reached(largest, set(levels))
    largest.outputs = wanted
    held = [t for t in largest.inputs if t.name in levels]
    largest.inputs = held
    if not wanted:
        return {}, levels
    found = Reference(to_split_model(tidy(largest))).run(levels)
    return {t.name: found[t.name] for t in wanted}, levels


def full(tensor: gs.Tensor, value: float, rows: int = 1) -> Array:
    """``value`` at every place of one sample of ``tensor``, (rows, ...)."""
    shape = [s if isinstance(s, (int, np.integer)) else OPEN for s in tensor.shape[1:]]
    return np.full((rows, *shape), float(value))


def _analog(level: gs.Tensor, highest: float) -> float:
    """The largest value of an input's levels: no spikes carry them, so their zero point is taken off at once."""
    reader = level.outputs[0] if len(level.outputs) == 1 else None
    zero = constant_input(reader, 1) if reader is not None and of(reader).sums else None
    if reader is None or zero is None:
        return highest
    reader.inputs[1] = gs.Constant(f"{level.name}#zero", np.zeros_like(zero))
    return max(float(np.max(np.abs(zero))), float(np.max(np.abs(highest + zero))))


def _made_positive(node: gs.Node) -> None:
    record = of(node)
    if record.linear is None and not record.bilinear:
        return
    node.op = record.unsigned or node.op
    values = record.values
    for position, tensor in enumerate(node.inputs):
        if (
            is_constant(tensor)
            and (values is None or position in values)
            and value_of(tensor).dtype.kind == "f"
        ):
            node.inputs[position] = gs.Constant(f"{tensor.name}#size", np.asarray(np.abs(value_of(tensor))))


def _reached(graph: gs.Graph, levels: set[str]) -> list[gs.Tensor]:
    """Float tensors that levels and constants alone make, by operators whose largest answer is that to the largest values."""

    def passes(node: gs.Node, read: list[bool]) -> bool:
        record = of(node)
        grows = is_linear(node) or record.bilinear or record.elementwise or record.compares or record.divides
        known = [k for t, k in zip(node.inputs, read, strict=True) if not t.is_empty() and not is_constant(t)]
        return bool(grows and known and all(known))

    given = [id(t) for t in graph.inputs if t.name in levels]
    found = forward(graph.nodes, passes, given)
    return [t for node in graph.nodes for t in node.outputs if id(t) in found and is_float(t)]


def by_channel(values: Array, axis: int) -> Array:
    """The largest along every axis but that of channels."""
    wide = np.asarray(values, np.float64)
    return np.asarray(wide.max(axis=tuple(a for a in range(wide.ndim) if a != axis or a == 0), keepdims=True))
