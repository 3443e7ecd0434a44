"""What results are multiples of: the rules of the records, on powers of two, one for a tensor or one for each channel."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from onnx2snn.operators.running_error import Step
from onnx2snn.operators.scales import is_power_of_two
from onnx2snn.operators.signals import ANY, BLOCK, Signal, least, quanta, widened
from onnx2snn.operators.table import Quantum, Steps, of


def smallest(_: Step, inputs: list[Steps]) -> Steps:
    """Copies of several."""
    return min(map(least, inputs), default=0.0)


def beside(step: Step, inputs: list[Steps]) -> Steps:
    """Of several beside each other: each keeps its own."""
    made = step.answers[0].shape
    axis = int(step.attributes["axis"]) % len(made)
    parts = []
    for signal, steps in zip(_operands(step), inputs, strict=True):
        held = np.asarray(_own(signal, steps))
        if held.ndim not in (0, len(made)) or axis == 0:
            return smallest(step, inputs)
        held = held.reshape(held.shape or (1,) * len(made))
        rest = tuple(range(axis + 1, len(made)))
        held = held.min(axis=rest, keepdims=True) if rest else held
        size = [signal.value.shape[axis] if at == axis else own for at, own in enumerate(held.shape)]
        parts.append(np.broadcast_to(held, size))
    others = {part.shape[:axis] + part.shape[axis + 1 :] for part in parts}
    return _of_result(step, np.concatenate(parts, axis)) if len(others) == 1 else smallest(step, inputs)


def entrywise(step: Step, inputs: list[Steps]) -> Steps:
    """Sums and extremes: of each entry those of the entries that it is made of."""
    held = [_own(s, steps) for s, steps in zip(_operands(step), inputs, strict=True)]
    return _of_result(step, functools.reduce(np.minimum, held, np.asarray(ANY))) if held else 0.0


def _operands(step: Step) -> list[Signal]:
    values = of(step.node).values
    return [s for i, s in enumerate(step.inputs) if s is not None and (values is None or i in values)]


def _own(signal: Signal, steps: Steps) -> Steps:
    """Of a constant, those of each entry; of what was computed from constants nothing is known."""
    few = signal.fixed and signal.value.dtype.kind == "f" and signal.value.size <= BLOCK
    return quanta(signal.value) if few and np.all(np.asarray(steps) > 0) else steps


def first(_: Step, inputs: list[Steps]) -> Steps:
    """Sums of the first."""
    return least(inputs[0])


def copied(step: Step, inputs: list[Steps]) -> Steps:
    """Copies of the first: steps go where entries do."""
    held = np.asarray(inputs[0])
    if held.size == 1 or len(step.answers) > 1 or held.ndim != step.signal(0).value.ndim:
        return least(held)
    values = {n: s.value for n, s in step.read.items()}
    values[step.node.input[0]] = np.broadcast_to(held, step.shape(0))
    return _of_result(step, widened(step.operator.kernel(values)[0]).min(axis=0, keepdims=True, initial=ANY))


def first_by_channel(step: Step, inputs: list[Steps]) -> Steps:
    """Copies of the first, in its channel."""
    held = np.asarray(inputs[0])
    if of(step.node).channels_second and held.ndim > 2:
        held = held.min(axis=tuple(range(2, held.ndim)), keepdims=True)
    return _of_result(step, held)


def _of_result(step: Step, steps: Steps) -> Steps:
    """``steps`` of the result, if they fit its channels, or one for all."""
    held, made = np.asarray(steps), step.answers[0].shape
    missing: tuple[int, ...] = (1,) * (len(made) - held.ndim)
    held = held.reshape((*missing, *held.shape))
    if held.size == 1 or held.ndim != len(made) or len(made) < 2:
        return least(steps)
    fits = all(size in (1, own) for size, own in zip(held.shape[1:], made[1:], strict=True))
    return held if held.shape[0] == 1 and fits else least(steps)


def whole(_step: Step, _inputs: list[Steps]) -> Steps:
    """Integers."""
    return 1.0


def product(step: Step, inputs: list[Steps]) -> Steps:
    """Products of the first two, and a bias where there is one; of weights, by output channel."""
    operands, held = list(step.inputs), of(step.node).weights
    weights = operands[1]
    axis = held and weights and held.outputs(step.attributes, weights.value.ndim)
    if (
        not isinstance(axis, int)
        or held is None
        or weights is None
        or not weights.fixed
        or least(inputs[1]) == 0
    ):
        return min(least(inputs[0]) * least(inputs[1]), *map(least, inputs[2:]), ANY)
    steps = least(inputs[0]) * weights.quanta(axis)
    bias = operands[2] if len(operands) > 2 else None
    if bias is not None:
        steps = np.minimum(steps, np.reshape(_own(bias, inputs[2]), -1))
    rank = step.answers[0].ndim
    return _of_result(step, steps.reshape(tuple(-1 if i == held.channels % rank else 1 for i in range(rank))))


def scaled_product(step: Step, inputs: list[Steps]) -> Steps:
    """As :func:`product`, where alpha and beta are 1."""
    factors = (float(step.attributes.get("alpha", 1.0)), float(step.attributes.get("beta", 1.0)))
    return product(step, inputs) if factors == (1.0, 1.0) else 0.0


def factor(step: Step, inputs: list[Steps]) -> Steps:
    """Of a product entry by entry: of each entry that of its factors."""
    held = [np.asarray(_own(s, steps)) for s, steps in zip(_operands(step), inputs, strict=True)]
    zero = (held[0] == 0) | (held[1] == 0)
    return _of_result(step, np.where(zero, 0.0, np.minimum(held[0] * held[1], ANY)))


def quotient(step: Step, inputs: list[Steps]) -> Steps:
    """By powers of two."""
    divisor = step.signal(1)
    if not divisor.fixed or not is_power_of_two(divisor.value):
        return 0.0
    return least(inputs[0]) / float(np.max(np.abs(divisor.value)))


def mean(count: Callable[[Step], int]) -> Quantum:
    """Of a number that is a power of two."""

    def rule(step: Step, inputs: list[Steps]) -> Steps:
        n = count(step)
        uneven = step.attributes.get("ceil_mode", 0) or (
            any(step.attributes.get("pads", ())) and not step.attributes.get("count_include_pad", 0)
        )
        same = step.attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID", "NOTSET", "VALID")
        return min(map(least, inputs)) / n if n & (n - 1) == 0 and not uneven and same else 0.0

    return rule


def nearest(step: Step, inputs: list[Steps]) -> Steps:
    """Copies, where nothing is interpolated."""
    return least(inputs[0]) if step.attributes.get("mode", b"nearest") == b"nearest" else 0.0
