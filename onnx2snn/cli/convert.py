"""``onnx2snn convert``, or just ``onnx2snn in.onnx out.onnx``."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from onnx2snn.cli.data_options import data_option, open_for
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, layer_table, next_commands, non_spiking_notes
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.units import duration, file_size, things

if TYPE_CHECKING:
    from onnx2snn.convert import Conversion
    from onnx2snn.data import ImageOptions


@click.command(
    cls=Command,
    epilog="onnx2snn ann.onnx snn.onnx\nonnx2snn relu.onnx snn.onnx --calibrate images.npz --timesteps 4",
)
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("target", type=PATH, metavar="OUT.onnx")
@click.option(
    "--bias",
    type=click.Choice(["once", "per-step", "paper"]),
    default="once",
    show_default=True,
    help="How the shifted bias reaches the membrane potential: once after integration, as a constant "
    "current, or as the paper writes it.",
)
@click.option(
    "--execution",
    type=click.Choice(["spiking", "fused"]),
    default="spiking",
    show_default=True,
    help="What flows in OUT.onnx: spikes, or whole levels in one pass.",
)
@click.option(
    "--timesteps", type=click.IntRange(1, 24), metavar="T", help="Time steps of calibrated activations."
)
@click.option("--hybrid", is_flag=True, help="Keep operators that cannot spike and report them.")
@click.option(
    "--check", type=PATH, metavar="PATH", help="Data on which the graph is run and compared after each pass."
)
@data_option(
    required=False,
    name="--calibrate",
    help_text="Data from which the clipping of float ReLUs is chosen: .npz, .npy, a folder of such shards, "
    "or of images by class.",
)
@output_options
def convert(
    *,
    source: str,
    target: str,
    data: str | None,
    check: str | None,
    images: ImageOptions,
    timesteps: int | None,
    terminal: Terminal,
    **options: Any,
) -> None:
    """Convert the quantised network IN.onnx into the spiking network OUT.onnx."""
    import onnx2snn  # noqa: PLC0415

    if timesteps is not None and data is None:
        raise click.UsageError(
            "--timesteps belongs to --calibrate: a quantised network brings its own time steps"
        )
    check_output(target, source, data, check)
    began = time.perf_counter()
    with terminal.working(f"converting {source}"):
        conversion = onnx2snn.convert(
            source,
            calibrate=open_for(source, data, images) if data else None,
            check=open_for(source, check, images) if check else None,
            timesteps=timesteps,
            **options,
        )
        conversion.save(target)
    seconds = time.perf_counter() - began
    _say(terminal, conversion, source, target, calibration=data, seconds=seconds)


def _next(source: str, target: str, calibration: str | None) -> list[str]:
    """A float network has no levels to compare: what it was calibrated on shows what the spiking one does."""
    if calibration is not None:
        return [command_line("inspect", target), command_line("run", target, "--data", calibration)]
    return [command_line("verify", source, target), command_line("run", target, "--data", "DATA.npz")]


def _say(
    terminal: Terminal,
    conversion: Conversion,
    source: str,
    target: str,
    *,
    calibration: str | None,
    seconds: float,
) -> None:
    layers = [dataclasses.asdict(layer) for layer in conversion.layers]
    neurons = sum(layer["neurons"] for layer in layers)
    terminal.show(
        Text.assemble((source, "bold"), " → ", (target, "bold")),
        f"{things(len(layers), 'layer')} of neurons, {things(neurons, 'neuron')}, "
        f"T = {things(conversion.timesteps, 'time step')}; "
        f"{file_size(target)}, {duration(seconds)}",
        layer_table(layers),
        *non_spiking_notes(conversion.non_spiking, conversion.macs),
        *_checks(conversion),
        next_commands(*_next(source, target, calibration)),
    )
    terminal.result(
        {
            "source": source,
            "model": target,
            "timesteps": conversion.timesteps,
            "neurons": neurons,
            "seconds": round(seconds, 3),
            "layers": layers,
            "non_spiking": [dataclasses.asdict(operator) for operator in conversion.non_spiking],
            "macs": dict(conversion.macs),
            "checks": dict(conversion.checks),
        }
    )


def _checks(conversion: Conversion) -> list[str]:
    if not conversion.checks:
        return []
    name, worst = max(conversion.checks, key=lambda check: check[1])
    passes = len(conversion.checks)
    return [f"checked after each of {passes} passes: largest relative change {worst:.2g}, after {name}"]
