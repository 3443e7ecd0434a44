"""Einstein sums with a constant are matrix products, whatever the order of their axes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_graphs import apply_checked, make_model, node, operators, samples

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.spell_operators import spell_operators

#: By name: the equation (signal first), and the shapes of the signal, the constant and the result.
PRODUCTS = {
    "a linear layer": ("bc,dc->bd", (2, 6), (5, 6), (2, 5)),
    "a convolution of width one": ("bchw,oc->bohw", (2, 3, 4, 5), (6, 3), (2, 6, 4, 5)),
    "tokens are mixed": ("bnc,mn->bmc", (2, 5, 3), (4, 5), (2, 4, 3)),
    "several axes are summed": ("bhwc,hwcd->bd", (2, 3, 4, 2), (3, 4, 2, 5), (2, 5)),
    "several axes are made": ("bd,dok->bok", (2, 3), (3, 4, 5), (2, 4, 5)),
    "an ellipsis": ("...i,ij->...j", (2, 3, 4, 5), (5, 6), (2, 3, 4, 6)),
    "an ellipsis that moves": ("...id,io->o...d", (2, 3, 4, 5), (4, 2), (2, 2, 3, 5)),
    "all at once": ("bxyz,zoxp->bpyo", (2, 3, 4, 5), (5, 6, 3, 2), (2, 2, 4, 6)),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", PRODUCTS)
def test_it_is_a_matrix_product(name: str, *, first: bool) -> None:
    equation, signal, constant, result = PRODUCTS[name]
    terms, _, after = equation.partition("->")
    if not first:
        equation = f"{','.join(reversed(terms.split(',')))}->{after}"
    source = make_model(
        [node("Einsum", ["x", "w"] if first else ["w", "x"], ["y"], equation=equation)],
        {"w": np.round(samples(*constant, seed=1) * 4) / 4},
        {"x": ["N", *signal[1:]]},
        {"y": ["N", *result[1:]]},
    )
    x = {"x": np.round(samples(*signal) * 4) / 4}
    graph = apply_checked(source, x, infer_shapes, spell_operators)
    assert "MatMul" in operators(graph)
    assert "Einsum" not in operators(graph)


STAYING = {
    "entry by entry": ("bc,c->bc", (6,), 6),
    "summed without the constant": ("bc,d->bd", (4,), 4),
    "an ellipsis of the constant": ("bc,...c->b...", (5, 6), 5),
}


@pytest.mark.parametrize("name", STAYING)
def test_what_is_no_matrix_product_stays(name: str) -> None:
    equation, constant, width = STAYING[name]
    source = make_model(
        [node("Einsum", ["x", "w"], ["y"], equation=equation)], {"w": samples(*constant)}, {"x": ["N", 6]}, {"y": ["N", width]}
    )  # fmt: skip
    graph = apply_checked(source, {"x": samples(2, 6)}, infer_shapes, spell_operators)
    assert operators(graph) == ["Einsum"]


def test_a_product_of_two_activations_is_one_of_spikes_and_potentials() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["z"]), node("Floor", ["z"], ["f"]), node("Clip", ["f", "zero", "top"], ["a"]),
        node("Einsum", ["a", "a"], ["e"], "square", equation="bc,bc->bc"), node("MatMul", ["e", "w"], ["y"]),
    ]  # fmt: skip
    constants = {"w": samples(6, 6), "zero": np.float32(0), "top": np.float32(3)}
    source = make_model(nodes, constants, {"x": ["N", 6]}, {"y": ["N", 6]})
    conversion = onnx2snn.convert(source)
    assert conversion.non_spiking == ()
    assert onnx2snn.verify(source, conversion.model, {"x": samples(20, 6)}).lossless
