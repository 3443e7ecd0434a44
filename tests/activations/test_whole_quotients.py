"""Quotients of whole numbers in float32, in front of a rounding."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from helpers_networks import Builder

from onnx2snn.activations import Staircase
from onnx2snn.activations.whole_quotients import beside_potential, deciding, divides_whole, is_whole_quotient


def test_a_rounded_quotient_of_whole_numbers_is_floored_as_the_exact_one() -> None:
    random = np.random.default_rng(0)
    n = np.rint(2 ** random.uniform(0, 23, 200_000)).astype(np.int64)
    q = (random.random(n.size) * (2**24 / n - 2)).astype(np.int64)
    for m in (q * n - 1, q * n, q * n + 1):  # where rounding could decide
        found = np.floor(m.astype(np.float32) / n.astype(np.float32))
        np.testing.assert_array_equal(found, m // n)


def activation(*behind: str) -> list[gs.Node]:
    """z ─▶ Add ─▶ Div θ ─▶ what is ``behind`` ─▶ Clip ─▶ Mul α, in order."""
    b = Builder()
    z = b.add("Div", b.add("Add", "x", np.float32(0.3)), np.float32(0.7))
    for op in behind:
        z = b.add(op, z, np.float32(0.5)) if op == "Add" else b.add(op, z)
    out = b.add("Mul", b.add("Clip", z, np.float32(0), np.float32(15)), np.float32(0.3))
    model: onnx.ModelProto = b.model({"x": ["N", 4]}, {"y": (out, ["N", 4])})
    return [node for node in gs.import_onnx(model).nodes if node.op != "Identity"]


@pytest.mark.parametrize(
    ("behind", "whole"), [(["Floor"], True), (["Round"], True), (["Add", "Floor"], False)]
)
def test_nothing_stands_between_the_quotient_and_its_rounding(behind: list[str], whole: bool) -> None:
    nodes = activation(*behind)
    assert is_whole_quotient(nodes[1]) == whole
    assert divides_whole(nodes) == whole


def test_what_stands_behind_the_last_rounding_decides_no_level() -> None:
    nodes = activation("Floor")
    for node in nodes:
        node.attrs["_onnx2snn_origin"] = [node.op]
    assert deciding(nodes) >= {"Add", "Div", "Floor"}
    assert "Mul" not in deciding(nodes)


def test_a_threshold_counts_once_or_for_ties_as_two_halves() -> None:
    one, theta = np.ones(()), np.asarray(0.75)

    def beside(rounding: str, theta: np.ndarray = theta) -> list[float]:
        staircase = Staircase(theta, one / 4, 7, np.asarray(7), one, -2 * one, np.array(rounding))
        return [float(value) for value in beside_potential(staircase)]

    assert beside("floor") == [0.25, 1.5, 0.75]
    assert beside("half_even") == [0.25, 1.5, 0.375, 0.375]
    assert beside("floor", np.asarray(0.5)) == [0.25, 1.0]
