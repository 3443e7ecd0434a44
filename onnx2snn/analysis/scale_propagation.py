"""Scales on their way back from a neuron to the weights that take them in (METHOD 5)."""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.graph.build import make_constant, scale_weights
from onnx2snn.graph.core import (
    ORIGIN,
    Array,
    Names,
    constant_input,
    is_answered,
    is_constant,
    origin,
    signals,
    value_of,
)
from onnx2snn.operators import of, scales
from onnx2snn.operators.linear import is_integrate, is_weighted
from onnx2snn.operators.places import compact
from onnx2snn.operators.scales import Scale, along, as_scale

#: Values that are looked at together.
_BLOCK = 1 << 20
#: Weights that are multiples of it are coarse.
COARSE = 2.0**-12
#: Numbers of 7 bits.
_SHORT = 128.0


def take_in(names: Names, node: gs.Node, scale: Scale) -> bool:
    """Multiply the weights of ``node`` by the scale of its input; False if it has no place for it."""
    held, weights = of(node).weights, constant_input(node, 1)
    vector = None if held is None else along(scale, held.inputs)
    if held is None or weights is None or vector is None:
        return False
    column = held.read(node, vector, weights)
    if column is not None:
        scale_weights(names, node, column)
    return column is not None


def give_out(names: Names, node: gs.Node, scale: Scale) -> bool:
    """Multiply the weights (and bias) of ``node`` by the scale of its output; False if it has no place for it."""
    column, bias = output_factors(node, scale), constant_input(node, 2)
    if column is None:
        return False
    scale_weights(names, node, column)
    if bias is not None:
        scaled = (bias * column.reshape(-1)).astype(np.float32)
        node.inputs[2] = make_constant(names, f"{node.name}/bias", scaled)
    return True


def output_factors(node: gs.Node, scale: Scale) -> Scale | None:
    """Factors that broadcast against the weights of ``node`` and scale its output; None where there are none."""
    held, weights, bias = of(node).weights, constant_input(node, 1), constant_input(node, 2)
    has_bias = len(node.inputs) > 2 and not node.inputs[2].is_empty()
    if held is None or weights is None or weights.ndim < 2 or (has_bias and bias is None):
        return None
    vector = along(scale, held.channels)
    return None if vector is None else held.written(node, vector, weights)


def factor_of(node: gs.Node) -> Scale | None:
    """The constant by which ``node`` multiplies its one signal."""
    read = signals(node)
    if of(node).neutral != 1 or len(read) != 1 or len(node.inputs) != 2:
        return None
    shape = node.outputs[0].shape
    if shape is None or read[0].shape is None or list(read[0].shape) != list(shape):
        return None
    rank = len(shape)
    if of(node).divides:
        constant = constant_input(node, 1)
        return None if constant is None else 1 / as_scale(constant, rank)
    first = constant_input(node, 0)
    constant = constant_input(node, 1) if first is None else first
    return None if constant is None else as_scale(constant, rank)


def reciprocal(theta: Scale) -> Scale:
    """1/θ; where θ is 1/(n·2^e) rounded to float64, exactly n·2^e, n an integer of few bits."""
    inverse = 1 / theta
    mantissa, exponent = np.frexp(inverse)
    short = np.ldexp(np.rint(mantissa * _SHORT), exponent) / _SHORT
    near = np.abs(short - inverse) <= 2 * np.finfo(np.float64).eps * inverse
    return np.asarray(np.where(near, short, inverse))


def is_short(scale: Scale) -> bool:
    """Whether multiplying coarse numbers by it is exact: n·2^e, n an integer of few bits."""
    mantissa = np.frexp(scale)[0] * _SHORT
    return bool(np.all(mantissa == np.rint(mantissa)))


def is_coarse(weights: Array) -> bool:
    """Multiples of ``COARSE``: sums of such weights are exact in float32."""
    flat = weights.ravel("K")  # a view, also of a transposed tensor
    for start in range(0, flat.size, _BLOCK):  # a large tensor is not copied to look at it
        steps = flat[start : start + _BLOCK].astype(np.float64) / COARSE
        if not np.array_equal(steps, np.round(steps)):
            return False
    return True


def _takes(factor: Scale, scale: Scale) -> bool:
    """Whether a multiplication takes ``scale`` in; a coarse factor only if it stays exact."""
    return is_short(scale) or not is_coarse(factor)


def can_push(graph: gs.Graph, tensor: gs.Tensor, scale: Scale, exact: bool) -> bool:
    """Whether every path back from ``tensor`` ends in weights that can take ``scale``, and none of it is read otherwise."""
    waiting = [(tensor, scale)]
    while waiting:
        here, factor = waiting.pop()
        further = None if is_answered(graph, here) else _behind(here, factor, exact)
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
        if weights is None or (not exact and is_coarse(weights)):
            return None
        return None if output_factors(node, scale) is None else []
    if is_integrate(node):
        return [(node.inputs[0], scale)] if is_constant(node.inputs[1]) else None
    factor = factor_of(node)
    if factor is not None:
        return [] if _takes(factor, scale) else [(signals(node)[0], scale)]
    if of(node).sums:
        if not all(scales.is_of_each(scale, t.shape, tensor.shape) for t in signals(node)):
            return None
        return [(t, scale) for t in node.inputs if not is_constant(t) and not _shared_takes(t, scale)]
    if of(node).joins:
        return parts_of_join(node, scale)
    above = scales.up(node, scale) if not node.domain and len(signals(node)) == 1 else None
    return None if above is None else [(node.inputs[0], above)]


def parts_of_join(node: gs.Node, scale: Scale) -> list[tuple[gs.Tensor, Scale]] | None:
    """The scale of each operand of a join; None where one is a constant, or of unknown size."""
    axis = int(node.attrs["axis"]) % scale.ndim
    if any(is_constant(t) or t.shape is None for t in node.inputs):
        return None
    if scale.shape[axis] == 1:
        return [(t, scale) for t in node.inputs]
    sizes = [t.shape[axis] for t in node.inputs]
    if not all(isinstance(size, (int, np.integer)) for size in sizes):
        return None
    parts = np.split(scale, np.cumsum(sizes)[:-1], axis)
    return [(t, compact(part)) for t, part in zip(node.inputs, parts, strict=True)]


def _shared_factor(tensor: gs.Tensor) -> Scale | None:
    """The factor of a multiple that others read too: an identity shortcut, which may get a factor of its own."""
    return factor_of(tensor.inputs[0]) if len(tensor.outputs) > 1 and tensor.inputs else None


def _shared_takes(tensor: gs.Tensor, scale: Scale) -> bool:
    factor = _shared_factor(tensor)
    return factor is not None and _takes(factor, scale)


def push(graph: gs.Graph, names: Names, tensor: gs.Tensor, scale: Scale) -> None:
    """Multiply ``tensor`` by ``scale`` in what makes it; :func:`can_push` has said that it can."""
    waiting = [(tensor, scale)]
    while waiting:
        here, factor = waiting.pop()
        waiting.extend(_pushed(graph, names, here.inputs[0], factor))


def _pushed(graph: gs.Graph, names: Names, node: gs.Node, scale: Scale) -> list[tuple[gs.Tensor, Scale]]:
    """Take ``scale`` into ``node``, and tell where it must go on."""
    if is_weighted(node):
        give_out(names, node, scale)
        return []
    if is_integrate(node):
        bias = value_of(node.inputs[1]).astype(np.float64) * of_sample(scale)
        node.inputs[1] = make_constant(names, f"{node.name}/bias", bias.astype(np.float32))
        return [(node.inputs[0], scale)]
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
    if of(node).sums:
        return _pushed_into_terms(graph, names, node, scale)
    if of(node).joins and (parts := parts_of_join(node, scale)) is not None:
        return parts
    above = scales.up(node, scale)
    if above is None:
        raise AssertionError("a scale was pushed where it cannot pass")
    return [(node.inputs[0], above)]


def _pushed_into_terms(
    graph: gs.Graph, names: Names, node: gs.Node, scale: Scale
) -> list[tuple[gs.Tensor, Scale]]:
    """Into the terms of a sum: constants, shortcuts that others read too, and whatever lies further back."""
    further = []
    for position, operand in enumerate(list(node.inputs)):
        if is_constant(operand):
            held = (as_scale(value_of(operand), scale.ndim) * scale).astype(np.float32)
            node.inputs[position] = make_constant(names, operand.name, held.reshape(held.shape[1:]))
            continue
        factor = _shared_factor(operand)
        if factor is not None and _takes(factor, scale):
            source = operand.inputs[0]
            product = compact(factor * scale)
            node.inputs[position] = multiplied(graph, names, signals(source)[0], product, origin(source))
        else:
            further.append((operand, scale))
    return further


def of_sample(scale: Scale) -> Scale:
    """``scale`` without the batch axis."""
    return scale.reshape(scale.shape[1:]) if scale.size > 1 else scale.reshape(())


def multiplied(
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
