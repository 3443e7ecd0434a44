"""Weights in files beside a model: found, checked, and left where they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from onnx2snn.errors import InvalidModelError
from onnx2snn.model.weights import element_type, is_large


def locate_external(model: onnx.ModelProto, path: Path, name: str) -> None:
    """Make every tensor in a file of its own known by its full path; read the small ones.

    A path that leads out of the model's folder, also by a link, is refused; the model's own file is not, wherever it is.

    Raises:
        InvalidModelError: such a file is missing, too short, or outside of the model's folder.
    """
    folder, own = path.parent.resolve(), path.resolve()
    initializers = list(model.graph.initializer)  # their identity lasts as long as this list
    large = {id(tensor) for tensor in initializers if is_large(tensor)}
    for tensor in tensors_of(model):
        if not uses_external_data(tensor):
            continue
        location, offset, length = _checked(tensor, folder, own, name)
        del tensor.external_data[:]
        if id(tensor) in large:
            for key, value in (("location", location), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
        else:
            with location.open("rb") as stream:
                stream.seek(offset)
                tensor.raw_data = stream.read(length)
            tensor.ClearField("data_location")


def tensors_of(message: Any) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model, those in attributes, subgraphs and functions included."""
    for _, value in message.ListFields():
        if isinstance(value, (str, bytes, int, float)):
            continue
        for item in [value] if hasattr(value, "ListFields") else value:
            if isinstance(item, onnx.TensorProto):
                yield item
            elif hasattr(item, "ListFields"):
                yield from tensors_of(item)


def _checked(tensor: onnx.TensorProto, folder: Path, own: Path, name: str) -> tuple[Path, int, int]:
    """File, offset and number of bytes of a tensor's values; all are there, within ``folder``."""
    place = _place(tensor, name)
    try:
        path = (folder / place.location).resolve()
        there = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a zero byte
        raise InvalidModelError(
            f"{name} points to weights that cannot be",
            found=_shown(place.location),
            remedy="export the network again, its weights beside it or within it",
        ) from error
    if not path.is_relative_to(folder) and path != own:
        raise InvalidModelError(
            f"{name} points to weights outside of its folder",
            found=_shown(str(path)),
            remedy="put the file of weights beside the model, and save the model again with its name alone",
        )
    if not there:
        remedy = "put the file of weights beside the model"
        raise InvalidModelError(
            f"{name} needs weights that are missing", found=_shown(path.name), remedy=remedy
        )
    offset, size = place.offset or 0, path.stat().st_size
    dtype = element_type(tensor)
    wanted = place.length if dtype is None else math.prod(tensor.dims) * dtype.itemsize
    length = wanted if place.length is None else place.length
    if (
        wanted is None
        or length is None
        or min(offset, length, *tensor.dims, 0) < 0
        or length != wanted
        or offset + length > size
    ):
        found = f"{tensor.name}: {tuple(tensor.dims)} at {offset}, in a file of {size} bytes"
        raise InvalidModelError(
            f"the weights of {name} cannot be read", found=found, remedy="export the network again"
        )
    return path, offset, length


def _place(tensor: onnx.TensorProto, name: str) -> ExternalDataInfo:
    try:
        place = ExternalDataInfo(tensor)
    except ValueError as error:
        raise InvalidModelError(
            f"the weights of {name} cannot be read", found=str(error), remedy="export the network again"
        ) from error
    if not place.location:
        raise InvalidModelError(
            f"the weights of {name} cannot be read",
            found=f"{tensor.name} names no file",
            remedy="export the network again",
        )
    return place


def _shown(text: str) -> str:
    return text.encode("unicode_escape").decode()[:200]
