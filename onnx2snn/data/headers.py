"""The header of a .npy array, read without trusting it.

NumPy's own reader fetches as many header bytes as the file announces, up to 4 GiB, before it checks them; a
member of a hostile archive can announce anything. Here the announcement is checked first.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from tokenize import TokenError
from typing import IO

import numpy as np

from onnx2snn.errors import InputError

_MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 1 << 14


@dataclass(frozen=True)
class NpyHeader:
    """Shape, element type and memory order of one stored array.

    Attributes:
        shape: Of the whole array, samples first.
        dtype: Element type; never an object or a record.
        fortran: Column-major order: a row's values are not adjacent.
        offset: Number of bytes before the first value.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran: bool
    offset: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def data_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], where: str) -> NpyHeader:
    """Read the header at the start of ``stream`` and leave the stream at the first value.

    Raises:
        InputError: this is no .npy array, or one that holds Python objects, records or no samples.
    """
    start = stream.read(8)
    if len(start) < 8 or start[:6] != _MAGIC:
        raise InputError(f"{where} is not a NumPy array", remedy="save it with numpy.save or numpy.savez")
    width = 2 if start[6] == 1 else 4
    size = stream.read(width)
    announced = int.from_bytes(size, "little")
    if start[6] not in (1, 2) or len(size) < width or announced > _HEADER_LIMIT:
        raise InputError(f"{where} has a damaged or unusual NumPy header", remedy="save the array again")
    text = stream.read(announced)
    parse = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = parse(io.BytesIO(size + text))
    except (ValueError, TypeError, SyntaxError, TokenError, MemoryError, RecursionError) as error:
        raise InputError(f"{where} has a damaged NumPy header", remedy="save the array again") from error
    _check(shape, dtype, where)
    return NpyHeader(tuple(shape), dtype, bool(fortran) and len(shape) > 1, 8 + width + announced)


def _check(shape: tuple[int, ...], dtype: np.dtype[np.generic], where: str) -> None:
    if dtype.hasobject:
        raise InputError(
            f"{where} holds pickled Python objects, which are never loaded",
            remedy="save a numeric array, for example numpy.asarray(x, numpy.float32)",
        )
    if dtype.kind not in "biuf":
        raise InputError(f"{where} is not numeric", found=str(dtype), remedy="save a numeric array")
    if not shape:
        raise InputError(
            f"{where} is a single number", remedy="save arrays with the samples along the first axis"
        )
    if min(shape) < 1:
        raise InputError(
            f"{where} holds no samples",
            found=f"shape {shape}",
            remedy="save arrays with the samples along the first axis, one or more",
        )
