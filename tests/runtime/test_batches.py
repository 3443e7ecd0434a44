"""Answers to parts of a batch are put together along the axis that counts samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers_graphs import make_model, node, samples
from helpers_refused import CONSTANTS, quantised

import onnx2snn
from onnx2snn.dialect.layer_table import read_layer_table
from onnx2snn.evaluation.answers import run_all
from onnx2snn.model.reference import make_runner
from onnx2snn.runtime import SpikingSession
from onnx2snn.runtime.batches import by_sample, joined, turned
from onnx2snn.runtime.layer_records import read_table

#: By name: the answer to all samples 0 to 4, of which each part answers two.
SAMPLES = np.arange(5)
ANSWERS = {
    "rows": lambda n: np.stack([n, -n], axis=1),
    "rows of several": lambda n: np.repeat(n, 3),
    "scores that were turned": lambda n: np.stack([n, -n, n * n]),
    "places in front": lambda n: np.repeat(n, 2)[None].repeat(7, axis=0),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_put_together(name: str) -> None:
    answer = ANSWERS[name]
    parts = [{"y": answer(SAMPLES[[0, 1]])}, {"y": answer(SAMPLES[[2, 3]])}, {"y": answer(SAMPLES[[4, 4]])}]
    whole = joined(parts, [2, 2, 2], 5, {"y"})
    assert whole is not None
    np.testing.assert_array_equal(whole["y"], answer(SAMPLES))


def test_a_mean_over_samples_is_not() -> None:
    parts = [{"y": np.zeros(5)}, {"y": np.zeros(5)}]
    assert joined(parts, [2, 2], 4, {"y"}) is None
    assert joined([{"y": np.float32(1)}, {"y": np.float32(1)}], [2, 2], 4, {"y"}) is None


def test_what_no_sample_decides_is_there_once() -> None:
    whole = joined([{"y": np.arange(2)}, {"y": np.arange(2)}], [2, 2], 4, set())
    assert whole is not None
    np.testing.assert_array_equal(whole["y"], np.arange(2))


def test_counts_are_those_of_samples() -> None:
    np.testing.assert_array_equal(by_sample(np.array([1, 2, 3]), 3), [1, 2, 3])
    np.testing.assert_array_equal(by_sample(np.array([1, 2, 3, 4]), 2), [3, 7])


def test_what_no_one_sample_counts_is_shared() -> None:
    np.testing.assert_array_equal(by_sample(np.array([5, 7]), 3), [4, 4, 4])


def test_an_axis_that_is_declared_is_taken_where_shapes_leave_several() -> None:
    """Two samples a part, of eight rows each, or of eight answers beside each other?"""
    axes: dict[str, tuple[int | str, ...]] = {"x": ("N", 3), "y": (8, "N")}
    known = turned(axes, ["x"], ["y"])
    assert known == {"y": 1}
    whole = np.arange(8 * 5).reshape(8, 5)
    parts = [{"y": whole[:, [0, 1]]}, {"y": whole[:, [2, 3]]}, {"y": whole[:, [4, 4]]}]
    found = joined(parts, [2, 2, 2], 5, {"y"}, known)
    assert found is not None
    np.testing.assert_array_equal(found["y"], whole)
    assert joined(parts, [2, 2, 2], 5, {"y"})["y"].shape == (20, 2)  # type: ignore[index]


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("execution", ["spiking", "fused", "streaming"])
@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_what_all_samples_make_is_made_of_all(keepdims: int, execution: str, chunk: int) -> None:
    """A mean over the batch, beside scores: three numbers, of one sample as of seven; or a single one."""
    nodes = [node("MatMul", ["x", "w0"], ["z"]), *quantised("z", "a"), node("MatMul", ["a", "w2"], ["y"])]
    nodes += [
        node("ReduceMean", ["y"], ["mean"], axes=[0], keepdims=keepdims),
        node("ReduceMax", ["y"], ["top"]),
    ]
    outputs: dict[str, list[int | str]] = {"y": ["N", 3], "mean": [1, 3] if keepdims else [3], "top": [1, 1]}
    model = make_model(nodes, CONSTANTS, {"x": ["N", 6]}, outputs)
    x = {"x": samples(7, 6)}
    conversion = onnx2snn.convert(model)
    found = SpikingSession(conversion, execution=execution, chunk=chunk).run(x).outputs
    for name, value in make_runner(model)(x).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)
    step = onnx2snn.compile(conversion, execution="step")
    assert step.tried == "equal"
    for name, value in SpikingSession(step).run(x).outputs.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


def sequence(batch: int) -> onnx.ModelProto:
    """Four steps of a sequence, in front of its samples in the scores."""
    nodes = [
        node("MatMul", ["x", "w0"], ["z"]),
        *quantised("z", "a"),
        node("MatMul", ["a", "w2"], ["scores"]),
    ]
    nodes.append(node("Transpose", ["scores"], ["y"], perm=[1, 0, 2]))
    return make_model(nodes, CONSTANTS, {"x": [batch, 4, 6]}, {"y": [4, batch, 3]})


@pytest.mark.parametrize("batch", [1, 2])
def test_samples_of_a_fixed_batch_lie_where_the_network_puts_them(batch: int, tmp_path: Path) -> None:
    model, x = sequence(batch), {"x": samples(7, 4, 6)}
    expected = make_runner(sequence("N"))(x)["y"]  # type: ignore[arg-type]
    conversion = onnx2snn.convert(model)
    for execution in ("spiking", "fused", "streaming"):
        found = SpikingSession(conversion, execution=execution).run(x).outputs["y"]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert onnx2snn.verify(model, conversion, x).lossless
    assert onnx2snn.verify(model, onnx2snn.compile(conversion, execution="fused").network.whole(), x).lossless
    for network in (model, conversion):
        run_all(network, x, output=tmp_path / "out.npz", batch=4)
        with np.load(tmp_path / "out.npz") as written:
            np.testing.assert_allclose(written["y"], expected, rtol=1e-6)


def test_a_damaged_axis_of_samples_is_named() -> None:
    table = read_layer_table(onnx2snn.convert(sequence(1)).model)
    assert table["sample_axes"] == {"y": 1}
    with pytest.raises(ValueError, match="unusable 'sample_axes'"):
        read_table(json.dumps(table | {"sample_axes": {"y": "first"}}), 2)


@pytest.mark.parametrize("execution", ["spiking", "fused", "streaming"])
@pytest.mark.parametrize("chunk", [1, 2, 64])
def test_rows_that_values_select_name_their_samples(execution: str, chunk: int) -> None:
    """The first column of what NonMaxSuppression answers is the number of a sample in its batch."""
    nodes = [node("MatMul", ["x", "w0"], ["z"]), *quantised("z", "a"), node("MatMul", ["a", "w1"], ["s"])]
    nodes += [
        node("Reshape", ["s", "corners"], ["boxes"]),
        node("Reshape", ["s", "classes"], ["scores"]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "", "least"], ["y"]),
    ]
    constants = {"corners": np.array([0, 2, 4]), "classes": np.array([0, 4, 2]), "most": np.array(1)}
    constants |= {"least": np.float32(-9), "w1": CONSTANTS["w1"], **CONSTANTS}
    types = {"y": onnx.TensorProto.INT64}
    model = make_model(nodes, constants, {"x": ["N", 6]}, {"y": ["M", 3]}, types=types)
    x = {"x": samples(6, 6)}
    expected = make_runner(model)(x)["y"]
    assert set(expected[:, 0]) == set(range(6))
    conversion = onnx2snn.convert(model)
    found = SpikingSession(conversion, execution=execution, chunk=chunk).run(x).outputs["y"]
    np.testing.assert_array_equal(found, expected)
    assert onnx2snn.compile(conversion, execution="step").tried in ("equal", "explained")
