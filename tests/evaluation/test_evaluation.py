"""Evaluation: streamed, shared, interrupted, resumed, and always the same bits."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import Example

import onnx2snn
from onnx2snn.data.dataset import Batch
from onnx2snn.errors import InputError
from onnx2snn.evaluation.batch_job import BatchJob, Finished, answer, predicted_classes
from onnx2snn.runtime import SpikingSession


def test_the_numbers_are_those_of_one_big_batch(example: Example) -> None:
    evaluation = onnx2snn.evaluate(example.snn, example.data, batch=32)
    with np.load(example.data) as data:
        result = SpikingSession(example.snn).run({"image": data["image"]})
        correct = np.mean(result.outputs["logits"].argmax(1) == data["labels"])
    assert evaluation.samples == example.samples
    assert evaluation.accuracy == pytest.approx(correct)
    for name, spikes in result.spikes.items():
        assert evaluation[f"spikes/{name}"].total == spikes.sum()
        assert evaluation[f"spikes/{name}"].high == spikes.max()
    assert evaluation["spikes"].std == pytest.approx(np.std(sum(result.spikes.values())))


def test_processes_give_the_same_bits(example: Example) -> None:
    alone = onnx2snn.evaluate(example.snn, example.data, batch=20)
    together = onnx2snn.evaluate(example.snn, example.data, batch=20, workers=2)
    assert together == alone


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_whose_worker_is_killed_gives_the_same_bits(
    example: Example, ray_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker that gets to sample 40 is killed in the middle of its work."""
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import the tests
    alone = onnx2snn.evaluate(example.snn, example.data, batch=20)
    mark = tmp_path / "killed"

    def fatal(job: BatchJob, batch: Batch) -> Finished:
        if batch.start == 40 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(job, batch)

    monkeypatch.setattr(importlib.import_module("onnx2snn.evaluation.evaluation"), "answer", fatal)
    assert onnx2snn.evaluate(example.snn, example.data, batch=20, ray=ray_cluster) == alone
    assert mark.exists()


def test_an_interrupted_evaluation_continues(example: Example, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    done: list[int] = []

    def interrupt(samples: int) -> None:
        done.append(samples)
        if len(done) == 4:  # the first says what was done before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        onnx2snn.evaluate(example.snn, example.data, batch=20, resume=state, progress=interrupt)
    again: list[int] = []
    resumed = onnx2snn.evaluate(example.snn, example.data, batch=20, resume=state, progress=again.append)
    assert again == [60, 20, 10]
    assert resumed == onnx2snn.evaluate(example.snn, example.data, batch=20)
    finished: list[int] = []
    onnx2snn.evaluate(example.snn, example.data, batch=20, resume=state, progress=finished.append)
    assert finished == [90]


def test_a_state_belongs_to_its_data(example: Example, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    onnx2snn.evaluate(example.snn, example.data, batch=20, resume=state)
    with pytest.raises(InputError, match="another batch size"):
        onnx2snn.evaluate(example.snn, example.data, batch=30, resume=state)
    with pytest.raises(InputError, match="another data"):
        onnx2snn.evaluate(example.snn, {"image": np.zeros((9, 1, 8, 8), np.float32)}, batch=20, resume=state)


def test_without_labels_there_is_no_accuracy(example: Example) -> None:
    evaluation = onnx2snn.evaluate(example.snn, {"image": np.zeros((4, 1, 8, 8), np.float32)})
    assert evaluation.accuracy is None
    assert evaluation.to_dict()["samples"] == 4


@pytest.mark.parametrize(
    ("output", "classes"),
    [
        (np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 0]),
        (np.array([[[[1.0]], [[2.0]]]]), [1]),
        (np.array([3, 1]), [3, 1]),
        (np.array([[3], [1]]), [3, 1]),
        (np.array([[0.5], [0.1]]), None),
        (np.zeros((2, 3, 4)), None),
    ],
)
def test_the_answered_class(output: np.ndarray, classes: list[int] | None) -> None:
    predicted = predicted_classes(output)
    assert (None if predicted is None else predicted.tolist()) == classes
