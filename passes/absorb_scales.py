"""Scales into synapses: batch norms backwards, output scales forwards, thresholds to one (METHOD 5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import (
    ORIGIN,
    Array,
    Names,
    constant_input,
    graph_pass,
    is_constant,
    origin,
    signals,
    value_of,
)
from onnx2snn.passes import scales
from onnx2snn.passes.kinds import Kind, infer_kinds, is_train
from onnx2snn.passes.operators import is_neuron, is_weighted
from onnx2snn.passes.scales import Scale, as_scale
from onnx2snn.passes.staircase_nodes import make_constant, parameters, set_parameters


def _factor(node: gs.Node) -> Scale | None:
    """The constant by which ``node`` multiplies its one signal."""
    read = signals(node)
    if node.op not in ("Mul", "Div") or node.domain or len(read) != 1 or len(node.inputs) != 2:
        return None
    if node.outputs[0].shape is None or read[0].shape is None:
        return None
    rank = len(node.outputs[0].shape)
    if list(read[0].shape) != list(node.outputs[0].shape):
        return None
    if node.op == "Div":
        constant = constant_input(node, 1)
        return None if constant is None else 1 / as_scale(constant, rank)
    first = constant_input(node, 0)
    constant = constant_input(node, 1) if first is None else first
    return None if constant is None else as_scale(constant, rank)


def _multiplied(
    graph: gs.Graph, names: Names, tensor: gs.Tensor, scale: Scale, source: list[str]
) -> gs.Tensor:
    """``tensor`` times ``scale``, as an explicit synaptic weight."""
    values = scale.astype(np.float32)
    values = values.reshape(values.shape[1:]) if values.size > 1 else values.reshape(1)
    out = gs.Variable(names.fresh(f"{tensor.name}/weighted"), np.float32, list(tensor.shape))
    held = make_constant(names, f"{tensor.name}/weight", values)
    node = gs.Node(op="Mul", name=names.fresh(f"{tensor.name}/synapse"), inputs=[tensor, held], outputs=[out])
    node.attrs[ORIGIN] = source
    graph.nodes.append(node)
    return out


@graph_pass
def unit_thresholds(graph: gs.Graph) -> gs.Graph:
    """Scale each neuron so that θ = 1, and push the scale back into the synapses in front of it.

        x ─▶ Conv(W) ─▶ Staircase(θ, bias)      becomes      x ─▶ Conv(W/θ) ─▶ Staircase(1, bias/θ)

    1. All that feeds the neuron can take the scale in, through operators that treat channels alike: θ becomes 1.
    2. The weights are coarse (multiples of 2⁻¹², so that integration is exact) and 1/θ is no power of two, or
       something on the way has other readers: θ stays. Powers of two times θ are just as exact (METHOD 5).
    """
    names = Names(graph)
    for node in list(graph.nodes):
        if not is_neuron(node) or not is_constant(node.inputs[1]):
            continue
        staircase = parameters(node)
        rank = len(node.inputs[0].shape)
        scale = 1 / as_scale(staircase.threshold, rank)
        if scales.is_trivial(scale) or not _can_push(node.inputs[0], scale, _is_power_of_two(scale)):
            continue
        _push(names, node.inputs[0], scale)
        sample = scale.reshape(scale.shape[1:]) if scale.size > 1 else scale.reshape(())
        bias = value_of(node.inputs[1]).astype(np.float64) * sample
        scaled = replace(
            staircase,
            threshold=np.ones_like(staircase.threshold),
            offset=staircase.offset / staircase.threshold,
        )
        set_parameters(names, node, scaled, bias=bias)
    return graph


def _is_power_of_two(scale: Scale) -> bool:
    return bool(np.all(np.frexp(scale)[0] == 0.5))


#: Values that are looked at together.
_BLOCK = 1 << 20


def _is_coarse(weights: Array) -> bool:
    """Multiples of 2⁻¹²: sums of such weights are exact in float32."""
    flat = weights.reshape(-1)
    for start in range(0, flat.size, _BLOCK):  # a large tensor is not copied to look at it
        steps = flat[start : start + _BLOCK].astype(np.float64) * 4096
        if not np.array_equal(steps, np.round(steps)):
            return False
    return True


def _takes(factor: Scale, scale: Scale) -> bool:
    """Whether a multiplication takes ``scale`` in; a coarse factor only if it stays exact."""
    return _is_power_of_two(scale) or not _is_coarse(factor)


def _can_push(tensor: gs.Tensor, scale: Scale, exact: bool) -> bool:
    """Whether every path back from ``tensor`` ends in weights that can take ``scale``."""
    if not tensor.inputs or len(tensor.outputs) != 1:
        return False
    node = tensor.inputs[0]
    if is_weighted(node):
        weights = constant_input(node, 1)
        if weights is None or (not exact and _is_coarse(weights)):
            return False
        return scales.output_factors(node, scale) is not None
    factor = _factor(node)
    if factor is not None:
        return _takes(factor, scale) or _can_push(signals(node)[0], scale, exact)
    if node.op in ("Add", "Sub", "Sum"):
        shapes = [list(t.shape) for t in signals(node)]
        return all(s == list(tensor.shape) for s in shapes) and all(
            is_constant(t) or _can_push(t, scale, exact) for t in node.inputs
        )
    above = scales.up(node, scale) if not node.domain and len(signals(node)) == 1 else None
    return above is not None and _can_push(node.inputs[0], above, exact)


def _push(names: Names, tensor: gs.Tensor, scale: Scale) -> None:
    """Multiply ``tensor`` by ``scale`` in what makes it; :func:`_can_push` has said that it can."""
    node = tensor.inputs[0]
    if is_weighted(node):
        scales.give_out(names, node, scale)
        return
    factor = _factor(node)
    if factor is not None and not _takes(factor, scale):
        _push(names, signals(node)[0], scale)
        return
    if factor is not None:
        signal = signals(node)[0]
        held = (factor * scale).astype(np.float32)
        held = held.reshape(held.shape[1:]) if held.size > 1 else held.reshape(1)
        node.op = "Mul"
        node.inputs = [signal, make_constant(names, f"{node.name}/factor", held)]
        return
    if node.op in ("Add", "Sub", "Sum"):
        for position, operand in enumerate(list(node.inputs)):
            if is_constant(operand):
                held = (as_scale(value_of(operand), scale.ndim) * scale).astype(np.float32)
                node.inputs[position] = make_constant(names, operand.name, held.reshape(held.shape[1:]))
            else:
                _push(names, operand, scale)
        return
    above = scales.up(node, scale)
    if above is None:
        raise AssertionError("a scale was pushed where it cannot pass")
    _push(names, node.inputs[0], above)


@graph_pass
def absorb_backwards(graph: gs.Graph) -> gs.Graph:
    """A multiplication behind a weighted operator goes into its weights: ``Mul γ/σ`` behind a convolution.

    Only trains: their constants are gone, so nothing but weights is scaled.
    """
    names = Names(graph)
    kinds = infer_kinds(graph)
    for node in reversed(list(graph.nodes)):
        scale = _factor(node)
        if scale is None or kinds.get(id(node.outputs[0])) is not Kind.TRAIN:
            continue
        signal = signals(node)[0]
        if _ends_in_weights(signal, scale):
            _push(names, signal, scale)
            node.op = "Identity"
            node.inputs = [signal]
    return graph


def _ends_in_weights(tensor: gs.Tensor, scale: Scale) -> bool:
    """As :func:`_can_push`, along one path, and ending in weights rather than another multiplication."""
    while tensor.inputs and len(tensor.outputs) == 1:
        node = tensor.inputs[0]
        if is_weighted(node):
            return _can_push(tensor, scale, exact=True)
        above = scales.up(node, scale) if not node.domain and len(signals(node)) == 1 else None
        if above is None:
            return False
        tensor, scale = node.inputs[0], above
    return False


@graph_pass
def absorb_forwards(graph: gs.Graph) -> gs.Graph:
    """The scale α of a neuron's output goes on to the next synapses.

        k ─▶ Mul α ─▶ AveragePool ─▶ Conv(W) ─▶      becomes      k ─▶ AveragePool ─▶ Conv(W·α) ─▶

    A scale is carried along with its tensor, at every fork into every branch, until a weighted operator takes it in.
    Where operands of a sum carry different scales, or the train ends (Integrate, a neuron), it becomes an explicit
    multiplication: the synaptic weight of that branch.
    """
    names = Names(graph)
    kinds = infer_kinds(graph)
    carried: dict[int, tuple[gs.Tensor, Scale]] = {}
    for node in list(graph.nodes):
        if not any(id(t) in carried for t in node.inputs) and _factor(node) is None:
            continue
        train = kinds.get(id(node.outputs[0])) is Kind.TRAIN and not is_neuron(node)
        if train and _carry(names, node, carried):
            continue
        for position, tensor in enumerate(node.inputs):
            if id(tensor) in carried:
                base, scale = carried[id(tensor)]
                explicit = _multiplied(graph, names, base, scale, origin(node))
                node.inputs[position] = explicit
    for position, tensor in enumerate(graph.outputs):
        if is_train(tensor, kinds) and id(tensor) in carried:
            raise AssertionError(f"output {position} is a train that was not integrated")
    return graph


def _carry(names: Names, node: gs.Node, carried: dict[int, tuple[gs.Tensor, Scale]]) -> bool:
    """Carry scales past ``node``; False if they must become explicit in front of it."""
    factor = _factor(node)
    out = node.outputs[0]
    if factor is not None:
        signal = signals(node)[0]
        base, scale = carried.get(id(signal), (signal, np.ones((1,) * factor.ndim)))
        carried[id(out)] = (base, scales.compact(scale * factor))
        return True
    if node.op == "Concat":
        return _carry_concat(node, carried)
    held = [(i, *carried[id(t)]) for i, t in enumerate(node.inputs) if id(t) in carried]
    if node.op in ("Add", "Sub", "Sum"):
        first = held[0][2]
        if len(held) != len(node.inputs) or any(not np.array_equal(s, first) for _, _, s in held[1:]):
            return False
        below: Scale | None = first if all(list(t.shape) == list(out.shape) for t in node.inputs) else None
    elif len(held) != 1 or held[0][0] != 0:
        return False
    elif scales.take_in(names, node, held[0][2]):
        node.inputs[0] = held[0][1]
        return True
    else:
        below = None if is_weighted(node) else scales.down(node, held[0][2])
    if below is None:
        return False
    for position, base, _ in held:
        node.inputs[position] = base
    for output in node.outputs:
        carried[id(output)] = (output, below)
    return True


def _carry_concat(node: gs.Node, carried: dict[int, tuple[gs.Tensor, Scale]]) -> bool:
    """Scales of all parts side by side, where each changes at most along the joined axis."""
    out = node.outputs[0]
    if any(t.shape is None for t in (out, *node.inputs)):
        return False
    rank = len(out.shape)
    axis = int(node.attrs["axis"]) % rank
    sizes = [t.shape[axis] for t in node.inputs]
    if not all(isinstance(s, (int, np.integer)) for s in sizes):
        return False
    parts = []
    for tensor, size in zip(node.inputs, sizes, strict=True):
        _, scale = carried.get(id(tensor), (tensor, np.ones((1,) * rank)))
        vector = scales.along(scale, axis)
        if vector is None:
            return False
        parts.append(np.broadcast_to(vector, (size,)))
    shape = [1] * rank
    shape[axis] = -1
    for position, tensor in enumerate(node.inputs):
        if id(tensor) in carried:
            node.inputs[position] = carried[id(tensor)][0]
    carried[id(out)] = (out, scales.compact(np.concatenate(parts).reshape(shape)))
    return True
