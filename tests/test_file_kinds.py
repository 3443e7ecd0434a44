"""Files of other kinds, given where a model or data is expected: named, each with the way on."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import Example

from onnx2snn.cli import main


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def packed(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)
ONNX_IN_ZIP = {"model.onnx": b"x"}
KINDS = {
    "m.pt": (packed(**{"m/data.pkl": b"x"}), "a file of PyTorch", "torch.onnx.export"),
    "m.pth": (pickle.dumps({1: 2}, 2), "a pickled Python object", "torch.onnx.export"),
    "m.pkl": (pickle.dumps({1: 2}), "a pickled Python object", "torch.onnx.export"),
    "m.safetensors": (safetensors(), "weights without a network", "torch.onnx.export"),
    "m.keras": (
        packed(**{"config.json": b"{}", "model.weights.h5": HDF5}),
        "a Keras model",
        "onnx2snn[tensorflow]",
    ),
    "m.h5": (HDF5, "a Keras model", "onnx2snn[tensorflow]"),
    "m.nir": (HDF5, "a graph of NIR", "quantised ONNX network"),
    "m.tflite": (b"\x1c\0\0\0TFL3" + bytes(100), "a TensorFlow Lite model", "onnx2snn[tensorflow]"),
    "m.pt2": (packed(**{"m/archive_format": b"pt2"}), "a program of torch.export", "onnx2snn[train]"),
    "m.pb": (b"\n\x10\n\x01x\x12\x0bPlaceholder", "a TensorFlow graph", "--graphdef"),
    "m.onnx.data": (np.arange(9.0).tobytes(), "weights of a network", "the .onnx file"),
    "m.ort": (b"\x1c\0\0\0ORTM" + bytes(100), "onnxruntime's own format", "the .onnx file"),
    "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs", "git lfs pull"),
    "page.onnx": (b"<!DOCTYPE html><html></html>", "a web page", "download"),
    "m.onnx.gz": (gzip.compress(b"x"), "an archive", "unpack"),
    "m.zip": (packed(**ONNX_IN_ZIP), "an archive", "unpack"),
    "x.npz": (packed(**{"x.npy": b"x"}), "a file of NumPy arrays", "--data"),
    "x.npy": (b"\x93NUMPY\x01\x00", "a file of NumPy arrays", "--data"),
    "t.csv": (b"1,2\n", "a table", "export"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_in_place_of_a_model_is_named(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda _: None
    )  # tools that could read it are not installed
    content, kind, remedy = KINDS[name]
    (tmp_path / name).write_bytes(content)
    ended = run("convert", tmp_path / name, tmp_path / "out.onnx")
    assert ended.exit_code == 4
    assert kind in ended.stderr
    assert remedy in ended.stderr.partition("remedy:")[2]
    assert len(ended.stderr.splitlines()) == 2


@pytest.mark.parametrize("name", [name for name in KINDS if not name.startswith("x.")])
def test_a_file_in_place_of_data_is_named(example: Example, tmp_path: Path, name: str) -> None:
    content, kind, _ = KINDS[name]
    (tmp_path / name).write_bytes(content)
    ended = run("run", example.snn, "--data", tmp_path / name)
    assert ended.exit_code == 4
    assert kind in ended.stderr
    assert "remedy:" in ended.stderr


def test_a_folder_in_place_of_a_model(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "is a folder, not a model" in run("inspect", tmp_path).stderr
    (tmp_path / "model.onnx").write_bytes(example.ann.read_bytes())
    assert f"give the file: {tmp_path / 'model.onnx'}" in run("inspect", tmp_path).stderr
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    assert "a SavedModel of TensorFlow" in run("inspect", tmp_path).stderr


def test_a_path_with_nothing_at_its_end(example: Example, tmp_path: Path) -> None:
    assert "did you mean" in run("inspect", example.ann.with_name("ann.onx")).stderr
    assert "did you mean" in run("inspect", example.ann.with_suffix("")).stderr
    assert "there is no folder" in run("inspect", tmp_path / "no" / "ann.onnx").stderr
    address = "https://example.org/ann.onnx"
    assert f"'{address}' does not exist" in run("inspect", address).stderr
    for words in (["inspect", address], ["run", example.snn, "--data", "https://example.org/x.npz"]):
        ended = run(*words)
        assert ended.exit_code == 4
        assert "an address, not a path" in ended.stderr


def test_networks_that_are_swapped_or_not_one_of_each(example: Example, tmp_path: Path) -> None:
    ann, snn, data = example.ann, example.snn, ["--data", example.data]
    for command in (["verify"], ["report", *data, "--html", tmp_path / "page.html"]):
        assert f"they are swapped\n  remedy:  the network that was converted comes first: {ann} {snn}" in (
            run(*command, snn, ann).stderr
        )
        assert "convert it first" in run(*command, ann, ann).stderr
        assert "is a spiking network already" in run(*command, snn, snn).stderr
    for command in ("run", "evaluate"):  # what a spiking network is compared with
        ended = run(command, ann, *data)
        assert (ended.exit_code, ended.stderr) == (0, "")
        assert "ANN, 32-bit float" in ended.stdout
        assert "SNN" not in ended.stdout
    assert "already a spiking network" in run("convert", snn, tmp_path / "o.onnx").stderr
    assert "already a spiking network" in (
        run("calibrate", snn, tmp_path / "o.onnx", *data, "--timesteps", "4").stderr
    )


@pytest.mark.parametrize("shift", [1, -1])
def test_labels_that_are_no_classes_of_the_network(example: Example, tmp_path: Path, shift: int) -> None:
    with np.load(example.data) as held:
        np.savez(tmp_path / "data.npz", image=held["image"], labels=held["labels"] + shift)
    data = ["--data", tmp_path / "data.npz"]
    for words in (
        ["run", example.snn],
        ["evaluate", example.snn, "--workers", "2"],
        ["verify", example.ann, example.snn],
    ):
        ended = run(*words, *data)
        assert ended.exit_code == 4
        assert "scores for 5 classes, 0 to 4" in ended.stderr
