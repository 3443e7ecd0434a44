"""``onnx2snn evaluate``: accuracy and cost on a data set of any size."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from onnx2snn.cli.cost_table import show_costs
from onnx2snn.cli.data_options import data_option, open_for
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.progress import track
from onnx2snn.cli.running_options import batch_option, execution_options, provider_option, sharing_options
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.listings import SPIKE_COLUMNS

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions


@click.command(
    cls=Command,
    columns=SPIKE_COLUMNS,
    epilog="onnx2snn evaluate snn.onnx --data test.npz\n"
    "onnx2snn evaluate snn.onnx --data imagenet/val --workers 8 --resume val.json",
)
@click.argument("model", type=PATH, metavar="MODEL.onnx")
@data_option(required=True)
@execution_options(
    "fused counts the same spikes at the cost of one pass. Default: what a compiled network was made for, else fused."
)
@provider_option
@batch_option(100, "Samples at a time.")
@sharing_options
@output_options
def evaluate(
    *,
    model: str,
    data: str,
    images: ImageOptions,
    batch: int,
    resume: str | None,
    terminal: Terminal,
    **options: Any,
) -> None:
    """Measure accuracy, spikes, synaptic operations and energy, and their spread over samples.

    Of a network that does not spike (the source of a conversion): accuracy and the energy of its multiply-accumulates.
    """
    import onnx2snn  # noqa: PLC0415 - nothing heavy before the options are understood

    if resume:
        check_output(resume, model, data, suffix=None)
    samples = open_for(model, data, images)
    began = time.perf_counter()
    with track(terminal, "evaluating", len(samples)) as advance:
        evaluation = onnx2snn.evaluate(
            model, samples, batch=batch, resume=resume, progress=advance, **options
        )
    show_costs(terminal, evaluation, time.perf_counter() - began)
    terminal.result(evaluation.to_dict())
