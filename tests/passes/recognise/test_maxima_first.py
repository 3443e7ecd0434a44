"""Maxima stand in front of what rises; what falls, or differs within what is compared, stays behind a neuron of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_activations import HALVES, X, act, model
from helpers_graphs import apply_checked, node, operators

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.maxima_first import maxima_first

RISING: dict[str, list[onnx.NodeProto]] = {
    "a quantiser": [*act("z1", "a"), node("MaxPool", ["a"], ["p"], "pool", **HALVES)],
    "a ReLU in front of the quantiser": [
        node("Relu", ["z1"], ["r"]), node("MaxPool", ["r"], ["m"], "pool", **HALVES), *act("m", "p"),
    ],
    "a sigmoid, entry by entry": [
        node("Sigmoid", ["z1"], ["r"]), node("MaxPool", ["r"], ["m"], "pool", **HALVES), *act("m", "p"),
    ],
    "signs": [node("Sign", ["z1"], ["a"]), node("MaxPool", ["a"], ["p"], "pool", **HALVES)],
    "a quantiser with steps by channel": [*act("z1", "a", "column"), node("MaxPool", ["a"], ["p"], "pool", **HALVES)],
}  # fmt: skip

STAYING: dict[str, list[onnx.NodeProto]] = {
    "it falls": [*act("z1", "a"), node("Neg", ["a"], ["n"]), node("MaxPool", ["n"], ["p"], "pool", **HALVES)],
    "it turns": [*act("z1", "a", low="minus"), node("Abs", ["a"], ["n"]), node("MaxPool", ["n"], ["p"], "pool", **HALVES)],
    "channels differ": [*act("z1", "a", "column"), node("ReduceMax", ["a"], ["p"], "pool", axes=[1])],
    "a line": [node("Mul", ["z1", "two"], ["a"]), node("MaxPool", ["a"], ["m"], "pool", **HALVES), *act("m", "p")],
}  # fmt: skip
ONE_CHANNEL: dict[str, Any] = {"channels": 1}


def source_of(name: str, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    return model(*nodes, **(ONE_CHANNEL if name == "channels differ" else {}))


@pytest.mark.parametrize("name", RISING)
def test_the_maximum_is_one_of_potentials(name: str) -> None:
    source = source_of(name, RISING[name])
    graph = apply_checked(source, X, infer_shapes, maxima_first)
    pool = next(n for n in graph.nodes if n.op == "MaxPool")
    assert pool.inputs[0].inputs[0].op == "Conv"
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, X)
    assert certificate.max_abs_error == 0


def quotients(*behind: onnx.NodeProto) -> onnx.ModelProto:
    """Responses of neighbours, their maximum, a quantiser: how a network of 2012 is quantised."""
    return model(*act("z1", "a"), node("LRN", ["a"], ["l"], size=3), *behind)


QUOTIENTS: dict[str, list[onnx.NodeProto]] = {
    "the quantiser behind": [node("MaxPool", ["l"], ["m"], "pool", **HALVES), *act("m", "p")],
    "the quantiser in front": [*act("l", "m"), node("MaxPool", ["m"], ["p"], "pool", **HALVES)],
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTIENTS)
def test_quotients_are_quantised_in_front_of_their_maximum(name: str) -> None:
    source = quotients(*QUOTIENTS[name])
    graph = apply_checked(source, X, infer_shapes, maxima_first)
    pool = next(n for n in graph.nodes if n.op == "MaxPool")
    (behind,) = (n for n in graph.nodes if n.inputs[0].inputs and n.inputs[0].inputs[0].op == "LRN")
    assert behind.op != "MaxPool"
    assert pool.inputs[0].inputs[0].op != "LRN"
    conversion = onnx2snn.convert(source)
    assert conversion.non_spiking == ()
    assert onnx2snn.verify(source, conversion.model, X).lossless


def test_a_quantiser_behind_joined_maxima_is_one_of_each_part() -> None:
    """How detectors pool at several sizes: y, its maxima, and theirs, joined in front of the next quantiser."""
    wide = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    source = model(
        node("Sigmoid", ["z1"], ["s"]),
        node("Mul", ["z1", "s"], ["a"]),
        node("MaxPool", ["a"], ["m"], **wide),
        node("MaxPool", ["m"], ["n"], **wide),
        node("MaxPool", ["n"], ["o"], **wide),
        node("Concat", ["n", "o", "a"], ["c"], axis=2),
        *act("c", "p"),
    )
    graph = apply_checked(source, X, infer_shapes, maxima_first)
    assert operators(graph).count("MaxPool") == 3
    assert next(n for n in graph.nodes if n.op == "Concat").outputs[0].name == "p"
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, X)
    assert certificate.max_abs_error == 0


def test_joined_quantisers_are_pooled_one_by_one() -> None:
    """Steps differ, and thirds of one are no levels of the other: behind the join the maximum would be a layer of its own."""
    source = model(
        *act("z1", "a", "column"), *act("z2", "b", "third"), node("Concat", ["a", "b"], ["j"], axis=1),
        node("MaxPool", ["j"], ["p"], "pool", **HALVES), channels=8, third=np.float32(1 / 3),
    )  # fmt: skip
    graph = apply_checked(source, X, infer_shapes, maxima_first)
    pools = [n for n in graph.nodes if n.op == "MaxPool"]
    assert [n.inputs[0].inputs[0].op for n in pools] == ["Conv", "Conv"]
    conversion = onnx2snn.convert(source)
    assert [layer.neurons for layer in conversion.layers] == [4 * 4 * 4] * 2
    assert onnx2snn.verify(source, conversion.model, X).lossless


@pytest.mark.parametrize("name", STAYING)
def test_it_stays(name: str) -> None:
    source = source_of(name, STAYING[name])
    graph = apply_checked(source, X, infer_shapes)
    assert operators(maxima_first(graph)) == operators(graph)
    certificate = onnx2snn.verify(source, onnx2snn.convert(source).model, X)
    assert certificate.max_abs_error == 0


def test_what_rises_behind_goes_in_front_where_the_function_in_front_turns() -> None:
    """A PReLU of slopes of both signs between a quantiser, and a maximum in front of the next: levels are compared."""
    nodes = [
        *act("z1", "a", low="minus"),
        node("PRelu", ["a", "slopes"], ["r"]),
        node("MaxPool", ["r"], ["m"], "pool", **HALVES),
        *act("m", "p"),
    ]
    slopes = np.float32([0.3, -0.7, -0.2, 0.4]).reshape(4, 1, 1)
    source = model(*nodes, slopes=slopes)
    graph = apply_checked(source, X, infer_shapes, maxima_first)
    pool = next(n for n in graph.nodes if n.op == "MaxPool")
    assert pool.outputs[0].outputs[0].op == "Conv"
    conversion = onnx2snn.convert(source)
    assert not conversion.non_spiking
    assert len(conversion.layers) == 3  # rising steps, falling ones, and the maximum of their sum
    certificate = onnx2snn.verify(source, conversion, X)
    assert certificate.lossless
    assert certificate.max_abs_error == 0


def test_an_activation_that_others_read_stays_for_them() -> None:
    nodes = [
        *act("z1", "a"),
        node("MaxPool", ["a"], ["m"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Concat", ["a", "m"], ["p"], axis=1),
    ]
    source = model(*nodes, channels=8)
    conversion = onnx2snn.convert(source)
    assert len(conversion.layers) == 2
    assert onnx2snn.verify(source, conversion.model, X).max_abs_error == 0
