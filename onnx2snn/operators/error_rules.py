"""How rounding and jumps go through an operator.

Every rule keeps one promise. Where each input x is off by at most ε·M(x) and its reach, the output y is off by at most
ε'·M(y), with ε' ≥ ε the next running error, and its reach; and |y| ≤ M(y).

1. Linear operators: the same operator on M, with |w|; differences become sums. Maxima and selections: the largest error.
2. Functions of one value with a slope of at most L: L·M(x) + |f(0)|.
3. Products of signals: what they are more where each is as much larger as it is off.
4. Quotients of signals: what both are off, by the least that the divisor may be.
5. Functions that never turn round, or are convex: their answers at both ends.
6. Softmax: within e^(±2r) of its answer, for scores that are off by r.
7. Jumps: the farther of their answers at both ends is their reach; of a comparison 1, where both sides may be equal.
8. A selection by a condition that may change: what lies between its choices.
9. Places of scores: those that may have the same rank.
10. Anything else has no rule; what it makes of moved inputs is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from onnx2snn.operators.running_error import Step
from onnx2snn.operators.signals import RoundingCount, Signal, Wide, widened
from onnx2snn.operators.table import Errors, of

#: Numbers below 2⁻¹²⁶ may be zero: so much of M holds them.
UNDERFLOW = 2.0**-100

#: M of what an operator writes, with reaches or without.
_Magnitude: TypeAlias = Callable[[Step, bool], Sequence[Wide]]


def written(
    step: Step,
    magnitudes: Sequence[Wide | None] | None = None,
    reaches: Sequence[Wide | None] | None = None,
    *,
    fresh: bool = False,
) -> list[Signal]:
    """Signals: ``fresh`` ones are not rounded yet, and so are integers."""
    rounding, count = _rounding(step), len(step.answers)
    measured = any(s.measured for s in step.read.values())
    found = []
    for y, m, reach in zip(
        step.answers, magnitudes or [None] * count, reaches or [None] * count, strict=True
    ):
        own = RoundingCount(quantum=rounding.quantum) if fresh else rounding
        signal = Signal(y, magnitude=m, reach=reach, rounding=own, measured=measured)
        found.append(
            replace(signal, magnitude=None, rounding=RoundingCount(quantum=1.0)) if signal.whole else signal
        )
    return found


def _rounding(step: Step) -> RoundingCount:
    """How often the answers were rounded."""
    read = [s.rounding for s in step.signals.values()]
    terms = [r.terms for r in read]
    own = step.roundings()
    return RoundingCount(
        max(terms, default=0) + own,
        max((r.constants for r in read), default=0) + 2 * bool(step.constants()),
        step.quantum(),
        max((r.operators for r in read), default=0) + bool(own),
    )


def passed(magnitude: _Magnitude) -> Errors:
    """Rules 1 and 2: reaches go through the operator as M does."""

    def rule(step: Step) -> list[Signal]:
        read = [s for s in step.read.values() if not s.fixed]
        untouched = all(s.magnitude is None for s in read) and _alike(step)
        near = None if untouched else magnitude(step, False)
        reaches = None
        if any(s.reach is not None for s in read):
            reaches = [
                _less(far, m)
                for far, m in zip(magnitude(step, True), near or magnitude(step, False), strict=True)
            ]
        return [_ranked_still(step, s) for s in written(step, near, where_any(reaches))]

    return rule


def _alike(step: Step) -> bool:
    """Whether the operator computes nothing but what it reads, and no constant."""
    return not step.roundings() and not step.constants()


def _ranked_still(step: Step, signal: Signal) -> Signal:
    """Places are places still where they are but written in another shape or type."""
    ranking = step.signal(0).ranking if of(step.node).plain else None
    return signal if ranking is None else replace(signal, ranking=ranking)


def same(step: Step, reach: bool) -> Sequence[Wide]:
    """Rule 1: the operator itself."""
    return step.on_sizes(reach=reach)


def product(step: Step) -> list[Signal]:
    """Rule 3: f(|x| + δx, |y| + δy) − f(|x|, |y|), f the operator on absolute values; of one signal and constants, rule 1."""
    factors = [s for s in step.inputs[:2] if s is not None and not s.fixed]
    if len(factors) < 2:
        return passed(same)(step)
    signals = step.signals

    def grown(off: Callable[[Signal], Wide | None]) -> list[Wide]:
        sizes = {n: np.abs(widened(s.value)) for n, s in signals.items()}
        return step.on_sizes(
            reach=False,
            changed={n: sizes[n] + d if (d := off(s)) is not None else sizes[n] for n, s in signals.items()},
        )

    exact, near, far = (
        grown(lambda _: None), grown(lambda s: step.radius(s, reach=False)), grown(step.radius)
    )  # fmt: skip
    return off_by(step, exact, near, far)


def off_by(step: Step, exact: Sequence[Wide], near: Sequence[Wide], far: Sequence[Wide]) -> list[Signal]:
    """Signals of a size, what it may be where operands are rounded, and where they are beyond ties too."""
    share = share_of(step)
    sizes = [np.maximum(n, _less(n, e) / share) for e, n in zip(exact, near, strict=True)]
    reaches = [(1 + share) * _less(f, n) for n, f in zip(near, far, strict=True)]
    return written(step, sizes, where_any(reaches))


def _less(more: Wide, less: Wide) -> Wide:
    """A difference that is not negative; infinite where both are."""
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.maximum(more - less, 0.0), nan=np.inf, posinf=np.inf)


def total(step: Step, reach: bool) -> Sequence[Wide]:
    """Rule 1: a difference is a sum."""
    return [step.size(0, reach=reach) + step.size(1, reach=reach)]


def of_first(step: Step, reach: bool) -> Sequence[Wide]:
    """Rule 1: what loses its sign at most."""
    return [step.size(0, reach=reach)]


def of_largest(step: Step, reach: bool) -> Sequence[Wide]:
    """Rule 1, of all operands."""
    whole = step.size(0, reach=reach)
    for position in range(1, len(step.inputs)):
        if step.inputs[position] is not None:
            whole = np.maximum(whole, step.size(position, reach=reach))
    return [whole]


def of_least(step: Step, reach: bool) -> Sequence[Wide]:
    """A maximum is the least of negative numbers, turned round."""
    return step.on_sizes(reach=reach, changed={step.node.input[0]: -step.size(0, reach=reach)})


def batch_norm(step: Step, reach: bool) -> Sequence[Wide]:
    """γ/σ·(x − μ) + β: with −|μ| the difference is a sum."""
    mean, variance = (step.node.input[i] for i in (3, 4))
    changed = {mean: -np.abs(widened(step.signal(3).value)), variance: widened(step.signal(4).value)}
    return step.on_sizes(reach=reach, changed=changed)


def line(slope: float | None, at_zero: float = 0.0, *, alpha: float = 0.0) -> Errors:
    """Rule 2; a slope that is not given is what the attribute ``alpha`` says, at least 1."""

    def magnitude(step: Step, reach: bool) -> Sequence[Wide]:
        steepest = max(1.0, abs(float(step.attributes.get("alpha", alpha)))) if slope is None else slope
        return [steepest * step.size(0, reach=reach) + at_zero]

    return passed(magnitude)


def leaky_by_channel(step: Step, reach: bool) -> Sequence[Wide]:
    """Rule 2: the steepest of a slope and 1."""
    return [step.size(0, reach=reach) * np.maximum(1.0, step.size(1, reach=reach))]


def clipped(step: Step) -> list[Signal]:
    """Rule 2: limits are the most that is added."""
    limits = [s for s in step.inputs[1:] if s is not None]
    if not all(s.fixed for s in limits):
        return passed(of_largest)(step)
    if step.signal(0).magnitude is None:  # nothing was rounded: it is what it is, or a limit
        near = step.signal(0).reach is None
        return written(step) if near else written(step, None, where_any(step.deviations(step.radii())))
    ends = [0.0] + [abs(float(np.max(np.abs(s.value), initial=0))) for s in limits]
    most = max(ends)

    def magnitude(step: Step, reach: bool) -> Sequence[Wide]:
        return [step.size(0, reach=reach) + most]

    return passed(magnitude)(step)


def resized(step: Step, reach: bool) -> Sequence[Wide]:
    """Neighbours up to two cells away; cubic coefficients add up to less than 1.4 in absolute value, each axis."""
    if step.attributes.get("mode", b"nearest") == b"nearest":
        return step.on_sizes(reach=reach)
    whole = step.size(0, reach=reach)
    for axis in range(2, whole.ndim):
        whole = _neighbours(whole, axis)
    share = 1.4 ** (whole.ndim - 2)
    return [np.multiply(share, m) for m in step.on_sizes(reach=reach, changed={step.node.input[0]: whole})]


def _neighbours(values: Wide, axis: int) -> Wide:
    """The largest of the five cells around each."""
    found: Wide = values.copy()
    ahead, back = np.moveaxis(found, axis, 0), np.moveaxis(values, axis, 0)
    for far in (1, 2):
        np.maximum(ahead[far:], back[:-far], out=ahead[far:])
        np.maximum(ahead[:-far], back[far:], out=ahead[:-far])
    return found


def ends(*, least: float = -math.inf) -> Errors:
    """Rule 5, for arguments of at ``least`` so much."""

    def rule(step: Step) -> list[Signal]:
        sizes = [np.abs(widened(y)) + UNDERFLOW for y in step.answers]
        rounded = step.radii(reach=False)
        if rounded:
            share = share_of(step)
            sizes = [
                m + far / share for m, far in zip(sizes, step.deviations(rounded, least=least), strict=True)
            ]
        if all(s.reach is None for s in step.signals.values()):
            return written(step, sizes)
        return written(step, sizes, step.deviations(step.radii(), least=least))

    return rule


def share_of(step: Step) -> float:
    """What of M inputs are off by, at most."""
    if step.precision is None:
        raise AssertionError("there are bounds")
    return max(step.precision.coefficient(s.rounding) for s in step.signals.values())


def reciprocal(step: Step) -> list[Signal]:
    """Rule 5 on either side of the pole; across it there is no bound."""
    off = step.radius(step.signal(0))
    found = ends()(step)
    if off is None:
        return found
    across = np.abs(widened(step.signal(0).value)) <= off
    return [replace(s, magnitude=np.where(across, np.inf, s.size)) for s in found]


def softmax(step: Step) -> list[Signal]:
    """Rule 6."""
    axis = int(step.attributes.get("axis", -1))
    y, scores = widened(step.answers[0]), step.signal(0)

    def most(values: Wide) -> Wide:
        return np.asarray(values.max(axis=axis, keepdims=True, initial=0))

    off, reach = step.radius(scores), scores.reach
    with np.errstate(over="ignore"):
        farther = 1.0 if off is None else np.exp(np.minimum(2 * most(off), 700))
        size = np.minimum(y * (1 + 2 * most(scores.size) * farther), 1 + 2 * most(scores.size))
        moved = (
            None
            if reach is None
            else np.minimum(y * np.expm1(np.minimum(2 * most(reach), 700)) * farther, 1.0)
        )
    return written(step, [size + UNDERFLOW], [moved])


def log_softmax(step: Step, reach: bool) -> Sequence[Wide]:
    """Rule 2, of all scores."""
    largest = step.size(0, reach=reach).max(
        axis=int(step.attributes.get("axis", -1)), keepdims=True, initial=0
    )
    return [np.abs(widened(step.answers[0])) + 2 * largest + 32.0]


def where_any(reaches: Sequence[Wide] | None) -> list[Wide | None] | None:
    """Reaches that are not zero everywhere."""
    return None if reaches is None else [r if r.any() else None for r in reaches]
