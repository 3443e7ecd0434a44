"""Scales on their way back from a neuron to the weights that take them in (METHOD 5)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph import Array, Names, constant_input, is_constant, signals, value_of
from onnx2snn.passes import scales
from onnx2snn.passes.operators import is_weighted
from onnx2snn.passes.scales import Scale, as_scale
from onnx2snn.passes.staircase_nodes import make_constant


def factor_of(node: gs.Node) -> Scale | None:
    """The constant by which ``node`` multiplies its one signal."""
    read = signals(node)
    if node.op not in ("Mul", "Div") or node.domain or len(read) != 1 or len(node.inputs) != 2:
        return None
    rank = len(node.outputs[0].shape)
    if read[0].shape is None or list(read[0].shape) != list(node.outputs[0].shape):
        return None
    if node.op == "Div":
        constant = constant_input(node, 1)
        return None if constant is None else 1 / as_scale(constant, rank)
    first = constant_input(node, 0)
    constant = constant_input(node, 1) if first is None else first
    return None if constant is None else as_scale(constant, rank)


def is_power_of_two(scale: Scale) -> bool:
    """Whether multiplying by it is exact."""
    return bool(np.all(np.frexp(scale)[0] == 0.5))


def _is_coarse(weights: Array) -> bool:
    """Multiples of 2⁻¹²: sums of such weights are exact in float32."""
    steps = np.asarray(weights, np.float64) * 4096
    return bool(np.all(steps == np.round(steps)))


def _takes(factor: Scale, scale: Scale) -> bool:
    """Whether a multiplication takes ``scale`` in; a coarse factor only if it stays exact."""
    return is_power_of_two(scale) or not _is_coarse(factor)


def can_push(tensor: gs.Tensor, scale: Scale, exact: bool) -> bool:
    """Whether every path back from ``tensor`` ends in weights that can take ``scale``."""
    waiting = [(tensor, scale)]
    while waiting:
        further = _behind(*waiting.pop(), exact)
        if further is None:
            return False
        waiting.extend(further)
    return True


def _behind(tensor: gs.Tensor, scale: Scale, exact: bool) -> list[tuple[gs.Tensor, Scale]] | None:
    """Where ``scale`` goes on from ``tensor``, backwards; nowhere if weights take it in, None if it cannot."""
    if not tensor.inputs or len(tensor.outputs) != 1:
        return None
    node = tensor.inputs[0]
    if is_weighted(node):
        weights = constant_input(node, 1)
        if weights is None or (not exact and _is_coarse(weights)):
            return None
        return None if scales.output_factors(node, scale) is None else []
    factor = factor_of(node)
    if factor is not None:
        return [] if _takes(factor, scale) else [(signals(node)[0], scale)]
    if node.op in ("Add", "Sub", "Sum"):
        if any(list(t.shape) != list(tensor.shape) for t in signals(node)):
            return None
        return [(t, scale) for t in node.inputs if not is_constant(t)]
    above = scales.up(node, scale) if not node.domain and len(signals(node)) == 1 else None
    return None if above is None else [(node.inputs[0], above)]


def push(names: Names, tensor: gs.Tensor, scale: Scale) -> None:
    """Multiply ``tensor`` by ``scale`` in what makes it; :func:`can_push` has said that it can."""
    waiting = [(tensor, scale)]
    while waiting:
        here, factor = waiting.pop()
        waiting.extend(_pushed(names, here.inputs[0], factor))


def _pushed(names: Names, node: gs.Node, scale: Scale) -> list[tuple[gs.Tensor, Scale]]:
    """Take ``scale`` into ``node``, and tell where it must go on."""
    if is_weighted(node):
        scales.give_out(names, node, scale)
        return []
    factor = factor_of(node)
    if factor is not None:
        if not _takes(factor, scale):
            return [(signals(node)[0], scale)]
        signal = signals(node)[0]
        held = (factor * scale).astype(np.float32)
        held = held.reshape(held.shape[1:]) if held.size > 1 else held.reshape(1)
        node.op = "Mul"
        node.inputs = [signal, make_constant(names, f"{node.name}/factor", held)]
        return []
    if node.op in ("Add", "Sub", "Sum"):
        for position, operand in enumerate(list(node.inputs)):
            if is_constant(operand):
                held = (as_scale(value_of(operand), scale.ndim) * scale).astype(np.float32)
                node.inputs[position] = make_constant(names, operand.name, held.reshape(held.shape[1:]))
        return [(t, scale) for t in node.inputs if not is_constant(t)]
    above = scales.up(node, scale)
    if above is None:
        raise AssertionError("a scale was pushed where it cannot pass")
    return [(node.inputs[0], above)]
