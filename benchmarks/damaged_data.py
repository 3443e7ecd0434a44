"""Damaged data files, each the same for the same number."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from damaged_bytes import BYTES, EXTREMES


def damaged_data(good: Path, number: int, work: Path) -> tuple[str, str, list[str]]:
    """Write data with the damage that ``number`` stands for; its kind, its path, and further options of the command."""
    draw = random.Random(number)  # noqa: S311 - nothing secret
    name = draw.choice(list(DATA))
    path, words = DATA[name](good, draw, work)
    return f"data: {name}", str(path), words


Damage = Callable[[Path, random.Random, Path], tuple[Path, list[str]]]


def _bytes(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    path = work / "data.npz"
    path.write_bytes(BYTES[draw.choice([*BYTES])](good.read_bytes(), draw))
    return path, []


def _archive(work: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = work / "data.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def _npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def _members(good: Path) -> dict[str, np.ndarray]:
    with np.load(good) as arrays:
        return dict(arrays)


def _members_damaged(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    """A whole archive of broken arrays."""
    members = {name: _npy(values) for name, values in _members(good).items()}
    return _archive(
        work, {name: BYTES[draw.choice([*BYTES])](content, draw) for name, content in members.items()}
    ), []


def _header(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    """A header that announces what is not there."""
    members = {}
    for name, values in _members(good).items():
        sizes = tuple(draw.choice((*EXTREMES, size)) for size in values.shape)
        kind = draw.choice(
            ("<f4", "<f8", "|O", "<U9", "<c8", ">f4", "<M8[s]", "V16", "[('a', '<f4')]", "x", "<f4" * 99)
        )
        text = f"{{'descr': '{kind}', 'fortran_order': {draw.choice((True, False))}, 'shape': {sizes}, }}\n"
        head = text.encode()
        members[name] = (
            b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(head), 65535)) + head + values.tobytes()
        )
    return _archive(work, members), []


def _values(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    """Sound arrays that do not fit."""
    arrays = _members(good)
    name = draw.choice(list(arrays))
    values = arrays[name]
    arrays[name] = draw.choice(
        (
            values * np.float32("nan"), values[:0], values[..., :-1], values[None], values.astype(np.float64), values > 0,
            values.astype(str), np.zeros(()), values[::2], np.asfortranarray(values), values.astype(">f4"), values * 1e38 * 100,
        )
    )  # fmt: skip
    if draw.random() < 0.3:
        arrays["other"] = arrays.pop(name)
    return _archive(work, {key: _npy(value) for key, value in arrays.items()}), []


def _pickled(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    """Python objects, which would run a program when they are loaded."""
    del draw
    trap = np.empty(2, object)
    trap[:] = [_Trap(str(work / "out")), 1]
    return _archive(work, {name: _npy(trap, allow_pickle=True) for name in _members(good)}), []


class _Trap:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


def _plain_pickle(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    del good
    path = work / f"data{draw.choice(('.npz', '.npy'))}"
    path.write_bytes(pickle.dumps(_Trap(str(work / "out"))))
    return path, []


def _bomb(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    """A few kilobytes that announce, and would unpack to, gigabytes of zeros."""
    name, values = next(iter(_members(good).items()))
    rows = draw.choice((1 << 33, 1 << 30, 1 << 38)) // max(values[0].nbytes, 1)
    head = np.lib.format.header_data_from_array_1_0(values) | {"shape": (rows, *values.shape[1:])}
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, head)
    size = len(stream.getvalue()) + rows * values[0].nbytes
    path = _archive(work, {name: stream.getvalue() + bytes(1 << 20)})
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", min(size, 2**32 - 2))
    path.write_bytes(content)
    return path, []


def _pictures(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    """Folders of pictures: broken ones, and a bomb of 60,000 by 60,000 pixels."""
    del good
    folder = work / "pictures" / "class"
    folder.mkdir(parents=True)
    side = draw.choice((8, 60_000, 2**31 - 1))
    rows = zlib.compress(b"\0" * 100_000)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    if draw.random() < 0.5:
        content = BYTES[draw.choice([*BYTES])](content, draw)
    (folder / f"picture.{draw.choice(('png', 'jpg', 'gif', 'tif', 'bmp'))}").write_bytes(content)
    return work / "pictures", []


def _paths(good: Path, draw: random.Random, work: Path) -> tuple[Path, list[str]]:
    """Paths that are no data."""
    del good
    (work / "empty").mkdir()
    (work / "link.npz").symlink_to("link.npz")
    return draw.choice(
        (work / "empty", work / "link.npz", Path("/dev/null"), work / "missing.npz", Path("/proc/self/mem"))
    ), []


DATA: dict[str, Damage] = {
    "archive bytes": _bytes,
    "array bytes": _members_damaged,
    "headers": _header,
    "arrays that do not fit": _values,
    "pickled objects": _pickled,
    "a pickle": _plain_pickle,
    "bombs": _bomb,
    "pictures": _pictures,
    "paths": _paths,
}
