"""Arrays under other names than the model's, and the names under which classes lie."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from onnx2snn.data import InputSpec, open_data
from onnx2snn.data.matching import LABELS
from onnx2snn.errors import InputError

X = np.arange(7 * 6, dtype=np.float32).reshape(7, 1, 2, 3)
Y = np.arange(7) % 3


def spec(name: str, *shape: int) -> InputSpec:
    return InputSpec(name, np.dtype(np.float32), shape or (1, 2, 3))


def saved(folder: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("label", [*LABELS, None])
@pytest.mark.parametrize("name", ["image", "x", "arr_0", "data"])
def test_the_only_input_is_taken_under_any_name(
    tmp_path: Path, name: str, label: str | None, on_disk: bool
) -> None:
    arrays = {name: X} | ({label: Y} if label else {})
    data = open_data(saved(tmp_path, arrays) if on_disk else arrays, [spec("image")])
    (batch,) = data.batches(7)
    np.testing.assert_array_equal(batch.inputs["image"], X)
    assert (batch.labels is None) == (label is None)
    assert label is None or batch.labels.tolist() == Y.tolist()


def test_of_several_arrays_the_one_that_fits_is_taken(tmp_path: Path) -> None:
    arrays = {"arr_0": X, "arr_1": Y, "names": np.array(["a", "b"]), "mean": np.float32(3)}
    data = open_data(saved(tmp_path, arrays), [spec("image")])
    np.testing.assert_array_equal(next(data.batches(7)).inputs["image"], X)
    assert data.labels is None


@pytest.mark.parametrize("name", LABELS)
def test_an_input_that_is_called_like_labels_wins(tmp_path: Path, name: str) -> None:
    other = next(label for label in LABELS if label != name)
    for arrays, labelled in (({name: X}, False), ({name: X, other: Y}, True)):
        data = open_data(saved(tmp_path, arrays), [spec(name)])
        np.testing.assert_array_equal(next(data.batches(7)).inputs[name], X)
        assert data.has_labels is labelled


def test_an_input_called_y_beside_its_labels_called_y() -> None:
    data = open_data({"x": X, "y": Y}, [spec("y")])
    np.testing.assert_array_equal(next(data.batches(7)).inputs["y"], X)
    np.testing.assert_array_equal(data.labels, Y)


def test_a_lone_array_that_is_called_like_labels_is_the_input_where_it_fits() -> None:
    np.testing.assert_array_equal(next(open_data({"y": X}, [spec("image")]).batches(7)).inputs["image"], X)


def test_values_to_be_predicted_are_no_classes() -> None:
    """``y`` and ``targets`` of a regression are left alone; ``labels`` and ``label`` have to be classes."""
    assert open_data({"x": X, "y": X[:, 0, 0]}, [spec("image")]).labels is None
    assert open_data({"x": X, "targets": np.linspace(0, 1, 7)}, [spec("image")]).labels is None
    with pytest.raises(InputError, match="not class numbers"):
        _ = open_data({"x": X, "label": np.linspace(0, 1, 7)}, [spec("image")]).labels


def test_classes_may_be_floats_that_are_whole() -> None:
    labels = open_data({"x": X, "labels": Y.astype(np.float64)}, [spec("image")]).labels
    np.testing.assert_array_equal(labels, Y)


def test_several_inputs_are_told_apart_by_their_names() -> None:
    with pytest.raises(InputError, match="rename 'lefft' to 'left'"):
        open_data({"lefft": X, "right": X}, [spec("left"), spec("right")])


def test_what_is_taken_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "onnx2snn"):
        open_data({"pictures": X}, [spec("image")])
    assert "'pictures' is taken for the model's input 'image'" in caplog.text


def test_a_bare_array_and_a_file_without_a_type(tmp_path: Path) -> None:
    np.testing.assert_array_equal(next(open_data(X, [spec("image")]).batches(7)).inputs["image"], X)
    saved(tmp_path, {"x": X}).rename(tmp_path / "data")
    assert len(open_data(tmp_path / "data", [spec("image")])) == 7


def test_labels_of_text_are_said_to_be_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 4), np.float32), labels=np.array(["cat", "dog"]))
    data = open_data(tmp_path / "data.npz", [InputSpec("x", np.dtype(np.float32), (4,))])
    assert not data.has_labels
    assert "'labels'" in caplog.text
    assert "number the classes from 0" in caplog.text
