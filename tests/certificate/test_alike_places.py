"""On a smaller map networks answer what they answer on the whole one, at the places that stay; other networks have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node

from onnx2snn.certificate.alike_places import SmallMap, small_map
from onnx2snn.dialect.subnetworks import POTENTIAL
from onnx2snn.model.reference import run_reference
from onnx2snn.model.weights import SplitModel, split_model

DRAWS = np.random.default_rng(3)
SIZE = 23


def drawn(*shape: int) -> Any:
    return DRAWS.integers(-9, 10, shape).astype(np.float32)


def conv(source: str, target: str, weights: str, size: int, stride: int = 1) -> onnx.NodeProto:
    return node(
        "Conv",
        [source, weights],
        [target],
        kernel_shape=[size] * 2,
        pads=[size // 2] * 4,
        strides=[stride] * 2,
    )


def per_place(border: int) -> Any:
    """A constant (1, 3, 23, 23) that is another at so many places near each end."""
    values = np.broadcast_to(drawn(1, 3, 1, 1), (1, 3, SIZE, SIZE)).copy()
    for axis in (2, 3):
        for at in (*range(border), *range(SIZE - border, SIZE)):
            values[(slice(None),) * axis + (at,)] += drawn(1)
    return values


W3, W1, W5 = drawn(3, 3, 3, 3), drawn(3, 3, 1, 1), drawn(3, 3, 5, 5)
#: Nodes from a to the potential, constants, and the size of a.
NETWORKS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], int]] = {
    "one convolution": ([conv("a", POTENTIAL, "w", 3)], {"w": W3}, SIZE),
    "a shortcut beside two": (
        [
            conv("a", "b", "w", 3),
            conv("b", "c", "v", 5),
            node("Mul", ["a", "f"], ["d"]),
            node("Add", ["c", "d"], [POTENTIAL]),
        ],
        {"w": W3, "v": W5, "f": drawn(3, 1, 1)},
        SIZE,
    ),
    "strides, a pool and an odd rest": (
        [
            conv("a", "b", "w", 3, 2),
            node("MaxPool", ["b"], ["c"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
            conv("c", "d", "v", 1),
            node("Concat", ["c", "d"], [POTENTIAL], axis=1),
        ],
        {"w": W3, "v": W1},
        4 * SIZE - 2,
    ),
    "a mean that does not count padding": (
        [node("AveragePool", ["a"], [POTENTIAL], kernel_shape=[3, 3], pads=[1] * 4)],
        {},
        SIZE,
    ),
    "a bias of its own near borders": (
        [conv("a", "b", "w", 3), node("Add", ["b", "c"], [POTENTIAL])],
        {"w": W3, "c": per_place(2)},
        SIZE,
    ),
    "a bias in front of a convolution": (
        [node("Sub", ["a", "c"], ["b"]), conv("b", POTENTIAL, "w", 5)],
        {"w": W5, "c": per_place(1)},
        SIZE,
    ),
}


def model(name: str) -> tuple[SplitModel, int]:
    nodes, constants, size = NETWORKS[name]
    made = make_model(nodes, constants, {"a": ("N", 3, None, None)}, {POTENTIAL: ("N", None, None, None)})
    return split_model(made), size


def made(one: SplitModel, size: int, parameters: Any = ()) -> tuple[SmallMap | None, Any]:
    """The small map, and what the whole one answers to a sample."""
    example = {"a": drawn(1, 3, size, size)}
    whole = run_reference(one, example)[POTENTIAL]
    return small_map((one, one), example, whole.shape, parameters), whole


@pytest.mark.parametrize("name", NETWORKS)
def test_each_place_answers_as_the_one_that_it_stands_for(name: str) -> None:
    one, size = model(name)
    small, whole = made(one, size)
    assert small is not None
    assert min(small.missing) > 3
    answer = run_reference(small.models[0], {"a": np.zeros_like(small.example["a"])})[POTENTIAL]
    silent = run_reference(one, {"a": np.zeros((1, 3, size, size), np.float32)})[POTENTIAL]
    assert answer.shape[2:] == tuple(n - m for n, m in zip(whole.shape[2:], small.missing, strict=True))
    for at in np.ndindex(answer.shape[1:]):
        assert answer[(0, *at)] == silent[(0, *small.place(at))]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_place_is_there(name: str) -> None:
    """What each place makes of ones tells how many of its windows' cells there are, and so its kind."""
    one, size = model(name)
    small, _ = made(one, size)
    assert small is not None
    answer = run_reference(small.models[0], {"a": np.ones_like(small.example["a"])})[POTENTIAL]
    whole = run_reference(one, {"a": np.ones((1, 3, size, size), np.float32)})[POTENTIAL]
    kept = {small.place((0, *at)): answer[(0, slice(None), *at)] for at in np.ndindex(answer.shape[2:])}
    for (_, *at), found in kept.items():
        np.testing.assert_array_equal(found, whole[(0, slice(None), *at)])
    kinds = {tuple(found) for found in kept.values()}
    assert {tuple(whole[(0, slice(None), *at)]) for at in np.ndindex(whole.shape[2:])} == kinds


def changed(name: str, change: Callable[[onnx.ModelProto], None]) -> tuple[SplitModel, int]:
    one, size = model(name)
    whole = one.whole()
    change(whole)
    return split_model(whole), size


def reads_a_random_bias(whole: onnx.ModelProto) -> None:
    values = onnx.numpy_helper.from_array(drawn(1, 3, SIZE, SIZE), "c")
    next(t for t in whole.graph.initializer if t.name == "c").CopyFrom(values)


def pads_by_itself(whole: onnx.ModelProto) -> None:
    convolution = next(n for n in whole.graph.node if n.op_type == "Conv")
    del convolution.attribute[:]
    convolution.attribute.append(onnx.helper.make_attribute("auto_pad", "SAME_UPPER"))


def transposes(whole: onnx.ModelProto) -> None:
    last = whole.graph.node[-1]
    last.output[0] = "turned"
    whole.graph.node.append(node("Transpose", ["turned"], [POTENTIAL], perm=[0, 1, 3, 2]))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("a bias of its own near borders", reads_a_random_bias),
        ("one convolution", pads_by_itself),
        ("one convolution", transposes),
    ],
)
def test_what_is_not_known_to_be_alike_is_looked_at_whole(
    name: str, change: Callable[[onnx.ModelProto], None]
) -> None:
    assert made(*changed(name, change))[0] is None


def test_neurons_with_thresholds_of_their_own_are_looked_at_whole() -> None:
    one, size = model("one convolution")
    assert made(one, size, [drawn(3, 1, 1)])[0] is not None
    assert made(one, size, [drawn(3, SIZE, SIZE)])[0] is None


def test_small_maps_are_looked_at_whole() -> None:
    one, _ = model("one convolution")
    assert made(one, 6)[0] is None
