"""Roundings n = R(h(z)), and step functions of z, jump by jump."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import onnx_graphsurgeon as gs

from onnx2snn.activations.distinct_places import Mask
from onnx2snn.activations.piecewise_linear import ONE, Curve
from onnx2snn.activations.rationals import NotPiecewiseLinearError, Rationals, larger, ratio
from onnx2snn.activations.rules import Rounding

#: Three roundings to float32, relative.
ROUNDINGS = ratio(3, 2**24)


def same_float(one: Rationals, other: Rationals) -> Mask:
    """Where they are as close as roundings of one number to float32."""
    return abs(one - other) <= ROUNDINGS * larger(abs(one), abs(other))


@dataclass(frozen=True, eq=False)
class Rounded:
    """n = R(inner(z)); ``rule`` is floor, ceil, half_even or trunc."""

    rule: str
    inner: Curve
    node: gs.Node

    @property
    def is_open(self) -> bool:
        """Whether it has no lowest level, or no highest, in some channel."""
        return any((piece.slope != 0).any() for piece in (self.inner.pieces[0], self.inner.pieces[-1]))


@dataclass(frozen=True, eq=False)
class Jump:
    """f rises by ``rise`` where z ≥ ``threshold`` (``strict``: where z > ``threshold``)."""

    threshold: Rationals
    rise: Rationals
    strict: bool


def jumps_of_curve(curve: Curve) -> tuple[Rationals, list[Jump]]:
    """Where a step function starts, and its jumps.

    Raises:
        NotPiecewiseLinearError: it is none.
    """
    if not curve.is_step:
        raise NotPiecewiseLinearError("it is continuous: nothing rounds it")
    jumps = []
    for edge, point, (left, right) in zip(curve.breaks, curve.points, pairwise(curve.pieces), strict=True):
        jumps.append(Jump(edge, point - left.offset, strict=False))
        jumps.append(Jump(edge, right.offset - point, strict=True))
    return curve.pieces[0].offset, jumps


@dataclass(frozen=True, eq=False)
class Run:
    """``count`` equal jumps at equal distances ``gap``, the first at ``threshold``.

    All are closed (``floor``) or strict (``ceil``), or every other one is: the first is strict (``half_even``) or closed
    (``half_odd``).
    """

    threshold: Rationals
    gap: Rationals
    rise: Rationals
    count: int
    rule: Rounding


def runs_of(start: Rationals, jumps: Sequence[Jump]) -> tuple[Run, ...]:
    """Neighbours that are alike, and at the same distances; jumps of height zero are none.

    Nor are those that float32 does not make: from K·fl(α/K) to α.
    """
    runs: list[Run] = []
    value = start
    for jump in jumps:
        before, value = value, value + jump.rise
        if (abs(jump.rise) <= ROUNDINGS * larger(abs(before), abs(value))).all():
            continue
        if runs and (longer := _longer(runs[-1], jump)) is not None:
            runs[-1] = longer
        else:
            runs.append(Run(jump.threshold, ONE, jump.rise, 1, "ceil" if jump.strict else "floor"))
    return tuple(runs)


def _longer(run: Run, jump: Jump) -> Run | None:
    end = run.threshold + run.gap * (run.count - 1)
    gap = jump.threshold - end
    if (jump.rise != run.rise).any() or (gap <= 0).any() or (run.count > 1 and (gap != run.gap).any()):
        return None
    rules: list[Rounding] = [run.rule]
    if run.count == 1:
        rules.append("half_even" if run.rule == "ceil" else "half_odd")
    for rule in rules:
        if jump.strict == _strict(rule, run.count):
            return Run(run.threshold, gap, run.rise, run.count + 1, rule)
    return None


def _strict(rule: Rounding, position: int) -> bool:
    """Whether the jump at ``position`` (from 0) is strict."""
    return {"floor": False, "ceil": True, "half_even": position % 2 == 0, "half_odd": position % 2 == 1}[rule]
