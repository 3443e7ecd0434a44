"""``onnx2snn convert``, or just ``onnx2snn in.onnx out.onnx``."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import RenderableType
from rich.text import Text

from onnx2snn.cli.calibrate import calibration_lines
from onnx2snn.cli.calibration_options import Timesteps, exact_option
from onnx2snn.cli.data_options import data_option, open_for
from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, dendrite_note, next_commands, non_spiking_notes
from onnx2snn.cli.progress import track_total
from onnx2snn.cli.running_options import batch_option
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.listings import LAYER_COLUMNS, layer_listing
from onnx2snn.units import duration, file_size, steps_in_words, things

if TYPE_CHECKING:
    from onnx2snn.conversion import Conversion
    from onnx2snn.data import ImageOptions

_UNWRITTEN = (
    "it equals the quantised network, which is not written: give --quantised PATH, and verify certifies it"
)


@click.command(
    cls=Command,
    columns=LAYER_COLUMNS,
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
    "--timesteps",
    type=Timesteps(),
    help="Time steps T of calibrated activations (K = 2^T - 1 levels), or 'auto'; with --coding rate of any network. "
    "Default: 4, in a rate code 32; a quantised network brings its own, ceil(log2(K + 1)).",
)
@click.option(
    "--coding",
    type=click.Choice(["binary", "rate"]),
    default="binary",
    show_default=True,
    help="What a spike carries: 2^(T-t), or 1 as in earlier conversions (plain IF neurons, an approximation).",
)
@click.option(
    "--quantised",
    type=PATH,
    metavar="PATH",
    help="With --calibrate: also write the ANN that OUT.onnx equals.",
)
@click.option("--hybrid", is_flag=True, help="Keep operators that cannot spike and report them.")
@exact_option
@click.option(
    "--check",
    type=PATH,
    metavar="PATH",
    help="Data on which the graph is run and compared after each pass, too.",
)
@click.option(
    "--no-check",
    is_flag=True,
    help="Write OUT.onnx as it is; otherwise it is loaded in onnxruntime first, and has to answer one drawn sample as IN.onnx "
    "does.",
)
@data_option(
    required=False,
    name="--calibrate",
    help_text="Data from which the clipping of float ReLUs is chosen: .npz, .npy, a folder of such shards, "
    "or of images by class.",
)
@batch_option()
@output_options
def convert(
    *,
    source: str,
    target: str,
    data: str | None,
    check: str | None,
    no_check: bool,
    images: ImageOptions,
    timesteps: Any,
    quantised: str | None,
    terminal: Terminal,
    **options: Any,
) -> None:
    """Convert the quantised network IN.onnx into the spiking network OUT.onnx."""
    import onnx2snn  # noqa: PLC0415

    if timesteps is not None and data is None and options["coding"] == "binary":
        raise click.UsageError(
            "--timesteps belongs to --calibrate: a quantised network brings its own time steps"
        )
    if quantised is not None and data is None:
        raise click.UsageError("--quantised belongs to --calibrate: this network is quantised already")
    if no_check and check:
        raise click.UsageError("--check compares more, --no-check nothing: give one of them")
    check_output(target, source, data, check)
    if quantised is not None:
        check_output(quantised, source, data, check, target)
    began = time.perf_counter()
    with _watching(terminal, source, calibrating=data is not None) as progress:
        conversion = onnx2snn.convert(
            source,
            calibrate=open_for(source, data, images) if data else None,
            check=open_for(source, check, images) if check else False if no_check else None,
            timesteps=timesteps,
            progress=progress,
            **options,
        )
    conversion.save(target)
    if quantised is not None and conversion.calibration is not None:
        conversion.calibration.save(quantised)
    facts = {"source": source, "model": target, "seconds": round(time.perf_counter() - began, 3)}
    _say(terminal, conversion, facts, verified=quantised or source, used=data)


@contextmanager
def _watching(terminal: Terminal, source: str, *, calibrating: bool) -> Iterator[Any]:
    """A bar where there is something to measure, else a spinner."""
    if calibrating:
        with track_total(terminal, f"calibrating {source}") as progress:
            yield progress
    else:
        with terminal.working(f"converting {source}"):
            yield lambda _done, _total: None


def _say(
    terminal: Terminal, conversion: Conversion, facts: dict[str, Any], *, verified: str, used: str | None
) -> None:
    """Print what was made; ``verified`` is the file of the network that it equals, ``used`` what calibrated it."""
    calibration, target = conversion.calibration, facts["model"]
    layers = [dataclasses.asdict(layer) for layer in conversion.layers]
    opened = any(None in layer["shape"] for layer in layers)
    neurons = None if opened else sum(layer["neurons"] for layer in layers)
    counted = "as many neurons as the sizes of the data make" if opened else things(neurons or 0, "neuron")
    data = ["--data", used] if used else []
    # Beside the float network there is nothing to certify.
    certified = not calibration or verified != facts["source"]
    terminal.show(
        Text.assemble((facts["source"], "bold"), " → ", (target, "bold")),
        f"{things(len(layers), 'layer')} of neurons, {counted}, "
        f"{steps_in_words(conversion.timesteps, conversion.steps)}; "
        f"{file_size(target)}, {duration(facts['seconds'])}",
        fitted(layer_listing(layers)),
        *dendrite_note(layers),
        *non_spiking_notes(conversion.non_spiking, conversion.macs),
        *_tried(conversion.tried),
        *(Text(note) for note in conversion.notes),
        *_checks(conversion),
        *(calibration_lines(calibration.to_dict()) if calibration else []),
        *([] if certified or conversion.coding == "rate" else [Text(_UNWRITTEN)]),
        next_commands(
            command_line("verify", verified, target, *data) if certified else command_line("inspect", target),
            command_line("run", target, *(data or ["--data", "DATA.npz"])),
        ),
    )
    terminal.result({**facts, "neurons": neurons, "layers": layers, **_told(conversion)})


def _told(conversion: Conversion) -> dict[str, Any]:
    """What ``--json`` says of a conversion beside its layers."""
    calibration = conversion.calibration
    return {
        "timesteps": conversion.timesteps,
        "steps_to_answer": conversion.steps,
        "non_spiking": [dataclasses.asdict(operator) for operator in conversion.non_spiking],
        "macs": dict(conversion.macs),
        "tried": conversion.tried,
        "notes": list(conversion.notes),
        "checks": dict(conversion.checks),
        **({"calibration": calibration.to_dict()} if calibration else {}),
    }


def _tried(found: str) -> list[RenderableType]:
    """One line where the finished network was not seen to answer as its source does."""
    if found in ("equal", "explained"):
        return []
    return [Text(f"not compared with the source: {found}", style="yellow")]


def _checks(conversion: Conversion) -> list[str]:
    if not conversion.checks:
        return []
    name, worst = max(conversion.checks, key=lambda check: check[1])
    passes = len(conversion.checks)
    return [f"checked after each of {passes} passes: largest relative change {worst:.2g}, after {name}"]
