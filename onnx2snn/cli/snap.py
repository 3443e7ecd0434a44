"""``onnx2snn snap``: a quantised network that float32 computes exactly."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from onnx2snn.cli.data_options import data_option, open_for
from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, exact_lines, next_commands
from onnx2snn.cli.running_options import batch_option
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.listings import change_listing
from onnx2snn.units import duration, file_size, percent

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions


@click.command(cls=Command, epilog="onnx2snn snap quantised.onnx exact.onnx --data images.npz")
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("target", type=PATH, metavar="OUT.onnx")
@data_option(
    required=False,
    help_text="Samples whose range the grid of a float input gets; otherwise -8 to 8.",
)
@batch_option()
@output_options
def snap(
    *,
    source: str,
    target: str,
    data: str | None,
    images: ImageOptions,
    batch: int | None,
    terminal: Terminal,
) -> None:
    """Round weights, biases and inputs of the quantised IN.onnx to grids on which float32 adds exactly; write OUT.onnx.

    The spiking network made of OUT.onnx equals it bit for bit, in every execution and runtime.
    """
    import onnx2snn  # noqa: PLC0415

    check_output(target, source, data)
    began = time.perf_counter()
    with terminal.working(f"rounding {source}"):
        exact = onnx2snn.snap(source, open_for(source, data, images) if data else None, batch=batch)
    exact.save(target)
    seconds = time.perf_counter() - began
    facts = {"source": source, "model": target, "seconds": round(seconds, 3), **exact.to_dict()}
    snn = target.removesuffix(".onnx") + "_snn.onnx"
    terminal.show(
        Text.assemble((source, "bold"), " → ", (target, "bold")),
        f"{file_size(target)}, {duration(seconds)}",
        *_changed(facts),
        next_commands(command_line(target, snn), command_line("verify", target, snn)),
    )
    terminal.result(facts)


def _changed(facts: dict[str, Any]) -> list[Any]:
    """What was rounded, and what is proved."""
    if not facts["changes"]:
        return [Text("nothing to round: float32 computes it exactly as it is")]
    moved = facts["moved"]
    told = (
        "no data: how far outputs move was not measured"
        if moved is None
        else f"outputs move by {percent(moved)}"
    )
    return [fitted(change_listing(facts["changes"])), Text(told), *exact_lines(facts)]
