"""Run: answers in order, whoever computes them, and however often they are interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Example

import onnx2snn
from onnx2snn.errors import InputError
from onnx2snn.evaluation.answers import run_all
from onnx2snn.runtime import SpikingSession


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as data:
        return dict(data)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(example: Example, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("whole") / "result.npz"
    run_all(example.snn, example.data, output=path, batch=20)
    return read(path)


def test_answers_are_the_sessions(example: Example, whole: dict[str, np.ndarray]) -> None:
    with np.load(example.data) as data:
        result = SpikingSession(example.snn).run({"image": data["image"]})
    assert same(whole, dict(result.outputs) | {f"spikes/{k}": v for k, v in result.spikes.items()})


def test_processes_keep_the_order(example: Example, whole: dict[str, np.ndarray], tmp_path: Path) -> None:
    evaluation = run_all(example.snn, example.data, output=tmp_path / "r.npz", batch=20, workers=2)
    assert same(read(tmp_path / "r.npz"), whole)
    assert evaluation == run_all(example.snn, example.data, batch=20)


def test_an_interrupted_run_continues(example: Example, whole: dict[str, np.ndarray], tmp_path: Path) -> None:
    state, output, done = tmp_path / "state.json", tmp_path / "r.npz", []

    def interrupt(samples: int) -> None:
        done.append(samples)
        if len(done) == 4:  # the first says what was done before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(example.snn, example.data, output=output, batch=20, resume=state, progress=interrupt)
    assert not output.exists()
    again: list[int] = []
    run_all(example.snn, example.data, output=output, batch=20, resume=state, progress=again.append)
    assert again == [60, 20, 10]
    assert same(read(output), whole)
    assert [file.name for file in tmp_path.iterdir()] == ["r.npz"]


def test_answers_that_were_deleted_are_missed(example: Example, tmp_path: Path) -> None:
    state = tmp_path / "state.json"

    def interrupt(samples: int) -> None:
        if samples:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(
            example.snn, example.data, output=tmp_path / "r.npz", batch=20, resume=state, progress=interrupt
        )
    for part in (tmp_path / "state.json.parts").iterdir():
        part.unlink()
    with pytest.raises(InputError, match="missing"):
        run_all(example.snn, example.data, output=tmp_path / "r.npz", batch=20, resume=state)


def test_scores_of_a_sequence_grow_along_the_axis_of_samples(tmp_path: Path) -> None:
    """Readers of text answer (time, N, letters)."""
    source = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        agraph (float[N, 4, 3] x) => (float[4, N, 3] y)
        <float s = {0.25}, uint8 z = {128}, float[3, 3] w = {1, -1, 0.5, 2, 1, -1, 0.5, 0.25, 1}>
        {
            a = MatMul(x, w)
            b = QuantizeLinear(a, s, z)
            c = DequantizeLinear(b, s, z)
            d = Transpose<perm = [1, 0, 2]>(c)
            y = MatMul(d, w)
        }""")
    converted = onnx2snn.convert(source)
    x = np.random.default_rng(0).normal(0, 3, (10, 4, 3)).astype(np.float32)
    expected = SpikingSession(converted.model.SerializeToString()).run({"x": x}).outputs["y"]
    assert expected.shape == (4, 10, 3)
    for execution in ("spiking", "streaming"):
        ways: dict[str, Any] = {"execution": execution, "batch": 4}
        run_all(converted.model, {"x": x}, output=tmp_path / "result.npz", **ways)
        with np.load(tmp_path / "result.npz") as found:
            np.testing.assert_array_equal(found["y"], expected)
    assert onnx2snn.compile(converted, execution="step").tried == "equal"
