"""A model without its weights: large tensors become references to their place in the model's own file.

ONNX lets a tensor lie in another file, at an offset; here that file is the model itself. A runtime maps it, and a session
holds each weight once, in the layout that its kernels want.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from onnx2snn.errors import InvalidModelError
from onnx2snn.runtime.wire import fields, message, number, text

#: Bytes from which a tensor stays where it is.
_LARGE = 4096
_GRAPH, _INITIALIZER = 7, 5
_TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION, _EXTERNAL = 9, 13, 14, 1


@dataclass(frozen=True)
class Place:
    """The file of a model, as it was when it was read.

    Attributes:
        path: Its path.
        stamp: What changes when it is written again.
    """

    path: Path
    stamp: tuple[int, int, int]

    def check(self) -> None:
        """Make sure that references still point to what they did.

        Raises:
            InvalidModelError: the file has been written again, or is gone.
        """
        try:
            unchanged = _stamp(self.path.stat()) == self.stamp
        except OSError:
            unchanged = False
        if not unchanged:
            raise InvalidModelError(
                f"{self.path} has changed since the session read it", remedy="make a new session"
            )


def read_in_place(path: Path) -> tuple[memoryview, bytes, Place | None]:
    """The bytes of a model's file; the model without its large weights, and the place that they are read from.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no protobuf message.
    """
    if path.is_symlink() or path.stat().st_size < _LARGE:
        whole = path.read_bytes()
        return memoryview(whole), whole, None
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)  # unmapped with its last view
        place = Place(path, _stamp(os.fstat(stream.fileno())))
    view = memoryview(mapped)
    return view, without_weights(view, path.name), place


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def without_weights(view: memoryview, location: str, *, large: int = _LARGE) -> bytes:
    """A serialized model whose large initializers are references to their places in a file.

    Args:
        view: The model, as it is in the file.
        location: What the references call the file.
        large: Bytes from which an initializer is large.

    Raises:
        ValueError: it is no protobuf message.
    """
    parts: list[bytes] = []
    for field, kind, value, start, end in fields(view):
        if field != _GRAPH or kind != 2:
            parts.append(bytes(view[start:end]))
            continue
        offset = end - len(value)
        graph = [
            _reference(inner, offset + last - len(inner), location)
            if part == _INITIALIZER and len(inner) >= large
            else bytes(value[first:last])
            for part, _, inner, first, last in fields(value)
        ]
        parts.append(message(_GRAPH, b"".join(graph)))
    return b"".join(parts)


def _reference(tensor: memoryview, offset: int, location: str) -> bytes:
    """An initializer whose raw bytes, if it has any, stay at their place in the file; ``offset``: where it starts itself."""
    kept, place, beside = [], None, False
    for field, kind, value, start, end in fields(tensor):
        beside |= field in (_TENSOR_EXTERNAL, _TENSOR_LOCATION)
        if field == _TENSOR_RAW and kind == 2:
            place = (offset + end - len(value), len(value))
        else:
            kept.append(bytes(tensor[start:end]))
    if place is None or beside:
        return message(_INITIALIZER, bytes(tensor))
    entries = {"location": location, "offset": str(place[0]), "length": str(place[1])}
    kept += [message(_TENSOR_EXTERNAL, text(1, key) + text(2, value)) for key, value in entries.items()]
    return message(_INITIALIZER, b"".join([*kept, number(_TENSOR_LOCATION, _EXTERNAL)]))
