"""Step functions whose steps are not equal: sums of staircases.

    f(z) = f(−∞) + Σ_r α_r·k_r(z),      k_r a staircase of equal steps at equal distances

Sign is one: 0 at 0 alone, so two steps of one level in the same place, one closed, one open. A cast of signed numbers
to integers is another (it rounds towards zero from both sides), and so are logarithmic and learned quantisers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnx2snn.activations.expression import Value
from onnx2snn.activations.jumps import ROUNDINGS, Jump, exact, jumps_of_curve, jumps_of_rounding
from onnx2snn.activations.piecewise_linear import NotPiecewiseLinearError, Rationals
from onnx2snn.activations.rules import Rounding
from onnx2snn.graph.core import Array

#: A function that needs more neurons for each of its own is not taken apart.
MAX_RUNS = 64


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


@dataclass(frozen=True)
class Steps:
    """f(z) = ``start`` + the sum of ``runs``."""

    start: Rationals
    runs: tuple[Run, ...]


def steps_of(value: Value) -> Steps:
    """The steps of a discrete function of the pre-activation.

    Raises:
        NotPiecewiseLinearError: it has too many, or is no step function.
        ChannelsDifferError: channels need different cases.
    """
    if value.of_level is None or value.rounded is None:
        start, jumps = jumps_of_curve(value.of_root)
    else:
        if value.of_root.value is None:
            raise NotPiecewiseLinearError("it adds the unrounded activation to the rounded one")
        start, jumps = jumps_of_rounding(value.rounded, value.of_level)
        start = exact(start + value.of_root.pieces[0].offset)
    runs = runs_of(start, jumps)
    if not runs or len(runs) > MAX_RUNS:
        raise NotPiecewiseLinearError(f"its steps are not equal, in {len(runs)} ways")
    return Steps(start, runs)


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
