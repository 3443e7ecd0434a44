"""The theorems of the method: by sympy for symbols, by NumPy for every level."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from sympy import Rational, symbols

from onnx2snn.staircases import Rounding, Staircase, neuron_parameters


@pytest.mark.parametrize("T", range(1, 9))
def test_integration_gives_the_weighted_sum_of_levels(T: int) -> None:
    """Theorem 1: after T steps of v ← 2v + Σ w·s(t), v = Σ w·k with k = Σ 2^(T−t)·s(t)."""
    w = symbols("w:3")
    s = [symbols(f"s{j}_:{T}") for j in range(3)]
    v = sympy.Integer(0)
    for t in range(T):
        v = 2 * v + sum(w[j] * s[j][t] for j in range(3))
    k = [sum(2 ** (T - 1 - t) * s[j][t] for t in range(T)) for j in range(3)]
    assert sympy.expand(v - sum(w[j] * k[j] for j in range(3))) == 0


@pytest.mark.parametrize("T", range(1, 9))
def test_three_bias_forms_bring_the_same_bias(T: int) -> None:
    """METHOD 4: once, per step b/(2^T − 1), and the paper's β/T + (1 − 1/T)·γμ/σ with batch norm kept."""
    gamma, mu, sigma, beta = symbols("gamma mu sigma beta", positive=True)
    currents = symbols(f"x:{T}")
    b = beta - gamma * mu / sigma
    once = sum(2 ** (T - 1 - t) * gamma / sigma * x for t, x in enumerate(currents)) + b
    per_step = sympy.Integer(0)
    for x in currents:
        per_step = 2 * per_step + gamma / sigma * x + b / (2**T - 1)
    beta_c = beta / T + (1 - Rational(1, T)) * gamma * mu / sigma
    paper = sum(gamma / sigma * (2 ** (T - 1 - t) * x - mu) + beta_c for t, x in enumerate(currents))
    folded = sum(2 ** (T - 1 - t) * gamma / sigma * x + b / T for t, x in enumerate(currents))
    for form in (per_step, paper, folded):
        assert sympy.simplify(sympy.expand(form - once)) == 0


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
    return Staircase(one * theta, one * delta, levels, np.asarray(levels), one * theta, one * 0, rounding)


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
