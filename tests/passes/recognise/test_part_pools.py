"""The maximum of activations of several roundings side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from helpers_activations import HALVES, X, act, check_exact, model
from helpers_graphs import apply_checked, node, operators

import onnx2snn
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.recognise.part_pools import part_pools

BESIDE = [
    *act("z1", "a"),
    *act("z2", "b", "coarse", "three", rule="Round"),
    node("Concat", ["a", "b"], ["c"], "join", axis=1),
]


def pooled(pool: onnx.NodeProto, *, channels: int = 8, **more: Any) -> onnx.ModelProto:
    return model(*BESIDE, pool, channels=channels, **more)


CASES: dict[str, tuple[onnx.ModelProto, list[int]]] = {
    "MaxPool": (pooled(node("MaxPool", ["c"], ["p"], "pool", **HALVES)), [7, 3]),
    "GlobalMaxPool": (pooled(node("GlobalMaxPool", ["c"], ["p"], "pool")), [7, 3]),
    "ReduceMax": (pooled(node("ReduceMax", ["c"], ["p"], "pool", axes=[2, 3], keepdims=1)), [7, 3]),
    "joined by its last axis but two": (
        model(*BESIDE[:-1], node("Concat", ["a", "b"], ["c"], axis=-3), node("MaxPool", ["c"], ["p"], "pool", **HALVES),
            channels=8), [7, 3],
    ),
    "joined twice": (
        model(*BESIDE, node("Concat", ["c", "a"], ["d"], axis=1), node("MaxPool", ["d"], ["p"], "pool", **HALVES),
            channels=12), [7, 7, 3],
    ),
    "a sum among them": (
        model(*act("z1", "a"), *act("z2", "b", "coarse", "three"), node("Add", ["a", "b"], ["s"]),
            node("Concat", ["a", "s"], ["c"], axis=1),
              node("MaxPool", ["c"], ["p"], "pool", **HALVES), channels=8), [7, 3, 7, 13],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_part_is_pooled_in_front_of_its_neurons(name: str) -> None:
    source, levels = CASES[name]
    check_exact(source, levels)
    graph = apply_checked(source, X, infer_shapes, part_pools)
    assert operators(graph).count(name if "Pool" in name or "Reduce" in name else "MaxPool") >= 2


def test_dropped_axes() -> None:
    pool = node("ReduceMax", ["c"], ["d"], "pool", axes=[2, 3], keepdims=0)
    source = model(
        *BESIDE, pool, node("Reshape", ["d", "shape"], ["p"]), channels=8, shape=np.array([-1, 8, 1, 1])
    )
    check_exact(source, [7, 3])


def test_other_readers_and_an_output_keep_the_whole() -> None:
    pool = node("MaxPool", ["c"], ["m"], "pool", kernel_shape=[3, 3], pads=[1] * 4)
    source = model(*BESIDE, pool, node("Add", ["c", "m"], ["p"]), channels=8, outputs={"c": ["N", 8, 8, 8]})
    graph = apply_checked(source, X, infer_shapes, part_pools)
    assert operators(graph).count("MaxPool") == operators(graph).count("Concat") == 2
    assert onnx2snn.verify(source, onnx2snn.convert(source).model, X).max_abs_error == 0


STAYING = {
    "one rounding": [*act("z1", "a"), *act("z2", "b", "coarse", "three"), node("Concat", ["a", "b"], ["c"], axis=1)],
    "potentials": [node("Concat", ["z1", "z2"], ["c"], axis=1)],
    "joined along what is compared": [*BESIDE[:-1], node("Concat", ["a", "b"], ["c"], axis=2)],
}  # fmt: skip


@pytest.mark.parametrize("name", STAYING)
def test_what_needs_no_parts_stays(name: str) -> None:
    pool = node("MaxPool", ["c"], ["p"], "pool", **HALVES)
    source = model(*STAYING[name], pool, channels=4 if name.startswith("joined") else 8)
    graph = apply_checked(source, X, infer_shapes)
    assert operators(part_pools(graph)) == operators(graph)
