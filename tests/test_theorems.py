"""The theorems of the method: by sympy for symbols, by NumPy for every level."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from sympy import Rational, symbols

from onnx2snn.activations import Rounding, Staircase, neuron_parameters

STEPS = range(1, 9)


def integrated(currents: list[sympy.Expr]) -> sympy.Expr:
    """The membrane potential after v ← 2·v + I(t)."""
    v = sympy.Integer(0)
    for current in currents:
        v = 2 * v + current
    return v


def decoded(spikes: list[sympy.Expr]) -> sympy.Expr:
    """k = Σ 2^(T−t)·s(t)."""
    return sum(2 ** (len(spikes) - 1 - t) * s for t, s in enumerate(spikes))


@pytest.mark.parametrize("T", STEPS)
def test_theorem_1_integration_gives_the_weighted_sum_of_levels(T: int) -> None:
    """After T steps of v ← 2v + Σ w·s(t), v = Σ w·k with k = Σ 2^(T−t)·s(t)."""
    w = symbols("w:3")
    s = [list(symbols(f"s{j}_:{T}")) for j in range(3)]
    v = integrated([sum(w[j] * s[j][t] for j in range(3)) for t in range(T)])
    assert sympy.expand(v - sum(w[j] * decoded(s[j]) for j in range(3))) == 0


@pytest.mark.parametrize("T", STEPS)
def test_theorem_2_generation_leaves_the_remainder(T: int) -> None:
    """v after generation is v − k·θ for whatever spikes; greedy ones leave 0 ≤ v < θ, so that k = floor(v/θ).

    Induction over the steps, with symbols: 0 ≤ v < 2^(j+1)·θ before bit j is 0 ≤ v < 2^j·θ after it. In both cases.
    """
    v, theta = symbols("v theta", positive=True)
    s = list(symbols(f"s:{T}"))
    left = v
    for t in range(T):
        left -= s[t] * 2 ** (T - 1 - t) * theta
    assert sympy.expand(left - (v - decoded(s) * theta)) == 0
    share = symbols("share", nonnegative=True)  # of what may be there: v = share·2^(j+1)·θ, 0 ≤ share < 1
    for j in range(T):
        before = share * 2 ** (j + 1) * theta
        silent = before / (2**j * theta)  # no spike: share < 1/2, so v < 2^j·θ
        spiking = (before - 2**j * theta) / (2**j * theta)  # a spike: share ≥ 1/2
        assert sympy.solveset(sympy.simplify(silent) < 1, share, sympy.Interval.Ropen(0, Rational(1, 2))) == (
            sympy.Interval.Ropen(0, Rational(1, 2))
        )
        for bound in (sympy.simplify(spiking) >= 0, sympy.simplify(spiking) < 1):
            assert sympy.solveset(bound, share, sympy.Interval.Ropen(Rational(1, 2), 1)) == (
                sympy.Interval.Ropen(Rational(1, 2), 1)
            )


@pytest.mark.parametrize("T", STEPS)
def test_what_lies_outside_never_or_always_spikes(T: int) -> None:
    """Theorem 2 at both ends: v < 0 gives 0, v ≥ 2^T·θ gives 2^T − 1."""
    excess = symbols("excess", nonnegative=True)
    low, high = -symbols("d", positive=True), 2**T + excess  # in units of θ
    for t in range(T):
        threshold = 2 ** (T - 1 - t)
        assert (low >= threshold) == False  # noqa: E712 - sympy's own false
        assert sympy.simplify(high - threshold).is_nonnegative
        high -= threshold
    assert sympy.expand(high - (1 + excess)) == 0


@pytest.mark.parametrize("T", STEPS)
def test_saturation_makes_every_level_above_the_highest_the_highest(T: int) -> None:
    """min(v, (K + ½)·θ) leaves floor(v/θ) alone up to K and makes K of all that is above, for every K < 2^T."""
    for K in {1, 2 ** (T - 1), 2**T - 1, max(1, 2**T - 2)}:
        ceiling = K + Rational(1, 2)
        for quarter in range(4 * (K + 3)):
            v = Rational(quarter, 4)
            assert sympy.floor(min(v, ceiling)) == min(sympy.floor(v), K)


@pytest.mark.parametrize("T", STEPS)
def test_half_to_even_by_shifted_comparisons(T: int) -> None:
    """Bits j ≥ 1 where v ≥ (2^j − ½)·θ, bit 0 where v > θ/2: round half to even; strictness the other way: to odd.

    Exact rationals: every tie, a little below and a little above it.
    """
    tiny = Rational(1, 1000)
    ties = [Rational(2 * j + 1, 2) for j in range(2**T - 1)]
    for v in itertools.chain.from_iterable((tie - tiny, tie, tie + tiny) for tie in ties):
        for even in (True, False):
            left, k = v, 0
            for j in range(T - 1, -1, -1):
                threshold = 2**j - Rational(1, 2)
                strict = (j == 0) == even
                spike = int(bool(left > threshold if strict else left >= threshold))
                left, k = left - spike * 2**j, 2 * k + spike
            nearest = sympy.floor(v + Rational(1, 2))
            tie = v + Rational(1, 2) == nearest
            expected = nearest - 1 if tie and bool(nearest % 2 == 0) != even else nearest
            assert k == min(expected, 2**T - 1)


@pytest.mark.parametrize("T", STEPS)
def test_three_bias_forms_bring_the_same_bias(T: int) -> None:
    """METHOD 4: once, per step b/(2^T − 1), and the paper's β/T + (1 − 1/T)·γμ/σ with batch norm kept."""
    gamma, mu, sigma, beta = symbols("gamma mu sigma beta", positive=True)
    currents = symbols(f"x:{T}")
    b = beta - gamma * mu / sigma
    once = integrated([gamma / sigma * x for x in currents]) + b
    per_step = integrated([gamma / sigma * x + b / (2**T - 1) for x in currents])
    beta_c = beta / T + (1 - Rational(1, T)) * gamma * mu / sigma
    paper = sum(gamma / sigma * (2 ** (T - 1 - t) * x - mu) + beta_c for t, x in enumerate(currents))
    folded = sum(2 ** (T - 1 - t) * gamma / sigma * x + b / T for t, x in enumerate(currents))
    for form in (per_step, paper, folded):
        assert sympy.simplify(sympy.expand(form - once)) == 0


@pytest.mark.parametrize("T", STEPS)
def test_an_affine_map_is_its_linear_part_on_spikes_and_its_answer_to_silence(T: int) -> None:
    """The bias shift: A(k) = integrated(L·s(t)) + A(0), for A = batch norm of a convolution of α·k + o, padded cells apart.

    o stands for an offset quantiser's zero; the padded cell holds the value 0, not the level 0, so its weight meets no o.
    """
    w, s = symbols("w:3"), [list(symbols(f"s{j}_:{T}")) for j in range(2)]
    alpha, o, c, scale, shift = symbols("alpha o c scale shift")

    def affine(k: list[sympy.Expr], constants: int = 1) -> sympy.Expr:
        values = [alpha * k[0] + constants * o, alpha * k[1] + constants * o, sympy.Integer(0)]
        z = sum(w[j] * values[j] for j in range(3)) + constants * c
        return scale * z + constants * shift

    levels = [decoded(train) for train in s]
    currents = [affine([s[0][t], s[1][t]], constants=0) for t in range(T)]
    silence = affine([sympy.Integer(0), sympy.Integer(0)])
    assert sympy.expand(affine(levels) - integrated(currents) - silence) == 0


@pytest.mark.parametrize("T", STEPS)
def test_a_product_is_linear_in_the_operand_that_spikes(T: int) -> None:
    """METHOD 12: I(t) = α·s(t)·G for a held G gives v = α·k·G; with the offset's share o·G that is (α·k + o)·G."""
    alpha, offset, held = symbols("alpha o G")
    s = list(symbols(f"s:{T}"))
    v = integrated([alpha * one * held for one in s]) + offset * held
    assert sympy.expand(v - (alpha * decoded(s) + offset) * held) == 0


@pytest.mark.parametrize("T", STEPS)
def test_generation_with_scaled_thresholds_divides(T: int) -> None:
    """METHOD 13: thresholds and resets times d leave n − k·θ·d, d times what the quotient n/d leaves: it spikes alike."""
    n, d, theta = symbols("n d theta", positive=True)
    s = list(symbols(f"s:{T}"))
    scaled, divided = n, n / d
    for t, one in enumerate(s):
        threshold = 2 ** (T - 1 - t) * theta
        assert sympy.expand((scaled - threshold * d) - d * (divided - threshold)) == 0  # the same sign: d > 0
        scaled, divided = scaled - one * threshold * d, divided - one * threshold


@pytest.mark.parametrize("T", [1, 2, 3])
def test_every_pattern_of_levels_through_a_neuron(T: int) -> None:
    """Exhaustively: two inputs at every level, signed weights, a bias; integration and generation in integers."""
    for weights, bias, theta in itertools.product(
        itertools.product((-3, 1, 2), repeat=2), (-1, 0, 2), (1, 2, 3)
    ):
        k = np.stack(np.meshgrid(*[np.arange(2**T)] * 2), -1).reshape(-1, 2)
        v = np.zeros(len(k), np.int64)
        for bit in range(T - 1, -1, -1):
            v = 2 * v + ((k >> bit) & 1) @ np.array(weights)
        np.testing.assert_array_equal(v, k @ np.array(weights))
        v, level = v + bias, np.zeros(len(k), np.int64)
        expected = np.clip(v // theta, 0, 2**T - 1)
        for bit in range(T - 1, -1, -1):
            spike = v >= theta << bit
            v, level = v - spike * (theta << bit), 2 * level + spike
        np.testing.assert_array_equal(level, expected)


def generated(staircase: Staircase, z: np.ndarray, T: int) -> np.ndarray:
    """The level that an IF neuron's spikes carry, step by step in float32 (METHOD 3)."""
    held = neuron_parameters(staircase, T)
    v = np.minimum(z.astype(np.float32) + held.bias, held.ceiling)
    k = np.zeros(z.shape, np.int64)
    for threshold, taken in zip(held.compare, held.subtract, strict=True):
        s = v >= threshold
        v = (v - s * taken).astype(np.float32)
        k = 2 * k + s
    return k


def staircase(rounding: Rounding, levels: int, theta: float, delta: float = 0.0) -> Staircase:
    one = np.ones(())
    return Staircase(
        one * theta, one * delta, levels, np.asarray(levels), one * theta, one * 0, np.asarray(rounding)
    )


def exact_level(z: np.float32, theta: np.float32, rounding: Rounding, levels: int) -> int:
    """In rational numbers."""
    place = Fraction(float(z)) / Fraction(float(theta))
    below = math.floor(place)
    if rounding in ("floor", "ceil"):
        level = below if rounding == "floor" else math.ceil(place)
    else:
        rest, wanted = place - below, 0 if rounding == "half_even" else 1
        level = below + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and below % 2 != wanted))
    return min(max(level, 0), levels)


@pytest.mark.parametrize("rounding", ["floor", "ceil", "half_even", "half_odd"])
@pytest.mark.parametrize("theta", [1 / 255, 0.1, 1 / 3, 0.007843138, 2.7182817])
def test_scales_of_quantisers_decide_as_exact_numbers(rounding: Rounding, theta: float) -> None:
    """Between neighbouring float32 numbers: (k − ½)·θ is none of them, and its nearest one may lie on the wrong side."""
    own = np.float32(theta)
    one = staircase(rounding, 255, float(own))
    near = (np.arange(-1, 514) / 2 * float(own)).astype(np.float32)
    z = np.concatenate([near, *(np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf))])
    expected = [exact_level(each, own, rounding, 255) for each in z]
    np.testing.assert_array_equal(generated(one, z, 8), expected)


@pytest.mark.parametrize("rounding", ["floor", "ceil", "half_even", "half_odd"])
@pytest.mark.parametrize("levels", [1, 2, 3, 5, 7, 12, 15, 31, 255])
@pytest.mark.parametrize("theta", [1.0, 0.25, 0.75, 3.0])
def test_generation_gives_the_level_at_every_tie(rounding: Rounding, levels: int, theta: float) -> None:
    """Theorem 2, with saturation and every rounding rule: at all thresholds and ties, beside them, and far out."""
    one = staircase(rounding, levels, theta)
    exact = np.arange(-4, 2 * levels + 8, dtype=np.float64) * theta / 2
    z = np.concatenate(
        [exact, np.nextafter(exact.astype(np.float32), np.float32(np.inf)), [-1e6, 1e6]]
    ).astype(np.float32)
    for T in (one.timesteps, one.timesteps + 2):  # a layer with fewer levels is silent in the leading steps
        np.testing.assert_array_equal(generated(one, z, T), one.level(z))


@pytest.mark.parametrize("theta", [0.1, 1 / 3, 0.113333336])
def test_a_saturated_neuron_fires_at_every_step(theta: float) -> None:
    """K·θ is not exact in float32: the ceiling must not round below the last threshold."""
    one = staircase("floor", 15, theta, theta / 2)
    assert generated(one, np.array([10.0]), 4) == [15]
