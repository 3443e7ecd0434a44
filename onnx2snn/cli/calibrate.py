"""``onnx2snn calibrate``: a float network becomes a quantised one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from onnx2snn.cli.calibration_options import Timesteps, calibration_options, exact_option
from onnx2snn.cli.data_options import DATA_HELP, data_option, open_for
from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, exact_lines, next_commands
from onnx2snn.cli.progress import track_total
from onnx2snn.cli.running_options import batch_option
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.listings import CALIBRATION_COLUMNS, calibration_listing
from onnx2snn.units import count, duration, file_size, percent, things

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions


@click.command(
    cls=Command,
    columns=CALIBRATION_COLUMNS,
    epilog="onnx2snn calibrate relu.onnx ann.onnx --data images.npz --timesteps 4",
)
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("target", type=PATH, metavar="OUT.onnx")
@click.option(
    "--timesteps",
    type=Timesteps(),
    required=True,
    help="Time steps: K = 2^T - 1 levels; 'auto': for each layer, so that spikes are fewest.",
)
@click.option("--data-free", is_flag=True, help="Without data: batch norm statistics stand in for it.")
@calibration_options
@click.option(
    "--coding",
    type=click.Choice(["binary", "rate"]),
    default="binary",
    show_default=True,
    help="The code to calibrate for: rate has K = T levels.",
)
@click.option("--hybrid", is_flag=True, help="Keep nonlinearities that have no staircase.")
@exact_option
@data_option(required=False, help_text=f"{DATA_HELP} 32 without labels are enough.")
@batch_option()
@output_options
def calibrate(
    *,
    source: str,
    target: str,
    data: str | None,
    data_free: bool,
    images: ImageOptions,
    terminal: Terminal,
    **options: Any,
) -> None:
    """Choose clipping and thresholds for the float ReLUs of IN.onnx; write a quantised OUT.onnx.

    All that is lost is lost here, and printed; what follows is lossless.
    """
    import onnx2snn  # noqa: PLC0415 - nothing heavy before the options are understood

    if (data is None) != data_free:
        raise click.UsageError("give either --data PATH or --data-free")
    check_output(target, source, data)
    began = time.perf_counter()
    samples = open_for(source, data, images) if data else None
    with track_total(terminal, f"calibrating {source}") as progress:
        calibration = onnx2snn.calibrate(source, samples, progress=progress, **options)
    calibration.save(target)
    seconds = time.perf_counter() - began
    facts = {"source": source, "model": target, "seconds": round(seconds, 3), **calibration.to_dict()}
    _say(terminal, facts, ["--data", data] if data else [])
    terminal.result(facts)


def _say(terminal: Terminal, facts: dict[str, Any], data: list[str]) -> None:
    source, target = facts["source"], facts["model"]
    snn = target.removesuffix(".onnx") + "_snn.onnx"
    terminal.show(
        Text.assemble((source, "bold"), " → ", (target, "bold")),
        f"T = {things(facts['timesteps'], 'time step')}; {file_size(target)}, {duration(facts['seconds'])}",
        fitted(calibration_listing(facts["layers"])),
        *calibration_lines(facts),
        *(exact_lines(facts["exact"]) if facts["exact"] else []),
        next_commands(command_line(target, snn), command_line("verify", target, snn, *data)),
    )


def calibration_lines(facts: dict[str, Any]) -> list[Text]:
    """What was lost, in a few lines."""
    if not facts["samples"]:
        return [Text("no data: nothing was measured; thresholds come from batch norm statistics")]
    agreement, accuracy = facts["top1_agreement"], facts["accuracy"]
    lines = [Text(f"not spiking: {name}", style="yellow") for name in facts["non_spiking"]]
    lost = f"quantised against float, {count(facts['samples'])} samples: output error {percent(facts['output_error'])}"
    lines.append(Text(lost if agreement is None else f"{lost}, top-1 agreement {percent(agreement)}"))
    if facts["unrounded"]:
        lines.append(Text(f"weights stay float: {facts['unrounded']}", style="yellow"))
    if accuracy:
        float_, quantised = percent(accuracy["float"]), percent(accuracy["quantised"])
        lines.append(Text(f"accuracy: float {float_}, quantised {quantised}"))
    return lines
