"""Columns: one array of a data set, its rows read in order without holding all of them.

Column                 shape (N, ...), dtype, reader(start) -> read(count)
├── ArrayColumn        an array in memory
├── NpyColumn          a .npy file, mapped
├── NpzColumn          a member of an .npz archive, decompressed as it is read
└── JoinedColumn       several columns after one another (shards)
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np

from onnx2snn.data.headers import NpyHeader, read_header
from onnx2snn.data.specs import Array
from onnx2snn.errors import InputError

#: Hands out the next ``count`` rows.
Reader: TypeAlias = Callable[[int], Array]

_SKIP = 1 << 20
_BOMB_BYTES = 1 << 28
_BOMB_RATIO = 500
_FORTRAN_LIMIT = 1 << 30


class Column(ABC):
    """One array of a data set.

    Attributes:
        shape: (N, ...), the number of samples first.
        dtype: Element type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @abstractmethod
    def reader(self, start: int, stack: ExitStack) -> Reader:
        """A reader of consecutive rows from ``start``; what it opens is closed with ``stack``."""

    @property
    def identity(self) -> str:
        """What tells this column's contents from another's without reading them."""
        return f"{self.shape} {self.dtype}"


class ArrayColumn(Column):
    """Rows of an array in memory."""

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype

    @property
    def identity(self) -> str:
        """See :attr:`Column.identity`."""
        digest = hashlib.sha256(np.ascontiguousarray(self._array).tobytes()).hexdigest()
        return f"{super().identity} {digest}"

    def reader(self, start: int, stack: ExitStack) -> Reader:  # noqa: ARG002 - nothing to close
        """See :meth:`Column.reader`."""
        position = start

        def read(count: int) -> Array:
            nonlocal position
            rows = self._array[position : position + count]
            position += count
            return rows

        return read


class NpyColumn(Column):
    """Rows of a .npy file, mapped into memory: only what is read is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _readable(path), path.open("rb") as stream:
            self._header = read_header(stream, str(path))
        if path.stat().st_size < self._header.offset + self._header.data_bytes:
            raise InputError(f"{path} is truncated", remedy="copy or save it again")
        self.shape, self.dtype = self._header.shape, self._header.dtype

    def reader(self, start: int, stack: ExitStack) -> Reader:
        """See :meth:`Column.reader`."""
        header = self._header
        order = "F" if header.fortran else "C"
        with _readable(self._path):
            rows = np.memmap(self._path, header.dtype, "r", header.offset, header.shape, order)  # type: ignore[call-overload]
        return ArrayColumn(rows).reader(start, stack)

    @property
    def identity(self) -> str:
        """See :attr:`Column.identity`."""
        return f"{super().identity} {_file_identity(self._path)}"


class NpzColumn(Column):
    """Rows of one member of an .npz archive; compressed members are inflated only as far as they are read."""

    def __init__(self, path: Path, member: str) -> None:
        self._path, self._member = path, member
        with ExitStack() as stack:
            _, self._header, info = self._open(stack)
        self._refuse_bombs(info)
        self.shape, self.dtype = self._header.shape, self._header.dtype

    @property
    def _where(self) -> str:
        return f"'{self._member}' in {self._path}"

    def _open(self, stack: ExitStack) -> tuple[IO[bytes], NpyHeader, zipfile.ZipInfo]:
        with _readable(self._path):
            archive = stack.enter_context(zipfile.ZipFile(self._path))
            info = archive.getinfo(f"{self._member}.npy")
            stream = stack.enter_context(archive.open(info))
            return stream, read_header(stream, self._where), info

    def _refuse_bombs(self, info: zipfile.ZipInfo) -> None:
        announced = self._header.offset + self._header.data_bytes
        if info.file_size != announced:
            message = f"{self._where} is {info.file_size} bytes long, its header announces {announced}"
            raise InputError(message, remedy="the archive is damaged; save it again")
        if info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * max(info.compress_size, 1):
            message = f"{self._where} would grow more than {_BOMB_RATIO} times when decompressed"
            raise InputError(
                message, remedy="if it is meant, save it without compression (numpy.savez or .npy)"
            )
        if self._header.fortran and announced > _FORTRAN_LIMIT:
            remedy = "save numpy.ascontiguousarray(x)"
            raise InputError(
                f"{self._where} is stored column by column and too large to reorder", remedy=remedy
            )

    def reader(self, start: int, stack: ExitStack) -> Reader:
        """See :meth:`Column.reader`."""
        stream, header, _ = self._open(stack)
        if header != self._header:
            raise InputError(
                f"{self._path} changed while it was read",
                remedy="leave the file as it is while it is read, and run again",
            )
        if header.fortran:
            flat = np.frombuffer(self._exactly(stream, header.data_bytes), header.dtype)
            return ArrayColumn(flat.reshape(header.shape, order="F")).reader(start, stack)
        self._skip(stream, start * header.row_bytes)
        left = header.shape[0] - start

        def read(count: int) -> Array:
            nonlocal left
            count, left = min(count, left), max(left - count, 0)
            rows = np.frombuffer(self._exactly(stream, count * header.row_bytes), header.dtype)
            return rows.reshape(count, *header.shape[1:])

        return read

    def _skip(self, stream: IO[bytes], size: int) -> None:
        while size:
            size -= len(self._exactly(stream, min(size, _SKIP)))

    def _exactly(self, stream: IO[bytes], size: int) -> bytes:
        with _readable(self._path):
            data = stream.read(size)
        if len(data) < size:
            raise InputError(f"{self._where} is truncated", remedy="copy or save it again")
        return data

    @property
    def identity(self) -> str:
        """See :attr:`Column.identity`."""
        return f"{super().identity} {self._member} {_file_identity(self._path)}"


class JoinedColumn(Column):
    """The rows of several columns after one another."""

    def __init__(self, name: str, parts: Sequence[Column]) -> None:
        first = parts[0]
        for part in parts:
            if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
                raise InputError(
                    f"the shards disagree about '{name}'",
                    found=f"{first.dtype} {first.shape[1:]} and {part.dtype} {part.shape[1:]} a sample",
                    remedy="save every shard with the same sample shape and type",
                )
        self._parts = tuple(parts)
        self.shape = (sum(part.shape[0] for part in parts), *first.shape[1:])
        self.dtype = first.dtype

    def reader(self, start: int, stack: ExitStack) -> Reader:
        """See :meth:`Column.reader`."""
        parts = stack.enter_context(closing(self._open_in_turn(start)))
        current: Reader | None = None
        left = 0

        def read(count: int) -> Array:
            nonlocal current, left
            pieces = []
            while count:
                if current is None or not left:
                    current, left = next(parts, (None, 0))
                if current is None:
                    break
                pieces.append(current(min(count, left)))
                count, left = count - len(pieces[-1]), left - len(pieces[-1])
            return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

        return read

    def _open_in_turn(self, start: int) -> Generator[tuple[Reader, int], None, None]:
        """Each part's reader and number of rows; a part (of thousands) is open only while its turn lasts."""
        for part in self._parts:
            rows = part.shape[0]
            if start < rows:
                with ExitStack() as own:
                    yield part.reader(start, own), rows - start
            start = max(start - rows, 0)

    @property
    def identity(self) -> str:
        """See :attr:`Column.identity`."""
        return "\n".join(part.identity for part in self._parts)


def npz_members(path: Path) -> list[str]:
    """Names of the arrays in an .npz archive."""
    with _readable(path), zipfile.ZipFile(path) as archive:
        names = [name[: -len(".npy")] for name in archive.namelist() if name.endswith(".npy")]
    if not names:
        raise InputError(
            f"{path} holds no arrays", remedy="save them with numpy.savez(path, input_name=array)"
        )
    return names


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn the many ways in which a file can be unreadable into one."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}", remedy="check the path") from error
    except (OSError, EOFError, KeyError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path} cannot be read: {error}", remedy="copy or save it again") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is not an .npz archive, or damaged", remedy="copy or save it again"
        ) from error


def _file_identity(path: Path) -> str:
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"
