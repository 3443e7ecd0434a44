"""How jumps go through an operator, and what may jump: rules 4 and 7 to 10 of :mod:`onnx2snn.operators.error_rules`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from onnx2snn.operators.error_rules import ends, off_by, passed, same, share_of, where_any, written
from onnx2snn.operators.running_error import Step
from onnx2snn.operators.signals import Ranking, Signal, Wide, widened

#: Where an operator has no rule: this share of the largest number of the sample is taken for rounding.
MEASURED = 2e-5


def jump(step: Step) -> list[Signal]:
    """Rule 7."""
    radii = step.radii()
    reaches = step.deviations(radii) if radii else None
    return written(step, None, where_any(reaches), fresh=True)


def remainder(step: Step) -> list[Signal]:
    """Rule 7, of a function that does not start anew."""
    radii = step.radii()
    reaches = step.deviations(radii) if radii else None
    return written(step, [step.size(0, reach=False)], where_any(reaches))


def compared(step: Step) -> list[Signal]:
    """Rule 7, of what may be on the other side."""
    one, other = (widened(s.value) for s in step.inputs if s is not None)
    return written(step, None, [_near(step, one - other)])


def _near(step: Step, distance: Wide) -> Wide | None:
    """1 where a distance may be zero, or on the other side of it."""
    reach = sum(step.radii().values(), np.zeros(1))
    near = np.where((reach > 0) & (np.abs(distance) <= reach), 1.0, 0.0)
    return near if near.any() else None


def logic(step: Step) -> list[Signal]:
    """Of conditions that may change."""
    reaches = [s.reach for s in step.signals.values() if s.reach is not None]
    whole = [np.broadcast_to(r, step.answers[0].shape) for r in reaches]
    return written(step, None, [np.max(whole, axis=0) if whole else None])


def chosen(step: Step) -> list[Signal]:
    """Rule 8."""
    condition, one, other = (step.signal(i) for i in range(3))
    if condition.reach is None:
        return passed(same)(step)
    may_change = condition.reach > 0
    size = np.maximum(one.size, other.size)
    apart = np.where(may_change, np.abs(widened(one.value) - widened(other.value)), 0.0)
    reaches = [s.reach for s in (one, other) if s.reach is not None]
    farthest = apart + np.max(np.broadcast_arrays(*reaches), axis=0) if reaches else apart
    return written(step, [np.broadcast_to(size, apart.shape)], [farthest])


def cast(step: Step) -> list[Signal]:
    """Rule 1 between types that hold the numbers, rule 7 to integers and truth values."""
    kind = step.answers[0].dtype.kind
    if kind == "b":
        return written(step, None, [_near(step, widened(step.signal(0).value))])
    if kind in "iu" and step.signal(0).value.dtype.kind == "f":
        return jump(step)
    return passed(same)(step)


def ranked(step: Step) -> list[Signal]:
    """Rule 9: of ArgMax, ArgMin and TopK; the scores that TopK gives are those of the ranks at both ends."""
    top = len(step.answers) > 1
    scores = step.signal(0)
    off = step.radius(scores)
    if off is None:
        return written(step, [np.abs(widened(y)) for y in step.answers], fresh=False)
    axis = int(step.attributes.get("axis", -1 if top else 0)) % scores.value.ndim
    falling = step.node.op_type == "ArgMin" or (top and not step.attributes.get("largest", 1))
    x = -widened(scores.value) if falling else widened(scores.value)
    places = step.answers[-1]
    count = places.shape[axis] if places.ndim == x.ndim else 1
    ranking = Ranking(
        x - off, x + off, axis, count, ordered=not top or bool(step.attributes.get("sorted", 1))
    )
    found = written(step, [np.abs(widened(y)) for y in step.answers], [None] * (1 + top))
    found[-1] = replace(found[-1], reach=ranking.reach(places), ranking=ranking)
    if top:
        values = -found[0].value if falling else found[0].value
        low, high = ranking.ends
        apart = np.maximum(high - values, values - low)
        rounded = step.radius(scores, reach=False)
        share = share_of(step)
        size = found[0].size + (0.0 if rounded is None else apart / share)
        found[0] = replace(found[0], magnitude=size, reach=None if scores.reach is None else apart)
    return found


def measured(step: Step) -> list[Signal]:
    """Rule 10: at both ends, and with signs that are drawn; twice the farthest."""
    radii = step.radii()
    text = any(y.dtype.kind in "OSU" for y in step.answers)  # nothing is as far from one as from another
    if text or (not radii and all(y.dtype.kind in "iub" for y in step.answers)):
        return written(step)
    reaches = [MEASURED * _largest_of(widened(y)) for y in step.answers]
    if radii:
        draws = np.random.default_rng(0)
        signs = {name: draws.choice((-1.0, 1.0), r.shape) for name, r in radii.items()}
        for ways in (radii, {name: signs[name] * r for name, r in radii.items()}):
            farther = step.deviations(ways)
            reaches = [np.maximum(reach, 2 * far) for reach, far in zip(reaches, farther, strict=True)]
    sizes = [np.abs(widened(y)) for y in step.answers]
    return [replace(s, measured=True) for s in written(step, sizes, reaches, fresh=True)]


def _largest_of(values: Wide) -> Wide:
    """By sample, the largest absolute value that is a number."""
    axes = tuple(range(1, values.ndim))
    largest = np.max(np.abs(values), axis=axes, keepdims=True, initial=0, where=np.isfinite(values))
    return np.broadcast_to(largest, values.shape)


def divided(step: Step) -> list[Signal]:
    """Rule 4; by a constant rule 1, and integers jump."""
    divisor = step.signal(1)
    if step.answers[0].dtype.kind in "iu":
        return jump(step) if divisor.fixed else measured(step)
    if divisor.fixed:
        return passed(same)(step)
    size, whole = np.abs(widened(step.answers[0])), np.abs(widened(divisor.value))

    def grown(*, reach: bool) -> Wide:
        above, below = (step.radius(step.signal(i), reach=reach) for i in (0, 1))
        off = np.zeros(size.shape) if above is None else above
        if below is None:
            return np.asarray(size + off / whole)
        return np.asarray(size + (off + size * below) / np.maximum(whole - below, 0.0))

    with np.errstate(all="ignore"):
        near, far = (np.nan_to_num(grown(reach=r), nan=np.inf, posinf=np.inf) for r in (False, True))
        return off_by(step, [np.nan_to_num(size, nan=np.inf, posinf=np.inf)], [near], [far])


def raised(step: Step) -> list[Signal]:
    """Rule 5 for a constant exponent: powers are convex, or never turn round."""
    exponent = step.signal(1)
    if not exponent.fixed:
        return measured(step)
    whole = np.all(widened(exponent.value) == np.rint(widened(exponent.value)))
    return ends(least=-math.inf if whole and np.all(exponent.value > 0) else 0.0)(step)
