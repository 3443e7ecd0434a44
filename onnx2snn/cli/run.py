"""``onnx2snn run``: outputs, spike counts and what they cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from onnx2snn.cli.cost_table import show_costs
from onnx2snn.cli.data_options import data_option, open_for
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.progress import track
from onnx2snn.cli.running_options import batch_option, execution_options, provider_option, sharing_options
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.listings import SPIKE_COLUMNS
from onnx2snn.units import file_size

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions


@click.command(
    cls=Command,
    columns=SPIKE_COLUMNS,
    epilog="onnx2snn run snn.onnx --data test.npz --output result.npz",
)
@click.argument("model", type=PATH, metavar="MODEL.onnx")
@data_option(required=True)
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="PATH.npz",
    help="Write outputs by name, and spike counts as 'spikes/<layer>'.",
)
@click.option(
    "--spikes",
    type=PATH,
    metavar="PATH.npz",
    help="Write spike trains by layer: (N, T, ...), zeros and ones, time step by time step.",
)
@execution_options(
    "What flows: spikes, whole levels in one pass (int8: in 8-bit integers), or one time step a call. Default: what a "
    "compiled network was made for, else spiking."
)
@provider_option
@batch_option(100, "Samples at a time.")
@sharing_options
@output_options
def run(
    *,
    model: str,
    data: str,
    images: ImageOptions,
    output: str | None,
    spikes: str | None,
    terminal: Terminal,
    **options: Any,
) -> None:
    """Run a network and say what it spent: spikes, synaptic operations, energy against the ANN.

    A network that does not spike (the source of a conversion) is run as its file is, for comparison.
    """
    from onnx2snn.evaluation.answers import (  # noqa: PLC0415 - nothing heavy before the options are understood
        run_all,
    )

    if output:
        check_output(output, model, data, suffix=".npz")
    if spikes:
        check_output(spikes, model, data, output, suffix=".npz")
    if options.get("resume"):
        check_output(options["resume"], model, data, output, spikes, suffix=None)
    samples = open_for(model, data, images)
    began = time.perf_counter()
    with track(terminal, "running", len(samples)) as done:
        evaluation = run_all(model, samples, output=output, spikes=spikes, progress=done, **options)
    show_costs(terminal, evaluation, time.perf_counter() - began)
    if output:
        terminal.show(Text(f"outputs and spike counts: {output}, {file_size(output)}"))
    if spikes:
        terminal.show(Text(f"spike trains: {spikes}, {file_size(spikes)}"))
    terminal.result({"model": model, "output": output, "spike_trains": spikes, **evaluation.to_dict()})
