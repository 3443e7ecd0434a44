"""``onnx2snn calibrate``: a float ReLU network becomes a quantised one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from rich.text import Text

from onnx2snn.cli.data_options import data_option, open_for
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, next_commands
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.units import duration, file_size

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions


@click.command(
    cls=Command,
    epilog="onnx2snn calibrate relu.onnx ann.onnx --data images.npz --timesteps 4",
)
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("target", type=PATH, metavar="OUT.onnx")
@click.option(
    "--timesteps",
    type=click.IntRange(1, 24),
    metavar="T",
    required=True,
    help="Time steps: K = 2^T - 1 levels.",
)
@data_option(required=True)
@output_options
def calibrate(
    *, source: str, target: str, timesteps: int, data: str, images: ImageOptions, terminal: Terminal
) -> None:
    """Choose clipping and thresholds for the float ReLUs of IN.onnx; write a quantised OUT.onnx."""
    import onnx2snn  # noqa: PLC0415 - nothing heavy before the options are understood

    check_output(target, source, data)
    began = time.perf_counter()
    with terminal.working(f"calibrating {source}"):
        calibration = onnx2snn.calibrate(source, open_for(source, data, images), timesteps=timesteps)
        calibration.save(target)
    seconds = time.perf_counter() - began
    snn = target.removesuffix(".onnx") + "_snn.onnx"
    terminal.show(
        Text.assemble((source, "bold"), " → ", (target, "bold")),
        f"T = {timesteps} time steps; {file_size(target)}, {duration(seconds)}",
        next_commands(command_line(target, snn), command_line("verify", target, snn, "--data", data)),
    )
    terminal.result({"source": source, "model": target, "timesteps": timesteps, "seconds": round(seconds, 3)})
