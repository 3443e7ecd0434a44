"""``onnx2snn finetune``: fewer time steps and fewer spikes for a network that is there already."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from onnx2snn.cli.calibration_options import exact_option
from onnx2snn.cli.data_options import DATA_HELP, data_option, open_for
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, next_commands
from onnx2snn.cli.running_options import batch_option
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.training.finetuning import finetune as run
from onnx2snn.training.records import Epoch, Finetuned, TrainingStep
from onnx2snn.units import count, duration, percent

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions

_POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command(
    cls=Command,
    short_help="Train on for few time steps and few spikes.",
    epilog="onnx2snn finetune relu.onnx sparse.onnx --data train.npz --sparsity 1e-5 --epochs 5",
)
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("target", type=PATH, metavar="OUT.onnx")
@click.option(
    "--timesteps", type=click.IntRange(1, 16), default=4, show_default=True, help="K = 2^T - 1 levels."
)
@click.option(
    "--sparsity",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Loss per spike: more means fewer spikes.",
)
@click.option(
    "--pruning",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Loss per synaptic operation: synapses that are worth less are dropped.",
)
@click.option(
    "--layerwise",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Weight of hidden activations, which learn what they were, beside answers.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=5, show_default=True, help="At most so many.")
@click.option(
    "--learning-rate", type=_POSITIVE, default=1e-3, show_default=True, help="Of Adam, at the beginning."
)
@batch_option(64, "Samples a step.", least=2)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the samples that choose the best epoch.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=0),
    default=0,
    help="Stop after so many epochs without a better one.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same result."
)
@click.option(
    "--checkpoint",
    type=PATH,
    metavar="PATH",
    help="State after each epoch, to go on from after an interruption (default: OUT.onnx.checkpoint).",
)
@exact_option
@click.option("--fresh", is_flag=True, help="Do not go on from a checkpoint.")
@data_option(required=True, help_text=f"{DATA_HELP} What is trained on is kept in memory.")
@output_options
def finetune(
    *,
    source: str,
    data: str,
    images: ImageOptions,
    target: str,
    timesteps: int,
    epochs: int,
    checkpoint: str | None,
    fresh: bool,
    terminal: Terminal,
    **options: Any,
) -> None:
    """Train the network IN.onnx for T time steps and few spikes; write OUT.onnx.

    Its activations become QCFS. With 'labels' in the data it learns them; without any, to answer as before, whatever it answers.
    A run that was interrupted goes on where it was when the same command is given again.
    """
    state = Path(checkpoint or f"{target}.checkpoint")
    check_output(target, source, data)
    check_output(str(state), source, data, target, suffix=None)
    if fresh:
        state.unlink(missing_ok=True)
    began = time.perf_counter()
    with _shown(terminal, epochs) as shown:
        result = run(
            source,
            open_for(source, data, images),
            timesteps=timesteps,
            epochs=epochs,
            checkpoint=state,
            on_epoch=shown.epoch,
            on_step=shown.step,
            **options,
        )
    result.save(target)
    snn = target.removesuffix(".onnx") + "_snn.onnx"
    terminal.show(
        Text.assemble((source, "bold"), " → ", (target, "bold")),
        f"T = {timesteps} time steps, {_facts(result.best)} (epoch {result.best.number})"
        f"{_before(result)}; {duration(time.perf_counter() - began)}",
        *([Text(f"weights stay float: {result.unrounded}", style="yellow")] if result.unrounded else []),
        next_commands(command_line(target, snn), command_line("verify", target, snn, "--data", data)),
    )
    terminal.result(
        {
            "model": target,
            "timesteps": timesteps,
            "unrounded": result.unrounded,
            "best": _plain(result.best),
            "epochs": [_plain(epoch) for epoch in result.history],
        }
    )


def _before(result: Finetuned) -> str:
    """How far answers were from the source's before training, where that is what was learned."""
    before = result.history[0].error
    return "" if math.isnan(before) else f"; error {percent(before)} before training"


def _plain(epoch: Epoch) -> dict[str, Any]:
    """JSON knows no NaN."""
    facts = {**asdict(epoch), "error": epoch.error}
    return {n: None if isinstance(v, float) and math.isnan(v) else v for n, v in facts.items()}


def _facts(epoch: Epoch) -> str:
    right = "" if math.isnan(epoch.accuracy) else f", {percent(epoch.accuracy)} right"
    right += "" if math.isnan(epoch.error) else f", error {percent(epoch.error)}"
    left = "" if epoch.synapses == 1 else f", {percent(epoch.synapses)} of the synapses"
    return f"loss {epoch.held_out_loss:.4f}{right}, {count(round(epoch.spikes))} spikes a sample{left}"


class _EpochTable:
    """A line for each epoch; on a terminal also a bar that moves within it."""

    def __init__(self, terminal: Terminal, epochs: int, bar: Progress | None) -> None:
        self._terminal, self._epochs, self._bar = terminal, epochs, bar
        self._task = bar.add_task("reading", total=None, facts="") if bar else None
        self._began = time.monotonic()

    def epoch(self, epoch: Epoch) -> None:
        name = "calibrated" if epoch.number == 0 else f"epoch {epoch.number}/{self._epochs}"
        left = (self._epochs - epoch.number) * epoch.seconds
        remaining = f", {duration(left)} left" if epoch.number and left else ""
        self._terminal.err.print(f"{name}: {_facts(epoch)}{remaining}")

    def step(self, step: TrainingStep) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                description=f"epoch {step.epoch}/{self._epochs}",
                completed=(step.epoch - 1) * step.total + step.done,
                total=self._epochs * step.total,
                facts=f"loss {step.loss:.4f}, {count(round(step.spikes))} spikes a sample",
            )


@contextmanager
def _shown(terminal: Terminal, epochs: int) -> Iterator[_EpochTable]:
    if terminal.quiet or not terminal.err.is_terminal:
        yield _EpochTable(terminal, epochs, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, TimeRemainingColumn(), console=terminal.err, transient=True) as bar:
        yield _EpochTable(terminal, epochs, bar)
