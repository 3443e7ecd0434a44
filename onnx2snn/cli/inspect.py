"""``onnx2snn inspect``: what is in a model, before or after conversion."""

from __future__ import annotations

import click

from onnx2snn.cli.terminal import Terminal, output_options


@click.command(
    short_help="What is in a model, before or after conversion.",
    epilog="Example: onnx2snn inspect ann.onnx",
)
@click.argument("model", metavar="MODEL.onnx")
@output_options
def inspect(*, model: str, terminal: Terminal) -> None:
    """Show layers, staircases and their formulas, before or after conversion."""
    import onnx2snn  # noqa: PLC0415 - nothing heavy before the options are understood

    inspection = onnx2snn.inspect_model(model)
    terminal.result(inspection.to_dict())
