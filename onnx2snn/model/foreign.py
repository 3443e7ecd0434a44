"""Networks of other frameworks, read through the tools that write them as ONNX: tf2onnx, torch.

The tools run in a process of their own: what they print, how they end and what they load is not ours.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import onnx

from onnx2snn.errors import InvalidModelError
from onnx2snn.model.file_kinds import FileKind, Tool, kind_of
from onnx2snn.model.settled_names import settled

#: Tools may load a whole framework, and may have large networks to write.
_SECONDS = 1800
#: Letters of what they say last, at most: Keras tells all of a layer that it does not know.
_SAID = 300


def foreign_kind(path: Path) -> FileKind | None:
    """What the file or folder at ``path`` is, where a tool writes such networks as ONNX; None for all others."""
    kind = kind_of(path)
    return kind if kind is not None and kind.tool is not None else None


def written_as_onnx(path: Path, kind: FileKind, name: str) -> bytes:
    """The network at ``path`` as the bytes of an ONNX model, once for each state of the file.

    Raises:
        InvalidModelError: its tool is not installed, or cannot read it.
    """
    if kind.tool is None:
        raise AssertionError("a kind that a tool writes as ONNX")
    missing = [module for module in kind.tool.needs if importlib.util.find_spec(module) is None]
    if missing:
        raise InvalidModelError(f"{name} is no ONNX model but {kind.name}", remedy=kind.to_model)
    status = [file.stat() for file in _files(path)]
    state = tuple((one.st_size, one.st_mtime_ns) for one in status)
    return _written(os.path.realpath(path), kind.name, kind.tool, state, name)


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(path.rglob("*")) if path.is_dir() else [path]


@functools.lru_cache(maxsize=2)
def _written(path: str, kind: str, tool: Tool, state: tuple[tuple[int, int], ...], name: str) -> bytes:
    del state  # tells a file that changed from what it was
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        command = [sys.executable, "-m", *tool.command, path, "--output", os.fspath(target)]
        quiet = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
        }
        ended = subprocess.run(
            command,
            env={**os.environ, **quiet},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if ended.returncode or not target.exists():
            said = (
                ended.stderr.strip() or ended.stdout.strip() or f"exit code {ended.returncode}"
            ).splitlines()
            raise InvalidModelError(
                f"{tool.name} cannot write {name} ({kind}) as ONNX",
                found=textwrap.shorten(said[-1], _SAID, placeholder=" …"),
                remedy=tool.remedy,
            )
        content: bytes = settled(onnx.load(target)).SerializeToString()
        return content
