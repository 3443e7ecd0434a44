"""Values inside a serialized model: tensors and attributes, decoded without the onnx package."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onnx2snn.runtime.wire import ELEMENT_TYPES, fields, read_varint

Array: TypeAlias = NDArray[Any]

_DTYPES = {kind: np.dtype(name) for name, kind in ELEMENT_TYPES.items()}
# Field numbers of TensorProto, of AttributeProto, and of StringStringEntryProto.
_DIMS, _TYPE, _FLOATS, _INTS, _LONGS, _RAW, _DOUBLES, _EXTERNAL, _LOCATION = 1, 2, 4, 5, 7, 9, 10, 13, 14
_NAME, _F, _I, _S, _T, _MANY_I = 1, 2, 3, 4, 5, 8
_NODE_ATTRIBUTE = 5


def decoded(tensor: memoryview, folder: Path | None = None) -> Array | None:
    """The values of a TensorProto, without a copy where it holds them as raw bytes.

    Args:
        tensor: Its bytes.
        folder: Of the model's file, for values in a file of their own.

    Returns:
        None where the element type has no numpy equivalent here, or the values cannot be found.
    """
    parts: dict[int, list[memoryview]] = {}
    for number, _, value, _, _ in fields(tensor):
        parts.setdefault(number, []).append(value)
    dims = _integers(parts.get(_DIMS, []))
    dtype = _DTYPES.get(_integers(parts.get(_TYPE, []))[0])
    if dtype is None:
        return None
    if _LOCATION in parts and _integers(parts[_LOCATION])[0]:
        return _external(parts[_EXTERNAL], folder, dtype, dims)
    if _RAW in parts:
        return np.frombuffer(parts[_RAW][-1], dtype).reshape(dims)
    for number, packed in ((_FLOATS, "<f4"), (_DOUBLES, "<f8")):
        if number in parts:
            return (
                np.concatenate([np.frombuffer(v, packed) for v in parts[number]]).astype(dtype).reshape(dims)
            )
    listed = parts.get(_INTS) or parts.get(_LONGS)
    if listed is None or dtype == np.float16:
        return np.zeros(dims, dtype) if 0 in dims else None
    return np.array(_integers(listed), np.int64).astype(dtype).reshape(dims)


def described(tensor: memoryview) -> tuple[int, tuple[int, ...]]:
    """Element type and sizes of a TensorProto; 0 and () of a sparse one."""
    dims = [value for number, _, value, _, _ in fields(tensor) if number == _DIMS]
    kinds = _integers(
        [value for number, kind, value, _, _ in fields(tensor) if number == _TYPE and kind == 0]
    )
    return (kinds[-1] if kinds else 0), tuple(_integers(dims)) if kinds else ()


def _external(entries: list[memoryview], folder: Path | None, dtype: Any, dims: list[int]) -> Array | None:
    found = {}
    for entry in entries:
        texts = {number: str(value, "utf-8") for number, _, value, _, _ in fields(entry)}
        found[texts[1]] = texts.get(2, "")
    if folder is None:
        return None
    path = (folder / found["location"]).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    return np.memmap(path, dtype, "r", int(found.get("offset", 0)), tuple(dims))


def _integers(values: list[memoryview]) -> list[int]:
    """Repeated varints, packed or not."""
    found = []
    for value in values:
        position = 0
        while position < len(value):
            number, position = read_varint(value, position)
            found.append(number - (1 << 64) if number >> 63 else number)
    return found


def attributes(node: bytes) -> dict[str, Any]:
    """The attributes of a NodeProto that hold a number, a text, a tensor or whole numbers."""
    found: dict[str, Any] = {}
    for number, _, value, _, _ in fields(memoryview(node)):
        if number == _NODE_ATTRIBUTE:
            name, held = _attribute(value)
            found[name] = held
    return found


def _attribute(content: memoryview) -> tuple[str, Any]:
    parts: dict[int, list[memoryview]] = {}
    for number, _, value, _, _ in fields(content):
        parts.setdefault(number, []).append(value)
    name = str(parts[_NAME][0], "utf-8")
    readers: Mapping[int, Any] = {
        _F: lambda v: struct.unpack("<f", v[0])[0],
        _I: lambda v: _integers(v)[0],
        _S: lambda v: str(v[0], "utf-8"),
        _T: lambda v: decoded(v[0]),
        _MANY_I: _integers,
    }
    for number, reader in readers.items():
        if number in parts:
            return name, reader(parts[number])
    return name, None
