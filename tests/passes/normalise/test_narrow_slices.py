"""A Slice names the axes that it cuts."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.spell_operators import spell_operators

FAR = 2**31 - 1


def sliced(starts: list[int], ends: list[int], axes: list[int] | None, steps: list[int] | None = None):
    given = {"s": starts, "e": ends} | ({"a": axes} if axes else {}) | ({"t": steps} if steps else {})
    nodes = [node("Slice", ["x", *given], ["z"]), node("Relu", ["z"], ["y"])]
    constants = {name: np.array(values) for name, values in given.items()}
    return make_model(nodes, constants, {"x": ["N", 6, 8]}, {"y": ["N", "c", "d"]}, opset=17)


@pytest.mark.parametrize(
    ("case", "axes"),
    [
        (([0, 2], [FAR, 4], [0, 1]), [1]),
        (([0, 2], [FAR, 4], None), [1]),
        (([0, 0, 1], [FAR, 6, -1], [0, 1, 2]), [2]),
        (([0, 0], [FAR, 7], [0, -1], [1, 2]), [2]),
        (([0, 0], [FAR, 5], [0, 1]), [1]),
        (([1, 0], [FAR, 5], [2, 1]), [2, 1]),
    ],
)
def test_axes_that_are_cut_alone_are_named(case: tuple[list[int], ...], axes: list[int]) -> None:
    graph = apply_checked(sliced(*case), {"x": samples(2, 6, 8)}, infer_shapes, spell_operators)
    (one,) = (n for n in graph.nodes if n.op == "Slice")
    assert [int(a) % 3 for a in one.inputs[3].values] == axes


def test_what_takes_all_is_read_through() -> None:
    model = sliced([0, 0], [FAR, 9], [0, 2])
    graph = apply_checked(model, {"x": samples(2, 6, 8)}, infer_shapes, spell_operators)
    assert operators(graph) == ["Relu"]


def test_backwards_or_from_the_end_is_not_all() -> None:
    for starts, ends, steps in (([-1], [-FAR], [-1]), ([-8], [FAR], [1]), ([0], [FAR], [2])):
        model = sliced(starts, ends, [2], steps)
        graph = apply_checked(model, {"x": samples(2, 6, 8)}, infer_shapes, spell_operators)
        assert operators(graph) == ["Slice", "Relu"]
