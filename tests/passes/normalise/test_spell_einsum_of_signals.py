"""Einstein sums of two signals: attention as MaxViT writes it."""

from __future__ import annotations

import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

from onnx2snn.passes.normalise.spell_operators import spell_operators


@pytest.mark.parametrize(
    ("equation", "other", "made"),
    [
        ("B G I D, B G J D -> B G I J", (2, 4, 6, 5), (2, 4, 3, 6)),
        ("bgij,bgjd->bgid", (2, 4, 5, 7), (2, 4, 3, 7)),
        ("bgid,bgjd->bgji", (2, 4, 6, 5), (2, 4, 6, 3)),
    ],
)
def test_a_product_of_matrices(equation: str, other: tuple[int, ...], made: tuple[int, ...]) -> None:
    nodes = [node("Einsum", ["x", "z"], ["y"], equation=equation)]
    model = make_model(nodes, {}, {"x": [2, 4, 3, 5], "z": list(other)}, {"y": list(made)}, opset=18)
    graph = apply_checked(
        model, {"x": samples(2, 4, 3, 5), "z": samples(*other, seed=1)}, spell_operators, tolerance=1e-5
    )
    assert "Einsum" not in operators(graph)


@pytest.mark.parametrize("equation", ["bgid,bgid->bgi", "bgid,bgid->bgid"])
def test_others_stay(equation: str) -> None:
    nodes = [node("Einsum", ["x", "z"], ["y"], equation=equation)]
    made = [2, 4, 3, 5][: len(equation.partition(">")[2])]
    model = make_model(nodes, {}, {"x": [2, 4, 3, 5], "z": [2, 4, 3, 5]}, {"y": made}, opset=18)
    graph = apply_checked(
        model, {"x": samples(2, 4, 3, 5), "z": samples(2, 4, 3, 5, seed=1)}, spell_operators, tolerance=1e-5
    )
    assert operators(graph) == ["Einsum"]
