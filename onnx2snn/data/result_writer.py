"""Results of any size: arrays that grow batch by batch and become one .npz archive."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import numpy as np

from onnx2snn.atomic_files import draft_folder, place, writing
from onnx2snn.data.specs import Array


class ResultWriter:
    """Append rows to named arrays; the archive appears complete when the block ends, or not at all.

    Rows wait in files beside the archive, so memory holds one batch however many there are.

        with ResultWriter("result.npz") as writer:
            for batch in data.batches(100):
                writer.append({"logits": answer(batch)})

    Args:
        path: Of the archive.
        axis_of: The axis along which an array grows, by name, where it is another than the first.

    Raises:
        OutputError: the folder is missing or cannot be written to, or the disk is full.
    """

    def __init__(self, path: str | os.PathLike[str], axis_of: Mapping[str, int] | None = None) -> None:
        self._path, self._axis_of = Path(path), axis_of or {}
        self._draft = draft_folder(path)
        self._files: dict[str, IO[bytes]] = {}
        self._rows: dict[str, int] = {}
        self._scalars: set[str] = set()
        self._kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}

    def __enter__(self) -> ResultWriter:
        self._folder = self._draft.__enter__()
        return self

    def append(self, arrays: Mapping[str, Array]) -> None:
        """Append ``arrays[name]``, (n, ...), to the rows of each name; what is given once and has no rows stays as it is."""
        with writing(self._path):
            for name, given in arrays.items():
                array = np.moveaxis(given, self._axis_of[name], 0) if name in self._axis_of else given
                if name not in self._files:
                    self._files[name] = (self._folder / str(len(self._files))).open("w+b")
                    self._kinds[name] = (array.dtype, array.shape[1:])
                if self._kinds[name] != (array.dtype, array.shape[1:]):
                    raise ValueError(f"rows of '{name}' changed from {self._kinds[name]} to {array.shape}")
                self._rows[name] = self._rows.get(name, 0) + (len(array) if array.ndim else 1)
                self._scalars |= set() if array.ndim else {name}
                self._files[name].write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with writing(self._path):
                    self._assemble()
        finally:
            for stream in self._files.values():
                with contextlib.suppress(OSError):  # what a full disk did not take
                    stream.close()
            self._draft.__exit__(None, None, None)  # an error of the block is the block's own

    def _assemble(self) -> None:
        whole = self._folder / "whole"
        with zipfile.ZipFile(whole, "w", allowZip64=True) as archive:
            for name, stream in self._files.items():
                dtype, shape = self._kinds[name]
                size = () if name in self._scalars else (self._rows[name], *shape)
                large = math.prod(size) * dtype.itemsize > zipfile.ZIP64_LIMIT // 2
                stream.seek(0)
                axis = self._axis_of.get(name, 0)
                turned = (*size[1 : axis + 1], *size[:1], *size[axis + 1 :])
                with archive.open(f"{name}.npy", "w", force_zip64=large) as member:
                    header = {
                        "descr": np.lib.format.dtype_to_descr(dtype),
                        "fortran_order": False,
                        "shape": turned,
                    }
                    np.lib.format.write_array_header_1_0(cast("Any", member), header)
                    if axis and math.prod(size):
                        rows = np.memmap(stream, dtype, "r", shape=size)
                        for part in np.moveaxis(rows, 0, axis):  # one at a time is in memory
                            member.write(np.ascontiguousarray(part).data.cast("B"))
                    else:
                        shutil.copyfileobj(stream, member)
        place(whole, self._path)
