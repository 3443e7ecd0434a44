"""Archives that grow by rows: complete, or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx2snn.data import ResultWriter
from onnx2snn.errors import OutputError


def write(path: Path, *parts: np.ndarray) -> None:
    with ResultWriter(path) as writer:
        for part in parts:
            writer.append({"out": part})


def test_rows_become_one_archive(tmp_path: Path) -> None:
    path = tmp_path / "result.npz"
    rows = np.arange(60, dtype=np.float32).reshape(10, 2, 3)
    with ResultWriter(path) as writer:
        for start in range(0, 10, 4):
            writer.append(
                {"out": rows[start : start + 4], "spikes//a/b": np.arange(len(rows[start : start + 4]))}
            )
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["out"], rows)
        assert archive["spikes//a/b"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "result.npz"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="changed"):
        write(path, np.ones((2, 3)), np.ones((2, 4)))
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["result.npz"]


@pytest.mark.parametrize("name", ["missing/result.npz", "."])
def test_a_path_that_cannot_be_written_is_refused_first(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        write(tmp_path / name, np.ones(3))
    assert not list(tmp_path.iterdir())


def test_an_array_may_grow_along_another_axis(tmp_path: Path) -> None:
    """Scores of a sequence have the time first."""
    scores = np.arange(2 * 7 * 3, dtype=np.float32).reshape(2, 7, 3)
    with ResultWriter(tmp_path / "result.npz", {"scores": 1}) as writer:
        for start in range(0, 7, 3):
            writer.append({"scores": scores[:, start : start + 3]})
    with np.load(tmp_path / "result.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["scores"], scores)
