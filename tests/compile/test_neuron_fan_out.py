"""The fan-out of a neuron is what the counting graph makes of one spike of it, wherever it is in its train."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from helpers_networks import Builder
from onnx import helper

import onnx2snn
from onnx2snn.compile import counts
from onnx2snn.compile.draft import Draft, sizes_of
from onnx2snn.compile.neuron_fan_out import fan_outs
from onnx2snn.compile.one_node import session_of
from onnx2snn.compile.spike_sums import apart_from_most
from onnx2snn.dialect.layer_table import COUNTING_KEY, read_layer_table
from onnx2snn.model.weights import split_model
from onnx2snn.runtime import SpikingSession

#: Draws weights of a given shape, many of which are zero.
Weights = Callable[..., np.ndarray]


def weights(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.float32)


def windows() -> onnx.ModelProto:
    """Convolutions with strides, dilations, groups and uneven padding, by channel, transposed; pools; a residual sum."""
    b = Builder()
    a = b.act(b.conv("x", (2, 8), 0))
    left = b.add("Conv", a, weights(12, 8, 3, 2, seed=1), pads=[1, 0, 2, 1], strides=[2, 1])
    right = b.add(
        "Conv", a, weights(12, 4, 2, 2, seed=2), group=2, dilations=[3, 1], pads=[2, 0, 2, 1], strides=[2, 1]
    )
    a = b.act(b.add("Add", left, right))
    a = b.act(b.add("Conv", a, weights(12, 1, 3, 3, seed=3), group=12, pads=[1, 1, 1, 1]))
    a = b.act(
        b.add("ConvTranspose", a, weights(12, 3, 3, 2, seed=4), group=2, strides=[2, 1], pads=[1, 0, 0, 1])
    )
    a = b.add("AveragePool", a, kernel_shape=[2, 2], strides=[2, 1], count_include_pad=1, pads=[0, 1, 0, 0])
    a = b.act(b.add("Conv", a, weights(5, 6, 1, 1, seed=5)))
    y = b.dense(b.add("Flatten", b.add("GlobalAveragePool", a)), (5, 3), 8)
    return b.model({"x": ["N", 2, 9, 8]}, {"y": (y, ["N", 3])})


def matrices() -> onnx.ModelProto:
    """Products from either side, in heads; a slice, a gather and a concatenation; an average over tokens."""
    b = Builder()
    a = b.act(b.add("MatMul", "x", weights(6, 8, seed=1)))
    left = b.act(b.add("MatMul", a, weights(8, 12, seed=2)))
    heads = b.add("Transpose", b.add("Reshape", left, np.array([-1, 5, 3, 4])), perm=[0, 2, 1, 3])
    joined = b.add("Reshape", b.add("Transpose", heads, perm=[0, 2, 1, 3]), np.array([-1, 5, 12]))
    some = b.add("Slice", joined, np.array([1]), np.array([4]), np.array([1]))
    first = b.add("Gather", joined, np.array([0, 0]), axis=1)
    a = b.act(b.add("MatMul", weights(4, 5, seed=3), b.add("Concat", some, first, axis=1)))
    y = b.dense(b.add("ReduceMean", a, axes=[1], keepdims=0), (12, 3), 4)
    return b.model({"x": ["N", 5, 6]}, {"y": (y, ["N", 3])})


def products() -> onnx.ModelProto:
    """Two signals times each other: a spike reaches all that the held one multiplies it with; a gate; a resized map."""
    b = Builder()
    a = b.act(b.conv("x", (2, 4), 0))
    flat = b.add("Reshape", a, np.array([-1, 4, 20]))
    left = b.act(b.add("MatMul", flat, weights(20, 6, seed=1)))
    right = b.act(b.add("MatMul", weights(6, 4, seed=2), flat))
    scores = b.act(b.add("MatMul", left, right))
    gate = b.act(b.add("GlobalAveragePool", a))
    gated = b.act(b.add("Mul", a, gate))
    wide = b.add("Resize", gated, "", np.array([1, 1, 2, 1], np.float32), mode="nearest")
    y = b.dense(b.add("Flatten", b.act(b.add("Conv", wide, weights(2, 4, 3, 3, seed=3)))), (32, 3), 4)
    z = b.dense(b.add("Flatten", scores), (80, 2), 5)
    return b.model({"x": ["N", 2, 5, 4]}, {"y": (y, ["N", 3]), "z": (z, ["N", 2])})


def two_in_a_row() -> onnx.ModelProto:
    """Two layers of synapses with no neuron in between: what arrives at the first goes on."""
    b = Builder()
    a = b.act(b.conv("x", (2, 4), 0))
    y = b.add(
        "Conv", b.add("Conv", a, weights(6, 4, 2, 2, seed=1)), weights(3, 6, 3, 1, seed=2), pads=[1, 0, 1, 0]
    )
    return b.model({"x": ["N", 2, 5, 5]}, {"y": (y, ["N", 3, 4, 4])})


NETWORKS = [windows, matrices, products, two_in_a_row]


def fragment_of(model: onnx.ModelProto) -> onnx.GraphProto:
    stored = next(entry.value for entry in model.metadata_props if entry.key == COUNTING_KEY)
    return onnx.GraphProto.FromString(base64.b64decode(stored))


@pytest.mark.parametrize("make", NETWORKS)
def test_unit_spikes_reach_as_many_synapses(make: Callable[[], onnx.ModelProto]) -> None:
    model = onnx2snn.convert(make()).model
    graph, table = fragment_of(model), read_layer_table(model)
    declared = {info.name: sizes_of(info) for info in model.graph.value_info}
    sizes = {f"{y['output']}/count": (1, *declared[y["output"]][1:]) for y in table["layers"]}
    found = fan_outs(graph, Draft(split_model(model)).value, sizes, 17)
    assert found.keys() == sizes.keys()
    inputs = [helper.make_tensor_value_info(name, 1, ["N", *shape[1:]]) for name, shape in sizes.items()]
    held = helper.make_graph(graph.node, "counting", inputs, graph.output, model.graph.initializer)
    opsets = [helper.make_opsetid("", 17)]
    runner = session_of(helper.make_model(held, opset_imports=opsets, ir_version=9))
    for layer in table["layers"]:
        name = f"{layer['output']}/count"
        neurons = int(np.prod(sizes[name]))
        feeds: dict[str, Any] = {other: np.zeros((neurons, *s[1:]), np.float32) for other, s in sizes.items()}
        feeds[name] = np.eye(neurons, dtype=np.float32).reshape(-1, *sizes[name][1:])
        (reached,) = runner.run([f"synops/{layer['name']}"], feeds)
        np.testing.assert_array_equal(np.broadcast_to(found[name], sizes[name]).reshape(-1), reached)
    assert any(f.size > 1 for f in found.values())


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("execution", ["spiking", "fused", "int8", "streaming"])
def test_executions_count_what_the_counting_graph_counts(
    make: Callable[[], onnx.ModelProto], execution: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    inputs = {"x": np.random.default_rng(0).normal(0, 3, (4, *shape)).astype(np.float32)}
    content = onnx2snn.convert(model).model.SerializeToString()
    found = SpikingSession(content, execution=execution).run(inputs)
    monkeypatch.setattr(counts, "fan_outs", lambda *_: {})
    expected = SpikingSession(content, execution="spiking").run(inputs)
    for layer, synops in expected.synops.items():
        assert synops.any()
        np.testing.assert_array_equal(found.synops[layer], synops)
        np.testing.assert_array_equal(found.spikes[layer], expected.spikes[layer])


def test_channels_that_lack_a_weight_are_counted_apart() -> None:
    fan_out = np.full((1, 8, 3, 3), 9.0)
    fan_out[:, :, 0] = 6
    fan_out[0, 5] -= 1
    common, others = apart_from_most(fan_out)
    assert others.tolist() == [5]
    assert common.shape == (1, 1, 3, 1)
    whole = np.broadcast_to(common, fan_out.shape).copy()
    whole[:, others] += fan_out[:, others] - common
    np.testing.assert_array_equal(whole, fan_out)
    different = np.arange(72.0).reshape(1, 8, 3, 3)
    same, none = apart_from_most(different)
    assert same is different
    assert not none.size


def test_what_is_read_at_two_places_is_reached_from_both() -> None:
    nodes = [
        helper.make_node("Concat", ["c", "c"], ["two"], axis=1),
        helper.make_node("Constant", [], ["axes"], value=onnx.numpy_helper.from_array(np.array([1, 2]))),
        helper.make_node("ReduceSum", ["two", "axes"], ["synops/y"], keepdims=0),
    ]
    end = helper.make_tensor_value_info("synops/y", 1, ["N"])
    found = fan_outs(helper.make_graph(nodes, "counting", [], [end]), lambda _: None, {"c": (1, 2, 3)}, 17)
    assert np.broadcast_to(found["c"], (1, 2, 3)).tolist() == [[[2.0] * 3] * 2]
