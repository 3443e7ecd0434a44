"""What a file is that is not what was asked for, and the way from it to what was: a line for each kind."""

from __future__ import annotations

import difflib
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = 512
_TORCH = "load it into its module, then torch.onnx.export(module.eval(), (example,), 'model.onnx')"
_GRAPH = "python -m tf2onnx.convert --graphdef MODEL.pb --inputs X:0 --outputs Y:0 --output model.onnx"
_TENSORFLOW = "pip install 'onnx2snn[tensorflow]': it is read through tf2onnx then"
_EXPORTED = "in the program that made it: model.export('FOLDER') writes layers of one's own, too; then give that folder"
_OWN_FRAMEWORK = "export the network to ONNX in the framework that it was trained in"
_ARRAYS = "read it with its own library, and save arrays: numpy.savez('data.npz', input_name=x, labels=y)"


@dataclass(frozen=True)
class Tool:
    """What writes networks of other frameworks as ONNX.

    Attributes:
        name: Its name.
        needs: Modules that have to be installed.
        command: Behind ``python -m``; the path, ``--output`` and the model's path follow.
        remedy: What to do where it fails.
    """

    name: str
    needs: tuple[str, ...]
    command: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: What it is, with its article.
        to_model: How an ONNX model is made of it.
        to_data: How data is made of it.
        tool: What makes one of it, where that is installed; None where nothing does without more to go by.
    """

    name: str
    to_model: str = _OWN_FRAMEWORK
    to_data: str = _ARRAYS
    tool: Tool | None = None


def _tf2onnx(option: str, remedy: str = "export it to ONNX in TensorFlow, see tf2onnx's own message") -> Tool:
    command = ("onnx2snn.model.tensorflow_graph", "--opset", "17", option)
    return Tool("tf2onnx", ("tf2onnx", "tensorflow"), command, remedy)


_TORCH_EXPORT = Tool(
    "torch",
    ("torch", "onnxscript"),
    ("onnx2snn.model.torch_program",),
    f"in the program that made it: {_TORCH}",
)


MODEL = FileKind("an ONNX model", to_data="the model comes first, data goes behind --data")
ARRAYS = FileKind("a file of NumPy arrays", "the model comes first, data goes behind --data", "")
_PYTORCH = FileKind("a file of PyTorch", _TORCH)
_PROGRAM = FileKind(
    "a program of torch.export",
    "pip install 'onnx2snn[train]': it is read through torch then",
    tool=_TORCH_EXPORT,
)
_KERAS_FILE = FileKind("a Keras model", _TENSORFLOW, tool=_tf2onnx("--keras", _EXPORTED))
_TFLITE_FILE = FileKind("a TensorFlow Lite model", _TENSORFLOW, tool=_tf2onnx("--tflite"))
_SAVED_MODEL = FileKind("a SavedModel of TensorFlow", _TENSORFLOW, tool=_tf2onnx("--saved-model"))
_WEIGHTS = FileKind(
    "the weights of a network without its operators", "give the .onnx file that stands beside it"
)
_POINTER = FileKind("a pointer of git-lfs, not the file itself", "git lfs pull", "git lfs pull")
_PAGE = FileKind(
    "a web page", "download the file itself: behind 'raw' or 'download'", "download the file itself"
)
_PACKED = FileKind(
    "an archive", "unpack it, and give the .onnx file that is in it", "unpack it, and give what is in it"
)
_NIR = FileKind("a graph of NIR, spiking already", "give the quantised ONNX network that it was made from")
_TABLE = FileKind("a table")
_PICTURE = FileKind(
    "a picture", to_data="put pictures into folders by class, and give the folder: data/<class>/<picture>"
)

#: What a file begins with.
_CONTENT: tuple[tuple[re.Pattern[bytes], FileKind], ...] = (
    (re.compile(rb"version https://git-lfs"), _POINTER),
    (re.compile(rb"\x93NUMPY"), ARRAYS),
    (re.compile(rb"....TFL3", re.DOTALL), _TFLITE_FILE),
    (
        re.compile(rb"....ORTM", re.DOTALL),
        FileKind("a model in onnxruntime's own format", "give the .onnx file that it was made from"),
    ),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!"), _PACKED),
    (re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE), _PAGE),
    (
        re.compile(rb".{8}\{\"", re.DOTALL),
        FileKind("a file of safetensors: weights without a network", _TORCH),
    ),
    (re.compile(rb"\x80[\x02-\x05]"), FileKind("a pickled Python object, which is never loaded", _TORCH)),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\0\0\0\0|RIFF....WEBP", re.DOTALL), _PICTURE),
)
#: What its name ends with, where the content does not say more.
_SUFFIXES: dict[str, FileKind] = {
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".bin"), _PYTORCH),
    ".pt2": _PROGRAM,
    **dict.fromkeys((".keras", ".h5", ".hdf5"), _KERAS_FILE),
    **dict.fromkeys((".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".arff"), _TABLE),
    **dict.fromkeys((".json", ".yaml", ".yml", ".toml", ".md", ".py"), FileKind("a text")),
    ".tflite": _TFLITE_FILE,
    ".nir": _NIR,
    ".pb": FileKind("a TensorFlow graph", _GRAPH),
    ".safetensors": FileKind("a file of safetensors: weights without a network", _TORCH),
    ".pkl": FileKind("a pickled Python object, which is never loaded", _TORCH),
    ".pickle": FileKind("a pickled Python object, which is never loaded", _TORCH),
    ".data": _WEIGHTS,
    ".weights": _WEIGHTS,
    ".mat": FileKind("a file of MATLAB"),
    ".mlmodel": FileKind("a Core ML model"),
    ".xml": FileKind("a text, perhaps OpenVINO's form of a network"),
    ".engine": FileKind("a TensorRT engine", "give the .onnx file that it was made from"),
    ".trt": FileKind("a TensorRT engine", "give the .onnx file that it was made from"),
    ".onnx": MODEL,
}


def kind_of(path: Path) -> FileKind | None:
    """What the file or folder at ``path`` is: by what it begins with, else by its name; None where neither is known."""
    if path.is_dir():
        return _SAVED_MODEL if (path / "saved_model.pb").is_file() else None
    head = _head(path)
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(path)
    by_content = (kind for pattern, kind in _CONTENT if pattern.match(head))
    return next(by_content, None) or _SUFFIXES.get(path.suffix.lower())


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_HEAD)
    except OSError:
        return b""


def _kind_of_archive(path: Path) -> FileKind:
    """A zip is a form of several kinds: their members tell."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        names = []
    if any(name.endswith(".npy") for name in names):
        return ARRAYS
    if path.suffix.lower() == ".pt2" and any(name.endswith((".json", "archive_format")) for name in names):
        return _PROGRAM
    if any(name.endswith("data.pkl") for name in names):
        return _PYTORCH
    if "model.weights.h5" in names:
        return _KERAS_FILE
    by_name = _SUFFIXES.get(path.suffix.lower())
    return by_name if by_name in (_PYTORCH, _KERAS_FILE) else _PACKED


def folder_remedy(folder: Path) -> str | None:
    """How to get a model from a folder that was given in its place; None where it holds nothing known."""
    names = sorted(entry.name for entry in _entries(folder))
    models = [name for name in names if name.endswith(".onnx")]
    if len(models) == 1:
        return f"give the file: {folder / models[0]}"
    return f"give one of its files: {', '.join(models)}" if models else None


def missing_remedy(path: Path) -> str | None:
    """What may have been meant by a path at which nothing is: an address, or a file of nearly that name."""
    if is_address(path):
        return "this is an address, not a path: download the file, and give its path"
    if not path.parent.is_dir():
        return f"there is no folder '{path.parent}': check the path"
    names = [entry.name for entry in _entries(path.parent) if not entry.name.startswith(".")]
    likely = [f"{path.name}.onnx", *difflib.get_close_matches(path.name, names, 1)]
    near = next((name for name in likely if name in names), None)
    return None if near is None else f"did you mean '{path.with_name(near)}'?"


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether this is the address of something elsewhere, given in place of a path (which may have lost a slash)."""
    return re.match(r"(https?|ftp|s3|gs|hf):/", os.fspath(path)) is not None
