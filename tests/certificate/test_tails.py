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


def several(b: Builder, op: str, *inputs: str | np.ndarray, outputs: int, **attributes: int) -> list[str]:
    """The outputs of one operator."""
    first = b.add(op, *inputs, **attributes)
    rest = [f"{first}/{i}" for i in range(1, outputs)]
    b.nodes[-1].output.extend(rest)
    return [first, *rest]


#: What stands behind the scores (N, 5) of five samples, and its shape.
ENDS: dict[str, tuple[Callable[[Builder, str], str], list[int | str]]] = {
    "steep": (lambda b, s: b.add("Exp", b.add("Mul", s, np.float32(4))), ["N", 5]),
    "the largest": (lambda b, s: several(b, "TopK", s, np.array([2]), outputs=2)[0], ["N", 2]),
    "a mean of all samples": (lambda b, s: b.add("ReduceMean", s, axes=[0], keepdims=0), [5]),
    "a quotient": (lambda b, s: b.add("Div", s, b.add("Add", b.add("Abs", s), np.float32(0.5))), ["N", 5]),
    "rounded": (lambda b, s: b.add("Floor", b.add("Mul", s, np.float32(50))), ["N", 5]),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_stands_behind_scores_is_certified_and_can_be_denied(name: str) -> None:
    b = Builder()
    hidden = b.act(b.dense("x", (6, 8), 1), step=0.3)
    weights = np.random.default_rng(0).normal(0, 1, (8, 5)).astype(np.float32)
    end, shape = ENDS[name]
    model = b.model({"x": ["N", 6]}, {"y": (end(b, b.add("MatMul", hidden, weights)), shape)})
    converted = onnx2snn.convert(model).model
    five = {"x": SAMPLES["x"][:5]}
    assert onnx2snn.verify(model, converted, five).lossless
    for tensor in converted.graph.initializer:
        if list(tensor.dims) == [8, 5]:
            values = onnx.numpy_helper.to_array(tensor) * np.float32(1.03)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    assert not onnx2snn.verify(model, converted, five).lossless
