"""Reading and writing model files: what is read is checked, what is written is whole or not there."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from onnx2snn.errors import InvalidModelError, OutputError
from onnx2snn.passes.weights_aside import large_initializers, structure

#: Protobuf holds no message of 2 GiB; what is near it keeps its weights in a file of their own.
LARGEST = 2**31 - 2**20

_LOG = logging.getLogger(__name__)
_REMEDY = "give the path of an ONNX file"


def load_model(model: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """Read and check a model; one that is in memory already is checked only.

    External weights are read from the model's own folder, and from nowhere else.

    Raises:
        InvalidModelError: it is missing, empty, damaged, no ONNX, or against the rules of ONNX.
    """
    if isinstance(model, onnx.ModelProto):
        _check(model, "the model")
        return model
    path = Path(model)
    name = f"'{path}'"
    loaded = _parsed(path, name)
    if not loaded.graph.node:
        raise InvalidModelError(f"{name} holds no network", remedy=_REMEDY)
    _load_external(loaded, path, name)
    _check(loaded, name)
    opsets = ", ".join(f"{opset.domain or 'ai.onnx'} {opset.version}" for opset in loaded.opset_import)
    _LOG.debug("read %s: %d nodes, %s", name, len(loaded.graph.node), opsets)
    return loaded


def _parsed(path: Path, name: str) -> onnx.ModelProto:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidModelError(f"{name} does not exist", remedy=_REMEDY) from error
    except OSError as error:
        raise InvalidModelError(f"{name} cannot be read", found=error.strerror, remedy=_REMEDY) from error
    if not content:
        raise InvalidModelError(f"{name} is empty", remedy="export the network again")
    loaded = onnx.ModelProto()
    try:
        loaded.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError, whatever its implementation
        raise InvalidModelError(
            f"{name} is no ONNX file, or a damaged one", remedy="export the network again"
        ) from error
    return loaded


def _load_external(model: onnx.ModelProto, path: Path, name: str) -> None:
    """Weights beside the model; a path that leads out of its folder, also by a link, is refused."""
    folder = path.parent.resolve()
    for tensor in model.graph.initializer:
        if not uses_external_data(tensor):
            continue
        place = (folder / _location(tensor, name)).resolve()
        if not place.is_relative_to(folder):
            raise InvalidModelError(f"{name} points to weights outside of its folder", found=str(place))
        if not place.is_file():
            remedy = "put the file of weights beside the model"
            raise InvalidModelError(f"{name} needs weights that are missing", found=place.name, remedy=remedy)
    try:
        onnx.load_external_data_for_model(model, str(folder))
    except Exception as error:  # the library raises what its parts raise
        raise InvalidModelError(f"the weights of {name} cannot be read", found=_first_line(error)) from error


def _location(tensor: onnx.TensorProto, name: str) -> str:
    try:
        return str(ExternalDataInfo(tensor).location)
    except ValueError as error:
        raise InvalidModelError(f"the weights of {name} cannot be read", found=_first_line(error)) from error


def _check(model: onnx.ModelProto, name: str) -> None:
    """The rules of ONNX, for the structure and for every large tensor of weights on its own.

    Files older than IR version 4 list every initializer as an input too; those that do not are read all the same.
    """
    try:
        light = structure(model)
        _check_text(light)
        onnx.checker.check_model(light)
        for tensor in large_initializers(model):
            onnx.checker.check_tensor(tensor)
    except Exception as error:  # as above
        raise InvalidModelError(
            f"{name} is against the rules of ONNX",
            found=_first_line(error),
            remedy="export the network again",
        ) from error


def _check_text(message: Any) -> None:
    """Names and attributes are UTF-8: protobuf hands out what is not as bytes, or fails at the first reader."""
    for field, value in message.ListFields():
        if field.name in ("raw_data", "string_data"):
            continue
        values = [value] if isinstance(value, (str, bytes)) or hasattr(value, "ListFields") else value
        if isinstance(values, (int, float)) or isinstance(next(iter(values), None), (int, float)):
            continue
        for item in values:
            if isinstance(item, bytes):
                item.decode()
            elif not isinstance(item, str):
                _check_text(item)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def save_model(model: onnx.ModelProto, path: str | Path) -> None:
    """Write ``model`` to ``path``: through a temporary file in the same folder, so an older file stays until the end.

    Above 2 GiB its weights go to ``<path>.data`` beside it.

    Raises:
        OutputError: the folder does not exist, or the file cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise OutputError(f"the folder '{target.parent}' does not exist", remedy="make it first")
    _remove_leftovers(target)
    temporary: Path | None = None
    try:
        if model.ByteSize() >= LARGEST:
            model = _with_weights_beside(model, target)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target))
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(model.SerializeToString())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"'{target}' cannot be written", found=error.strerror or str(error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    return f".{target.name}.writing-"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remove_leftovers(target: Path) -> None:
    """What a run that was killed while it wrote this file has left behind."""
    for leftover in target.parent.glob(f"{_prefix(target)}*"):
        leftover.unlink(missing_ok=True)


def _with_weights_beside(model: onnx.ModelProto, target: Path) -> onnx.ModelProto:
    data = target.with_name(f"{target.name}.data")
    data.unlink(missing_ok=True)
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    onnx.external_data_helper.convert_model_to_external_data(moved, location=data.name)
    onnx.external_data_helper.write_external_data_tensors(moved, str(target.parent))
    return moved
