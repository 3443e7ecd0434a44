"""Constants that broadcasting would repeat are held once; whatever widens a result stays."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import apply_checked, make_model, node, samples

import onnx2snn
from onnx2snn.graph.core import is_constant
from onnx2snn.passes.normalise.infer_shapes import infer_shapes
from onnx2snn.passes.normalise.narrow_constants import narrow_constants

X = {"x": samples(1, 3, 4, 4)}
CHANNELS = np.arange(3, dtype=np.float32).reshape(1, 3, 1, 1)


def model(constant: np.ndarray, inside: tuple[int, ...] = (1, 3, 4, 4)) -> onnx.ModelProto:
    result = list(np.broadcast_shapes(inside, constant.shape))
    return make_model([node("Add", ["x", "c"], ["y"])], {"c": constant}, {"x": list(inside)}, {"y": result})


CASES = {
    "one value everywhere": (np.full((1, 3, 4, 4), 2, np.float32), (1,)),
    "one value a channel": (np.broadcast_to(CHANNELS, (1, 3, 4, 4)).copy(), (3, 1, 1)),
    "one value already": (np.full((), 2, np.float32), ()),
    "all different": (samples(1, 3, 4, 4, seed=1), (3, 4, 4)),
    "alike along rows": (np.repeat(samples(3, 4, 1, seed=1), 4, axis=2), (3, 4, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_each_value_is_held_once(name: str) -> None:
    constant, expected = CASES[name]
    graph = apply_checked(model(constant), X, infer_shapes, narrow_constants)
    held = next(t for t in graph.nodes[0].inputs if is_constant(t))
    assert tuple(held.shape) == expected


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 3, 1, 1), (5, 1, 3, 4, 4)])
def test_what_widens_the_result_stays(shape: tuple[int, ...]) -> None:
    source = model(np.ones(shape, np.float32), inside=(1, 3, 4, 1))
    graph = apply_checked(source, {"x": samples(1, 3, 4, 1)}, infer_shapes, narrow_constants)
    assert graph.outputs[0].shape == list(np.broadcast_shapes(shape, (1, 3, 4, 1)))


def test_two_constants_that_widen_together_stay() -> None:
    nodes = [node("Greater", ["x", "zero"], ["m"]), node("Where", ["m", "a", "b"], ["y"])]
    wide = np.ones((1, 3, 4, 4), np.float32)
    constants = {"zero": np.zeros((1, 1, 1, 1), np.float32), "a": wide, "b": wide * 2}
    source = make_model(nodes, constants, {"x": [1, 3, 1, 1]}, {"y": [1, 3, 4, 4]})
    graph = apply_checked(source, {"x": samples(1, 3, 1, 1)}, infer_shapes, narrow_constants)
    assert graph.outputs[0].shape == [1, 3, 4, 4]


def test_a_filled_step_is_a_neuron_behind_which_pools_are_hoisted() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["z"], pads=[1, 1, 1, 1]),
        node("Greater", ["z", "edge"], ["m"]),
        node("Where", ["m", "ones", "zeros"], ["a"]),
        node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p", "v"], ["y"]),
    ]
    wide = (1, 4, 8, 8)
    constants = {
        "w": samples(4, 3, 3, 3),
        "v": samples(2, 4, 1, 1),
        "edge": np.full(wide, 0.3, np.float32),
        "ones": np.ones(wide, np.float32),
        "zeros": np.zeros(wide, np.float32),
    }
    source = make_model(nodes, constants, {"x": [1, 3, 8, 8]}, {"y": [1, 2, 4, 4]})
    conversion = onnx2snn.convert(source)
    assert [layer.levels for layer in conversion.layers] == [1]
    assert onnx2snn.verify(source, conversion.model).lossless
