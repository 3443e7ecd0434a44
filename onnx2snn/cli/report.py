"""``onnx2snn report``: one page that shows what the network does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from onnx2snn.cli.data_options import ParamType, data_option, open_for
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.progress import track
from onnx2snn.cli.running_options import batch_option, provider_option
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.units import count, file_size, percent, si, steps_in_words

if TYPE_CHECKING:
    from onnx2snn.data import DataSet, ImageOptions
    from onnx2snn.report.report_facts import ReportFacts, SweepPoint


class NeuronName(ParamType):
    """``layer:12`` or ``layer:3,10,4``; the layer's name may hold colons itself."""

    name = "LAYER:INDEX"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """The layer's name, and an index for each axis or one for all."""
        if isinstance(value, tuple):
            return value
        layer, _, index = str(value).rpartition(":")
        if not layer or not all(part.isdecimal() for part in index.split(",")):
            self.fail(
                f"'{value}' is no neuron; give layer:12, or layer:3,10,4 with one number an axis", param, ctx
            )
        return layer, tuple(int(part) for part in index.split(","))


@click.command(
    cls=Command,
    epilog="onnx2snn report ann.onnx snn.onnx --data test.npz\n"
    "onnx2snn report ann.onnx snn.onnx --data test.npz --html report.html\n"
    "onnx2snn report ann.onnx snn.onnx --data test.npz --json",
)
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("snn", type=PATH, metavar="OUT.onnx")
@data_option(required=True)
@click.option(
    "--html",
    type=PATH,
    metavar="PATH",
    help="Where the page is written: one file that needs no network. Default: OUT_report.html beside OUT.onnx; none with --json.",
)
@click.option(
    "--sample",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    show_default=True,
    help="The sample whose spikes are drawn.",
)
@click.option(
    "--neuron",
    "neurons",
    type=NeuronName(),
    multiple=True,
    help="A neuron to draw, as layer:12 or layer:3,10,4; repeat it for more. Without any, some are chosen.",
)
@click.option(
    "--sweep",
    type=PATH,
    metavar="PATH",
    help="Draw accuracy over T: points from a .json file, [{code, T, accuracy}, ...]; or a float network .onnx, "
    "which is then calibrated for T = 1 to 6 and measured.",
)
@click.option(
    "--calibrate",
    type=PATH,
    metavar="PATH",
    help="Data that chooses the clipping of the float network of --sweep.",
)
@provider_option
@batch_option()
@output_options
def report(
    *,
    source: str,
    snn: str,
    data: str,
    images: ImageOptions,
    html: str | None,
    sample: int,
    neurons: tuple[tuple[str, tuple[int, ...]], ...],
    sweep: str | None,
    batch: int | None,
    calibrate: str | None,
    providers: tuple[str, ...],
    terminal: Terminal,
) -> int:
    """Draw the network, its spikes, its energy and its certificate on one page.

    Exit code 0: the conversion is lossless; 1: verification found a difference that rounding does not explain.
    """
    from onnx2snn.report import gather, require_libraries, write_page  # noqa: PLC0415 - an extra

    if html is None and not terminal.as_json:
        html = f"{snn.removesuffix('.onnx')}_report.html"
    if html:
        check_output(html, source, snn, data, suffix=".html")
        require_libraries()
    samples = open_for(source, data, images)
    stage = functools.partial(track, terminal)
    by_layer: dict[str, list[tuple[int, ...]]] = {}
    for layer, index in neurons:
        by_layer.setdefault(layer, []).append(index)
    points: Sequence[SweepPoint] = ()
    if sweep:
        points = _points(sweep, calibrate, samples, images, stage, providers=providers)
    ways: dict[str, Any] = {"batch": batch, "providers": providers, "track": stage}
    facts = gather(source, snn, samples, sample=sample, neurons=by_layer, sweep=points, **ways)
    if html:
        write_page(facts, html)
        _say(terminal, facts, html)
    terminal.result({"html": html, **facts.to_dict()})
    return 0 if facts.certificate.lossless else 1


def _points(
    sweep: str,
    calibrate: str | None,
    samples: DataSet,
    images: ImageOptions,
    stage: Callable[[str, int], AbstractContextManager[Callable[[int], None]]],
    *,
    providers: tuple[str, ...],
) -> Sequence[SweepPoint]:
    """Points of the sweep, read or measured."""
    from onnx2snn.report import read_sweep, run_sweep, sweep_size  # noqa: PLC0415

    if sweep.endswith(".json"):
        return read_sweep(sweep)
    if calibrate is None:
        raise click.UsageError(f"--sweep {sweep} has to be calibrated: give --calibrate DATA")
    with stage("sweeping", sweep_size(samples)) as advance:
        data = open_for(sweep, calibrate, images)
        return run_sweep(sweep, data, samples, providers=providers, progress=advance)


def _say(terminal: Terminal, facts: ReportFacts, html: str) -> None:
    certificate, energy = facts.certificate, facts.energy[0]
    verdict = "[bold green]lossless[/]" if certificate.lossless else "[bold red]not lossless[/]"
    accuracy = certificate.accuracy
    known = f", accuracy: ANN {percent(accuracy['ann'])}, SNN {percent(accuracy['snn'])}" if accuracy else ""
    ann = "" if energy.ann is None else f", ANN {si(energy.ann, 'J')}"
    terminal.show(
        f"{verdict}: {count(certificate.samples)} samples, {steps_in_words(facts.timesteps, facts.latency.steps)}{known}",
        f"{si(facts.spikes)} spikes a sample; energy: SNN {si(energy.snn, 'J')}{ann}; "
        f"latency {count(facts.latency.steps)} time steps",
        Text(f"report: {html}, {file_size(html)}"),
    )
