"""Outputs that say which scores are the largest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers_networks import Builder

import onnx2snn

SAMPLES = {"x": np.random.default_rng(1).normal(0, 1, (30, 6)).astype(np.float32)}


def ranked(rank: Callable[[Builder, str], str], count: int) -> onnx.ModelProto:
    """A network of four classes, each of whose scores is there twice: rounding alone says which is the larger."""
    b = Builder()
    hidden = b.act(b.dense("x", (6, 8), 1), step=0.3)
    weights = np.random.default_rng(0).normal(0, 1, (8, 4)).astype(np.float32)
    scores = b.add("MatMul", hidden, np.repeat(weights, 2, axis=1))
    return b.model({"x": ["N", 6]}, {"class": (rank(b, scores), ["N", count])})


def top(b: Builder, scores: str, *, count: int, largest: int) -> str:
    b.add("TopK", scores, np.array([count], np.int64), axis=-1, largest=largest)
    made = b.nodes[-1]
    made.output.append("places")
    return "places"


RANKINGS = {
    "ArgMax": (lambda b, s: b.add("ArgMax", s, axis=1), 1),
    "ArgMin": (lambda b, s: b.add("ArgMin", s, axis=1), 1),
    "TopK of one": (lambda b, s: top(b, s, count=1, largest=1), 1),
    "TopK of three, from below": (lambda b, s: top(b, s, count=3, largest=0), 3),
}


@pytest.mark.parametrize("name", RANKINGS)
def test_either_of_two_equal_scores_may_come_first(name: str) -> None:
    model = ranked(*RANKINGS[name])
    converted = onnx2snn.convert(model).model
    assert onnx2snn.verify(model, converted, SAMPLES).lossless
    last = next(n for n in converted.graph.node if n.op_type in ("ArgMax", "ArgMin", "TopK"))
    if last.op_type == "TopK":
        largest = next(a for a in last.attribute if a.name == "largest")
        largest.i = 1 - largest.i
    else:
        last.op_type = {"ArgMax": "ArgMin", "ArgMin": "ArgMax"}[last.op_type]
    assert not onnx2snn.verify(model, converted, SAMPLES).lossless
