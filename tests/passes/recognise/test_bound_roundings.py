"""Roundings without a clip of their own, of what is bounded: levels that are rounded once more."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_activations import HALVES, X, act, check_exact, model
from helpers_graphs import apply_checked, node, operators, samples

import onnx2snn
from onnx2snn.passes import PREPARE
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.bound_roundings import bound_roundings

CASES: dict[str, tuple[onnx.ModelProto, list[int]]] = {
    "scaled": (model(*act("z1", "a"), node("Mul", ["a", "six"], ["b"]), node("Round", ["b"], ["p"], "round")), [7, 10]),
    "rounded up": (model(*act("z1", "a"), node("Mul", ["a", "six"], ["b"]), node("Ceil", ["b"], ["p"])), [7, 11]),
    "below zero too": (
        model(*act("z1", "a", low="minus"), node("Mul", ["a", "two"], ["b"]), node("Floor", ["b"], ["p"])), [9, 4],
    ),
    "cast to an integer": (
        model(*act("z1", "a"), node("Mul", ["a", "two"], ["b"]), node("Cast", ["b"], ["c"], to=6),
            node("Cast", ["c"], ["p"], to=1)),
        [7, 3],
    ),
    "a factor for each channel": (
        model(*act("z1", "a"), node("Mul", ["a", "positive"], ["b"]), node("Floor", ["b"], ["p"]),
              positive=np.float32([2, 4, 8, 1]).reshape(1, 4, 1, 1)), [7, 14],
    ),
    "channels of both signs": (
        model(*act("z1", "a"), node("Mul", ["a", "signed"], ["b"]), node("Floor", ["b"], ["p"]),
              signed=np.float32([2, -4, 6, 1]).reshape(1, 4, 1, 1)), [7, 10],
    ),
    "to even in channels that start at odd and at even levels": (
        model(*act("z1", "a"), node("BatchNormalization", ["a", "gamma", "beta", "mean", "var"], ["b"], epsilon=0.0),
              node("Round", ["b"], ["p"]), gamma=np.float32([2, 4, 2, 1]), beta=np.float32([1, 0, -1, 2]),
              mean=np.zeros(4, np.float32), var=np.ones(4, np.float32)), [7, 7],
    ),
    "moved": (
        model(*act("z1", "a"), node("Transpose", ["a"], ["t"], perm=[0, 2, 3, 1]), node("Reshape", ["t", "flat"], ["f"]),
              node("Mul", ["f", "two"], ["b"]), node("Round", ["b"], ["c"]), node("Reshape", ["c", "back"], ["r"]),
              node("Transpose", ["r"], ["p"], perm=[0, 3, 1, 2]), flat=np.array([0, -1]), back=np.array([-1, 8, 8, 4])),
        [7, 4],
    ),
    "pooled": (
        model(*act("z1", "a"), node("MaxPool", ["a"], ["t"], **HALVES), node("Mul", ["t", "six"], ["b"]),
            node("Round", ["b"], ["p"])),
        [7, 10],
    ),
    "averaged": (
        model(*act("z1", "a"), node("AveragePool", ["a"], ["t"], **HALVES), node("Mul", ["t", "six"], ["b"]),
            node("Round", ["b"], ["p"])),
        [7, 11],
    ),
    "side by side": (
        model(*act("z1", "a"), *act("z2", "b", low="minus"), node("Concat", ["a", "b"], ["c"], axis=1),
            node("Mul", ["c", "two"], ["d"]),
              node("Round", ["d"], ["p"]), channels=8), [7, 9, 5],
    ),
    "a sum": (
        model(*act("z1", "a"), *act("z2", "b"), node("Add", ["a", "b"], ["c"]), node("Mul", ["c", "two"], ["d"]),
              node("Round", ["d"], ["p"])), [7, 7, 7],
    ),
    "three times": (
        model(*act("z1", "a"), node("Mul", ["a", "six"], ["b"]), node("Round", ["b"], ["c"]),
            node("Mul", ["c", "coarse"], ["d"]),
              node("Floor", ["d"], ["p"])), [7, 10, 5],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_becomes_a_neuron_of_so_many_levels(name: str) -> None:
    check_exact(*CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_the_clip_changes_nothing(name: str) -> None:
    source, _ = CASES[name]
    graph = apply_checked(source, X, *PREPARE)
    assert operators(graph).count("Max") >= 1


def test_a_step_of_two_thirds_of_a_level() -> None:
    """Every other threshold stands on a level: θ = 2/3 is not exact in floating point, 1/θ is."""
    nodes = [*act("z1", "a"), node("Mul", ["a", "six"], ["b"]), node("Floor", ["b"], ["p"])]
    source = model(*nodes)
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, X)
    assert all(layer.exact == layer.levels_compared for layer in certificate.layers)
    assert certificate.max_abs_error == 0


def test_a_level_that_is_read_elsewhere_and_an_output() -> None:
    nodes = [
        *act("z1", "a"),
        node("Mul", ["a", "six"], ["b"]),
        node("Round", ["b"], ["q"]),
        node("Add", ["q", "a"], ["p"]),
    ]
    source = model(*nodes, outputs={"b": ["N", 4, 8, 8], "q": ["N", 4, 8, 8]})
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, X)
    assert certificate.lossless
    assert certificate.max_abs_error == 0


@pytest.mark.parametrize("step", [0.1, 0.3, 0.7])
def test_general_floats(step: float) -> None:
    """Levels that float32 reaches at the end of the range are levels of the neuron."""
    nodes = [
        *act("z1", "a"),
        node("Div", ["a", "step"], ["b"]),
        node("Floor", ["b"], ["c"]),
        node("Mul", ["c", "step"], ["p"]),
    ]
    source = model(*nodes, step=np.float32(step))
    data = {"x": samples(6, 3, 8, 8)}
    assert onnx2snn.verify(source, onnx2snn.convert(source).model, data).lossless


def test_what_is_unbounded_stays() -> None:
    source = model(node("Mul", ["z1", "six"], ["b"]), node("Round", ["b"], ["p"], "round"))
    graph = apply_checked(source, X, infer_shapes)
    assert operators(bound_roundings(graph)) == operators(graph)
    with pytest.raises(onnx2snn.ConversionError, match=r"'round' .Round.*nothing bounds its levels"):
        onnx2snn.convert(source)
