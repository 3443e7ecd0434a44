"""Roundings n = R(h(z)), and step functions of z, jump by jump."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from onnx2snn.activations.piecewise_linear import (
    Curve,
    NotPiecewiseLinearError,
    Rationals,
    rationals,
    rationals_of,
)
from onnx2snn.activations.rules import Rounding
from onnx2snn.graph.core import Array

#: Three roundings to float32, relative.
ROUNDINGS = Fraction(3, 2**24)


@dataclass(frozen=True)
class Rounded:
    """n = R(inner(z)); ``rule`` is floor, ceil, half_even or trunc."""

    rule: str
    inner: Curve
    node: gs.Node

    @property
    def is_open(self) -> bool:
        """Whether it has no lowest level, or no highest, in some channel."""
        return any(np.any(piece.slope != 0) for piece in (self.inner.pieces[0], self.inner.pieces[-1]))


def round_rationals(values: Rationals, rule: str) -> Rationals:
    """Exact rounding of each rational."""
    rules: dict[str, Callable[..., int]] = {
        "floor": math.floor,
        "ceil": math.ceil,
        "half_even": round,
        "trunc": math.trunc,
    }
    exact = rationals(values)
    return rationals_of(rules[rule](v) for v in exact.ravel()).reshape(exact.shape)


@dataclass(frozen=True)
class Jump:
    """f rises by ``rise`` where z ≥ ``threshold`` (``strict``: where z > ``threshold``)."""

    threshold: Rationals
    rise: Rationals
    strict: bool


def exact(value: Any) -> Rationals:
    """An array of rationals."""
    return np.asarray(value, dtype=object)


def jumps_of_curve(curve: Curve) -> tuple[Rationals, list[Jump]]:
    """Where a step function starts, and its jumps.

    Raises:
        NotPiecewiseLinearError: it is none.
    """
    if not curve.is_step:
        raise NotPiecewiseLinearError("it is continuous: nothing rounds it")
    jumps = []
    for edge, point, (left, right) in zip(curve.breaks, curve.points, pairwise(curve.pieces), strict=True):
        jumps.append(Jump(edge, exact(point - left.offset), strict=False))
        jumps.append(Jump(edge, exact(right.offset - point), strict=True))
    return curve.pieces[0].offset, jumps


@dataclass(frozen=True)
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
        before, value = value, exact(value + jump.rise)
        if np.all(abs(jump.rise) <= ROUNDINGS * np.maximum(abs(before), abs(value))):
            continue
        if runs and (longer := _longer(runs[-1], jump)) is not None:
            runs[-1] = longer
        else:
            runs.append(Run(jump.threshold, exact(1), jump.rise, 1, "ceil" if jump.strict else "floor"))
    return tuple(runs)


def _longer(run: Run, jump: Jump) -> Run | None:
    end = exact(run.threshold + run.gap * (run.count - 1))
    gap = exact(jump.threshold - end)
    if np.any(jump.rise != run.rise) or np.any(gap <= 0) or (run.count > 1 and np.any(gap != run.gap)):
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


def floats(values: Rationals) -> Array:
    """The float32 next to each rational."""
    return np.asarray(values, dtype=object).astype(np.float64).astype(np.float32)
