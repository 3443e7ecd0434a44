"""Counting by fan-outs gives the numbers of the file's own counting graph, from fewer constants."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_corpus import QUANTISED, Example
from helpers_networks import Builder

import onnx2snn
from onnx2snn.compile import counts, fan_out
from onnx2snn.compile.draft import Draft
from onnx2snn.compile.fan_out import by_fan_out
from onnx2snn.dialect.layer_table import COUNTING_KEY, read_layer_table
from onnx2snn.model.weights import split_model
from onnx2snn.runtime import SpikingSession

EXECUTIONS = ("spiking", "fused", "streaming")


def written(model: onnx.ModelProto | Path) -> bytes:
    return onnx2snn.convert(model).model.SerializeToString()


def rewritten(content: bytes) -> onnx.GraphProto:
    model = onnx.ModelProto.FromString(content)
    stored = next(entry.value for entry in model.metadata_props if entry.key == COUNTING_KEY)
    fragment = onnx.GraphProto.FromString(base64.b64decode(stored))
    return by_fan_out(fragment, Draft(split_model(model)).value, read_layer_table(model)["timesteps"])


def counted(content: bytes, inputs: dict[str, np.ndarray], **options: str) -> dict[str, np.ndarray]:
    return dict(SpikingSession(content, **options).run(inputs).synops)  # type: ignore[arg-type]


def test_every_kind_of_synapse(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = 0
    for name in QUANTISED[::2]:
        example = Example(name)
        content = written(example.path)
        inputs = {key: value[:3] for key, value in example.inputs.items()}
        found = [counted(content, inputs, execution=execution) for execution in EXECUTIONS]
        found.append(counted(content, inputs, backend="numpy"))
        with monkeypatch.context() as patch:
            patch.setattr(counts, "fan_outs", lambda *_: {})
            patch.setattr(counts, "by_fan_out", lambda fragment, *_: fragment)
            expected = counted(content, inputs)
        for synops in found:
            assert synops.keys() == expected.keys()
            for layer, values in expected.items():
                np.testing.assert_array_equal(synops[layer], values, err_msg=f"{name} {layer}")
                checked += 1
    assert checked > 50


def convolutions() -> bytes:
    """Convolutions with a stride, in groups and by channel, pooled; a matrix; some weights are zero."""
    b = Builder()
    a = b.act(b.conv("x", (2, 8), 0, strides=[1, 1]))
    a = b.act(b.conv(a, (8, 12), 2, strides=[2, 1]))
    weights = np.random.default_rng(0).integers(-1, 2, (12, 3, 3, 3)).astype(np.float32)
    a = b.act(b.add("Conv", a, weights, group=4, pads=[1, 0, 2, 1]))
    a = b.add("AveragePool", a, kernel_shape=[2, 2], strides=[2, 2])
    a = b.act(b.conv(a, (12, 6), 4))
    a = b.act(b.dense(b.add("Flatten", b.add("GlobalAveragePool", a)), (6, 10), 6))
    y = b.dense(a, (10, 3), 8)
    return written(b.model({"x": ["N", 2, 9, 8]}, {"y": (y, ["N", 3])}))


def test_channels_are_summed_in_parts_where_one_sum_would_not_be_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = convolutions()
    inputs = {"x": np.random.default_rng(1).normal(0, 3, (5, 2, 9, 8)).astype(np.float32)}
    channels = []
    answers = []
    for exact in (2**24, 1000, 600, 10):
        monkeypatch.setattr(fan_out, "_EXACT", exact)
        graph = rewritten(content)
        kernels = [
            onnx.numpy_helper.to_array(n.attribute[0].t)
            for n in graph.node
            if n.op_type == "Constant" and n.output[0].endswith("/fan_out")
        ]
        channels.append([len(kernel) for kernel in kernels if kernel.ndim == 4])
        with monkeypatch.context() as patch:
            patch.setattr(counts, "fan_outs", lambda *_: {})
            answers.append(counted(content, inputs))
    assert channels[0] == [1, 4, 1]
    assert channels[1] == [4, 4]  # the third reads sums of pools, which may be four times as large
    assert channels[3] == []  # as the file has them
    for answer in answers[1:]:
        for layer, values in answers[0].items():
            np.testing.assert_array_equal(answer[layer], values)
    assert all(values.min() > 0 for values in answers[0].values())


def test_no_constant_is_as_large_as_the_weights() -> None:
    graph = rewritten(convolutions())
    read = [n for n in graph.node if n.op_type == "Cast" and n.attribute[0].i == onnx.TensorProto.BOOL]
    assert not read
    held = [onnx.numpy_helper.to_array(n.attribute[0].t) for n in graph.node if n.op_type == "Constant"]
    assert max(values.size for values in held) == 12 * 3 * 3


def test_counts_that_somebody_else_reads_stay_as_they_are() -> None:
    """Two layers of synapses with no neuron in between: what arrives at the first goes on."""
    b = Builder()
    a = b.act(b.conv("x", (2, 4), 0))
    y = b.conv(b.add("Conv", a, np.ones((6, 4, 1, 1), np.float32)), (6, 3), 2)
    content = written(b.model({"x": ["N", 2, 5, 5]}, {"y": (y, ["N", 3, 5, 5])}))
    ones = [
        n
        for n in rewritten(content).node
        if n.op_type == "Cast" and n.attribute[0].i == onnx.TensorProto.BOOL
    ]
    assert len(ones) >= 1
