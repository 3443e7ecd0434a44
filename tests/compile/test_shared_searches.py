"""Neurons that read one tensor find their levels by one search, biases and all, of every potential."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from helpers_graphs import make_model, node

from onnx2snn.activations.tables import reached
from onnx2snn.compile.draft import Draft
from onnx2snn.compile.fused import FusedWriter
from onnx2snn.compile.int8 import Int8Writer
from onnx2snn.compile.shared_searches import SharedSearches, sum_reaches
from onnx2snn.model.weights import split_model
from onnx2snn.runtime.target import ANYWHERE, Target

T = 8
WIDTH = 2**T - 1
DRAWS = np.random.default_rng(11)


def table(*thresholds: float) -> Any:
    row = np.full(WIDTH, np.inf, np.float32)
    row[: len(thresholds)] = np.sort(np.float32(thresholds))
    return row


GRID = (np.arange(WIDTH) - 100.5) * 0.03
RISING = table(*np.delete(GRID, range(90, 95)))
FALLING = table(*GRID[90:95])
#: Of the same grid, where what is added is more by one of its steps.
MOVED = table(*(GRID[90:95] + 0.03))
ONE = table(-1.7)
#: Steps of a function that is curved, up and down.
UP, DOWN = table(*(np.sqrt(np.arange(1, 200)) - 3)), table(-4.1, -4.6, -5.3)


def around(row: Any, bias: Any) -> Any:
    """Numbers whose sums with a bias are thresholds, and the nearest to them on both sides; others."""
    below = above = (row[np.isfinite(row)] - np.float32(bias)).astype(np.float32)
    near = [below]
    for _ in range(3):
        below, above = (
            np.nextafter(some, np.float32(end)) for some, end in ((below, -np.inf), (above, np.inf))
        )
        near += [below, above]
    return np.concatenate([*near, np.float32(DRAWS.normal(0, 9, 200)), np.float32([0, -0.0, -np.inf])])


@pytest.mark.parametrize("bias", [0.0, 0.1, -3.7, 1e5, -1e-30])
def test_the_lowest_number_whose_sum_reaches_a_threshold(bias: float) -> None:
    held = np.append(RISING, np.float32([-np.inf, 3e38, 0, 1e-40]))
    found = sum_reaches(held, np.float32(bias))
    finite = np.isfinite(held) & np.isfinite(found)
    assert finite.sum() > WIDTH - 9
    below = np.nextafter(found[finite], np.float32(-np.inf))
    assert (found[finite] + np.float32(bias) >= held[finite]).all()
    assert (below + np.float32(bias) < held[finite]).all()
    np.testing.assert_array_equal(found[~np.isfinite(held)], held[~np.isfinite(held)])


def written(rows: list[Any], biases: list[Any], target: Target) -> tuple[Any, list[str]]:
    """The levels of neurons with these tables and biases, run, and the operators that find them."""
    constants = {f"t{i}": row for i, row in enumerate(rows)} | {f"b{i}": b for i, b in enumerate(biases)}
    constants["r"] = np.zeros((1, 1), np.int64)
    nodes = [
        node("TableIF", ["v", f"b{i}", f"t{i}", "r"], [f"k{i}"], timesteps=T, domain="onnx2snn")
        for i in range(len(rows))
    ]
    shape = ("N", 2, 300)
    given = make_model(nodes, constants, {"v": shape}, {f"k{i}": shape for i in range(len(rows))})
    draft = Draft(split_model(given), target)
    shared = SharedSearches(draft, nodes, lambda one: draft.value(one.input[1]))
    for one in nodes:
        at = draft.at(one.output[0])
        bias = draft.value(one.input[1])
        assert bias is not None
        sums = lambda at=at, bias=bias: at.add("Sub", ["v", at.constant(-bias)])  # noqa: E731
        assert shared.write(at, one, sums)
    model = draft.finished().whole()
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda v: session.run(None, {"v": v}), [one.op_type for one in model.graph.node]


@pytest.mark.parametrize("target", [ANYWHERE, Target(elements=True)], ids=["anywhere", "by elements"])
@pytest.mark.parametrize(
    ("rows", "biases", "searches"),
    [
        ([RISING, FALLING], [np.float32([[0.1]])] * 2, 1),
        ([RISING, MOVED], [np.float32([[0.1]]), np.float32([[0.13]])], 1),  # one bias for all is none
        (
            [table(*GRID), FALLING],
            [np.float32([[0.1]]), np.float32([[0.11]])],
            2,
        ),  # thresholds too near each other
        ([RISING, FALLING], [np.float32([[0.1], [7]])] * 2, 1),
        ([RISING, FALLING], [np.float32([[0.1], [7]]), np.float32([[0.2], [7]])], 2),
        (
            [RISING, ONE],
            [np.float32([[0.1], [7]]), np.float32([[0.2], [7]])],
            1,
        ),  # one threshold: a comparison
    ],
)
def test_levels_are_those_of_each_table(
    rows: list[Any], biases: list[Any], searches: int, target: Target
) -> None:
    run, operators = written(rows, biases, target)
    assert Counter(operators)["QuantizeLinear"] == searches
    near = [around(row, b) for row, bias in zip(rows, biases, strict=True) for b in bias.reshape(-1)]
    v = DRAWS.permutation(np.resize(np.concatenate(near), 8 * 600)).reshape(8, 2, 300)
    for found, row, bias in zip(run(v), rows, biases, strict=True):
        np.testing.assert_array_equal(found, reached(row, v + bias))


@pytest.mark.parametrize("others", [[], ["k1"], ["k0", "k1"]], ids=["alone", "one is read", "both are"])
@pytest.mark.parametrize("writer", [FusedWriter, Int8Writer])
def test_a_difference_is_looked_up_at_once(others: list[str], writer: type[FusedWriter]) -> None:
    """Levels that something else reads, too, are written beside it, and the difference is the same."""
    shape = ("N", 2, 300)
    nodes = [
        node(
            "TableIF",
            ["v", "zero", f"t{i}", "r"],
            [f"k{i}"],
            timesteps=T,
            input_steps=1,
            levels=WIDTH,
            domain="onnx2snn",
        )
        for i in range(2)
    ]
    nodes += [node("Sub", ["k0", "k1"], ["d"]), node("Neg", ["d"], ["y"])]
    nodes += [node("Abs", [name], [f"read {name}"]) for name in others]
    constants = {
        "t0": UP,
        "t1": DOWN,
        "r": np.zeros((1, 1), np.int64),
        "zero": np.zeros((1, 1), np.float32),
    }
    outputs = {"y": shape, **{f"read {name}": shape for name in others}}
    given = make_model(nodes, constants, {"v": shape}, outputs, opset=21, domains=["onnx2snn"], ir_version=10)
    given.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, 1, ["N", 2, 300]) for name in ("k0", "k1", "d")
    )
    draft = Draft(split_model(given), Target(elements=True, contributed=True))
    written = writer(draft)
    written.run()
    model = draft.finished().whole()
    operators = Counter(one.op_type for one in model.graph.node)
    assert operators["GatherElements"] == 2 + len(others)  # a threshold, and what is looked up behind it
    assert operators["Sub"] == 1  # of the potential
    for name in ("k0", "k1"):
        assert (written.stands_as(name) is None) == (name not in others)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    v = np.resize(around(UP, 0), (3, 2, 300))
    found = dict(zip(outputs, session.run(list(outputs), {"v": v}), strict=True))
    levels = {"k0": reached(UP, v), "k1": reached(DOWN, v)}
    np.testing.assert_array_equal(found["y"], levels["k1"] - levels["k0"])
    for name in others:
        np.testing.assert_array_equal(found[f"read {name}"], levels[name])


def test_a_bias_that_is_computed_is_added_once() -> None:
    nodes = [
        node("TableIF", ["v", "b", f"t{i}", "r"], [f"k{i}"], timesteps=T, domain="onnx2snn") for i in range(2)
    ]
    constants = {"t0": RISING, "t1": FALLING, "r": np.zeros((1, 1), np.int64)}
    shape = ("N", 2, 300)
    given = make_model(nodes, constants, {"v": shape, "b": shape}, {"k0": shape, "k1": shape})
    draft = Draft(split_model(given))
    shared = SharedSearches(draft, nodes, lambda one: draft.value(one.input[1]))
    for one in nodes:
        at = draft.at(one.output[0])
        assert shared.write(at, one, lambda at=at: at.add("Add", ["v", "b"]))
    model = draft.finished().whole()
    operators = Counter(one.op_type for one in model.graph.node)
    assert (operators["Add"], operators["QuantizeLinear"]) == (2, 1)  # of the potential, and of a place
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    bias = np.float32(DRAWS.normal(0, 1, (2, 2, 300)))
    v = np.resize(around(RISING, 0), (2, 2, 300)) - bias
    found = session.run(None, {"v": v, "b": bias})
    for level, row in zip(found, (RISING, FALLING), strict=True):
        np.testing.assert_array_equal(level, reached(row, v + bias))


def test_one_bias_of_all_channels_costs_nothing() -> None:
    _, operators = written([RISING], [np.float32([[0.1]])], ANYWHERE)
    assert Counter(operators)["Sub"] == 1
    _, operators = written([ONE], [np.float32([[0.1], [3]])], ANYWHERE)
    assert operators == ["GreaterOrEqual", "Cast", "Identity"]
