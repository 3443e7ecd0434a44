"""Where a command writes: checked before it works, and never one of the files that it reads."""

from __future__ import annotations

import os
from pathlib import Path

import click

#: What files are called that nobody looks for a result of another kind in.
_NAMES = frozenset({".onnx", ".npz", ".npy", ".csv", ".json", ".html", ".txt", ".nir"})


def check_output(target: str, *sources: str | None, suffix: str | None = ".onnx") -> None:
    """Refuse a path that cannot be written, or that leads, by whatever links, to a file that the command reads.

    Args:
        target: Where the result goes.
        sources: What the command reads.
        suffix: How the names of such results end; a name that says something else is a slip, most often data in its place.
            None: any.

    Raises:
        click.UsageError: it would overwrite one of ``sources``, or is called like a file of another kind.
        OutputError: it cannot be written.
    """
    from onnx2snn.atomic_files import check_target  # noqa: PLC0415 - nothing before the options are understood

    for source in sources:
        if source is not None and _same_file(source, target):
            raise click.UsageError(f"{target} would overwrite {source}; give it another name")
    ending = Path(target).suffix.lower()
    if suffix and ending in _NAMES and ending != suffix:
        raise click.UsageError(
            f"{target} is where the result goes: its name ends in {suffix}, not in {ending}"
        )
    check_target(target)


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - paths as the user wrote them
    except OSError:  # one of them is not there
        return os.path.realpath(one) == os.path.realpath(other)
