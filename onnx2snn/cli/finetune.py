"""``onnx2snn finetune``: training, if torch is there."""

from __future__ import annotations

import importlib.util

import click

from onnx2snn.cli.helping import Command
from onnx2snn.errors import OutputError

#: What it imports, of the extra ``train``.
_NEEDED = ("torch", "onnx2torch")


@click.command(
    "finetune",
    cls=Command,
    epilog="onnx2snn finetune relu.onnx sparse.onnx --data train.npz --sparsity 1e-5 --epochs 5",
    short_help="Train for fewer spikes (needs torch).",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def _without_torch(words: tuple[str, ...]) -> None:
    """Train on for fewer spikes (needs torch: pip install 'onnx2snn[train]')."""
    del words
    missing = " and ".join(name for name in _NEEDED if importlib.util.find_spec(name) is None)
    raise OutputError(f"finetune needs {missing}", remedy="pip install 'onnx2snn[train]'")


def _load() -> click.Command:
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        return _without_torch
    from onnx2snn.cli.finetune_with_torch import finetune as with_torch  # noqa: PLC0415 - an extra

    command: click.Command = with_torch
    return command


finetune = _load()
