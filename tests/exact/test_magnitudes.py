"""The largest partial sum of levels times weights, in any order."""

from __future__ import annotations

import numpy as np
from helpers_networks import Builder

from onnx2snn.exact.proof import prove_model

#: Levels of four bits.
K = 15


def test_partial_sums_lie_between_the_negative_and_the_positive_terms() -> None:
    random = np.random.default_rng(5)
    weights, bias = random.integers(-40, 41, (6, 12)), random.integers(-90, 91, 6)
    b = Builder()
    levels = b.act(b.add("Gemm", "x", np.eye(12, dtype=np.float32)), step=1.0, shift=0.5)
    out = b.add("Gemm", levels, weights.T.astype(np.float32), bias.astype(np.float32))
    model = b.model({"x": ["N", 12]}, {"y": (out, ["N", 6])})
    proof = next(one for one in prove_model(model) if not one.neurons)
    terms = np.concatenate([weights * K, bias[:, None]], axis=1)
    ends = np.maximum(np.where(terms > 0, terms, 0).sum(axis=1), -np.where(terms < 0, terms, 0).sum(axis=1))
    assert proof.exact
    assert proof.steps == ends.max()
    for row, end in zip(terms, ends, strict=True):  # the worst order: whatever has one sign comes first
        assert np.abs(np.cumsum(np.sort(row))).max() <= end
        assert max(np.abs(np.cumsum(order)).max() for order in (np.sort(row), -np.sort(-row))) == end


def test_behind_a_maximum_both_are_added() -> None:
    b = Builder()
    levels = b.act(b.add("Conv", "x", np.ones((2, 2, 1, 1), np.float32)), step=1.0, shift=0.5)
    weights = np.array([[3, -5]], np.float32).reshape(1, 2, 1, 1)
    pooled = b.add("GlobalMaxPool", b.add("Conv", levels, weights))
    model = b.model({"x": ["N", 2, 4, 4]}, {"y": (pooled, ["N", 1, 1, 1])})
    proof = next(one for one in prove_model(model) if not one.neurons)
    assert proof.steps == 8 * K
