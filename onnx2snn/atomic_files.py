"""Writing files that are whole or not there, whatever comes between: an error, a full disk, an interrupt, a kill.

A result is drafted in a hidden folder beside its target, made durable, and renamed into place. Who drafts holds a lock on the
folder, which the system lets go when the process ends, however it ends: the next draft of the same target clears away what a
killed one has left, and never what a living one is writing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from onnx2snn.errors import OutputError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: nothing is cleared away there
    fcntl = None  # type: ignore[assignment]

#: Characters of the target's name that the draft's name repeats: a name has at most 255 bytes.
_REPEATED = 60


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuse to begin work whose result could not be written to ``path``.

    Raises:
        OutputError: the folder is missing or must not be written to, or ``path`` is something else than a file.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"cannot write {target}: it is a folder", remedy="add a file name")
    if target.exists() and not target.is_file():
        raise OutputError(f"cannot write {target}: it is no file", remedy="give the path of a file")
    folder = _real(target).parent
    if not folder.is_dir():
        remedy = f"create the folder first: mkdir -p {folder}"
        raise OutputError(f"cannot write {target}: its folder does not exist", remedy=remedy)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write {target}: its folder must not be written to", remedy="choose another folder"
        )


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A stream whose content becomes the file ``path`` when the block ends; when it fails, what was there stays.

    Raises:
        OutputError: see :func:`check_target`; or the disk is full.
    """
    with draft_folder(path) as folder:
        with (folder / "whole").open("wb") as stream:
            yield stream
        place(folder / "whole", path)


@contextmanager
def draft_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A hidden folder beside ``path``, for the files that :func:`place` puts there; gone when the block ends.

    Raises:
        OutputError: whatever goes wrong with a file within the block.
    """
    check_target(path)
    target = _real(Path(path))
    with writing(path):
        _clear_leftovers(target)
        folder, lock = _locked_folder(target)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of every failure of the system in the block that it kept ``path`` from being written.

    Raises:
        OutputError: with the system's reason.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {path}: {reason}", remedy="free space or choose another path"
        ) from error


def place(draft: Path, path: str | os.PathLike[str]) -> None:
    """Make a finished draft durable and give it its name; a link at ``path`` stays, and what it leads to is replaced."""
    target = _real(Path(path))
    with draft.open("rb+") as written:
        os.fsync(written.fileno())
    draft.chmod(0o666 & ~_umask())
    draft.replace(target)
    with contextlib.suppress(OSError):  # not every system lets a folder be made durable
        _sync_folder(target.parent)


def _real(target: Path) -> Path:
    return Path(os.path.realpath(target))


def _prefix(target: Path) -> str:
    return f".{target.name[:_REPEATED]}.writing-"


def _locked_folder(target: Path) -> tuple[Path, int]:
    """A new folder and its lock; made again where somebody who clears up was faster than the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        lock = os.open(folder, os.O_RDONLY)
        _lock(lock, wait=True)
        if folder.is_dir():
            return folder, lock
        os.close(lock)


def _clear_leftovers(target: Path) -> None:
    for name in os.listdir(target.parent):  # noqa: PTH208 - no glob: a name may hold its special characters
        leftover = target.parent / name
        if not name.startswith(_prefix(target)) or leftover.is_symlink() or not leftover.is_dir():
            continue
        with contextlib.suppress(OSError):  # its owner has just removed it, or it is not ours to remove
            lock = os.open(leftover, os.O_RDONLY)
            try:
                if _lock(lock, wait=False):
                    shutil.rmtree(leftover, ignore_errors=True)
            finally:
                os.close(lock)


def _lock(handle: int, *, wait: bool) -> bool:
    """Whether the lock is held now; some network file systems know none."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
