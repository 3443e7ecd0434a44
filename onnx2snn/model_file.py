"""Reading and writing model files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx

from onnx2snn.errors import InvalidModelError, OutputError


def load_model(model: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        return model
    path = Path(model)
    try:
        loaded = onnx.load(path)
        onnx.checker.check_model(loaded)
    except FileNotFoundError as error:
        raise InvalidModelError(f"{path} does not exist", remedy="give the path of an ONNX file") from error
    except Exception as error:
        raise InvalidModelError(f"{path} is no valid ONNX file", found=str(error).strip().splitlines()[0]) from error
    return loaded


def save_model(model: onnx.ModelProto, path: str | Path) -> None:
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(model.SerializeToString())
        os.replace(name, target)
    except OSError as error:
        raise OutputError(f"{target} cannot be written", found=str(error)) from error
