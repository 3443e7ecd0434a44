"""Whole numbers as text in the metadata of a compiled file: tables that would be long in JSON."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import InvalidModelError

#: Little-endian, whatever the processor.
_KIND = np.dtype("<i4")
#: Of compression: most of what there is to gain, in little time.
_LEVEL = 1


def packed(values: NDArray[Any]) -> dict[str, Any]:
    """``shape``, and the ``data``: int32, little-endian, compressed (zlib), in base64."""
    content = zlib.compress(np.ascontiguousarray(values, _KIND).tobytes(), _LEVEL)
    return {"shape": list(values.shape), "data": base64.b64encode(content).decode()}


def unpacked(held: dict[str, Any]) -> NDArray[np.int32]:
    """What :func:`packed` was given.

    Raises:
        InvalidModelError: it is damaged.
    """
    try:
        size = int(np.prod(held["shape"], dtype=np.int64)) * _KIND.itemsize
        reader = zlib.decompressobj()
        content = reader.decompress(base64.b64decode(held["data"], validate=True), size)
        values: NDArray[np.int32] = np.frombuffer(content, _KIND).reshape(held["shape"]).astype(np.int32)
    except (binascii.Error, zlib.error, ValueError) as error:
        remedy = "compile it again from the converted file"
        raise InvalidModelError("the levels in this compiled network are damaged", remedy=remedy) from error
    return values
