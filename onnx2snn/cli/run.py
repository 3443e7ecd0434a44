"""``onnx2snn run``: outputs, spike counts and what they cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from onnx2snn.cli.cost_table import show_costs
from onnx2snn.cli.data_options import data_option, open_for, sharing_options
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.progress import track
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.units import file_size

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions


@click.command(
    cls=Command,
    epilog="onnx2snn run snn.onnx --data test.npz --output result.npz",
)
@click.argument("model", type=PATH, metavar="SNN.onnx")
@data_option(required=True)
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="PATH.npz",
    help="Write outputs by name, and spike counts as 'spikes/<layer>'.",
)
@click.option(
    "--execution",
    type=click.Choice(["spiking", "fused", "int8", "streaming"]),
    help="What flows: spikes, whole levels in one pass (int8: in 8-bit integers), or one time step a call. Default: what a "
    "compiled network was made for, else spiking.",
)
@click.option(
    "--backend",
    type=click.Choice(["onnxruntime", "numpy"]),
    default="onnxruntime",
    show_default=True,
    help="What runs the network.",
)
@click.option(
    "--batch", type=click.IntRange(1), metavar="N", default=100, show_default=True, help="Samples at a time."
)
@sharing_options
@output_options
def run(
    *,
    model: str,
    data: str,
    images: ImageOptions,
    output: str | None,
    terminal: Terminal,
    **options: Any,
) -> None:
    """Run a spiking network and say what it spent: spikes, synaptic operations, energy against the ANN."""
    from onnx2snn.evaluation.answers import (  # noqa: PLC0415 - nothing heavy before the options are understood
        run_all,
    )

    if output:
        check_output(output, model, data, suffix=".npz")
    if options.get("resume"):
        check_output(options["resume"], model, data, output, suffix=None)
    samples = open_for(model, data, images)
    began = time.perf_counter()
    with track(terminal, "running", len(samples)) as done:
        evaluation = run_all(model, samples, output=output, progress=done, **options)
    show_costs(terminal, evaluation, time.perf_counter() - began)
    if output:
        terminal.show(Text(f"outputs and spike counts: {output}, {file_size(output)}"))
    terminal.result({"model": model, "output": output, **evaluation.to_dict()})
