"""Outputs that count samples behind another axis, of a network that fixes its batch: each sample is judged by its own."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_refused import CONSTANTS, quantised

import onnx2snn
from onnx2snn.runtime import SpikingSession

STEPS = 4


def scores(batch: int | str, *, integers: bool = False) -> onnx.ModelProto:
    """Four steps of a sequence stand in front of its samples; their best classes, too."""
    nodes = [
        node("MatMul", ["x", "w0"], ["z"]),
        *quantised("z", "a"),
        node("MatMul", ["a", "w2"], ["scores"]),
    ]
    outputs: dict[str, list[int | str]] = {"y": [STEPS, batch, 3]}
    nodes.append(node("Transpose", ["scores"], ["y"], perm=[1, 0, 2]))
    if integers:
        nodes.append(node("ArgMax", ["y"], ["k"], axis=2, keepdims=0))
        outputs["k"] = [STEPS, batch]
    types = {"k": onnx.TensorProto.INT64} if integers else {}
    return make_model(nodes, CONSTANTS, {"x": [batch, STEPS, 6]}, outputs, types=types)


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_a_session_has_them_where_the_network_puts_them(batch: int, *, integers: bool) -> None:
    source, x = scores(batch, integers=integers), samples(7, STEPS, 6)
    conversion = onnx2snn.convert(source)
    session = SpikingSession(conversion)
    run, levels = session.run(x).outputs, session.levels(x)
    assert run["y"].shape == (STEPS, 7, 3)
    assert levels["a/neuron"].shape == (7, STEPS, 8)
    for name, value in run.items():
        np.testing.assert_array_equal(levels[name], value)
    assert onnx2snn.verify(source, conversion, {"x": x}).lossless
    compiled = onnx2snn.compile(conversion, execution="fused").network.whole()
    assert onnx2snn.verify(source, compiled, {"x": x}).lossless


@pytest.mark.parametrize("batch", [1, 2, 3, 4, "N"])
def test_so_are_levels_that_are_an_output(batch: int | str) -> None:
    """Steps stand in front from the input on: the file holds its levels so."""
    nodes = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node("MatMul", ["turned", "w0"], ["z"]),
        *quantised("z", "a"),
        node("MatMul", ["a", "w1"], ["second"]),
        *quantised("second", "b"),
        node("MatMul", ["b", "w2"], ["y"]),
    ]
    outputs: dict[str, list[int | str]] = {"y": [STEPS, batch, 3], "b": [STEPS, batch, 8]}
    source, x = make_model(nodes, CONSTANTS, {"x": [batch, STEPS, 6]}, outputs), samples(7, STEPS, 6)
    conversion = onnx2snn.convert(source)
    assert onnx2snn.verify(source, conversion, {"x": x}).lossless
    found = SpikingSession(conversion).levels(x)
    assert found["b/neuron"].shape == (7, STEPS, 8)
    assert found["b"].shape == (STEPS, 7, 8)


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_a_defect_names_the_sample(batch: int) -> None:
    """All samples but one are silent."""
    source, x = scores(batch), np.zeros((7, STEPS, 6), np.float32)
    x[5] = 1 + np.arange(STEPS * 6).reshape(STEPS, 6) % 3
    wrong = onnx2snn.convert(source).network.whole()
    for tensor in wrong.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.shape == (8, 3):
            changed = onnx.numpy_helper.from_array((values * 1.01).astype(np.float32), tensor.name)
            tensor.CopyFrom(changed)
    certificate = onnx2snn.verify(source, wrong, {"x": x})
    assert not certificate.lossless
    assert {one.sample for one in certificate.defects} - {None} == {5}
    assert certificate.worst_samples[0] == 5


def test_an_approximation_has_as_many_errors_as_samples() -> None:
    source, x = scores(2), samples(6, STEPS, 6)
    rated = onnx2snn.convert(source, coding="rate", timesteps=8)
    compared = onnx2snn.verify(source, rated, {"x": x})
    assert compared.samples == 6
