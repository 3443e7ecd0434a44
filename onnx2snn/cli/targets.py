"""Where a command writes: checked before it works, and never one of the files that it reads."""

from __future__ import annotations

import os

import click


def check_output(target: str, *sources: str | None) -> None:
    """Refuse a path that cannot be written, or that leads, by whatever links, to a file that the command reads.

    Raises:
        click.UsageError: it would overwrite one of ``sources``.
        OutputError: it cannot be written.
    """
    from onnx2snn.whole_files import check_target  # noqa: PLC0415 - nothing before the options are understood

    for source in sources:
        if source is not None and _same_file(source, target):
            raise click.UsageError(f"{target} would overwrite {source}; give it another name")
    check_target(target)


def _same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - paths as the user wrote them
    except OSError:  # one of them is not there
        return os.path.realpath(one) == os.path.realpath(other)
