"""``onnx2snn verify``: the same answers, neuron by neuron, or the reason why not."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.console import RenderableType
from rich.text import Text

from onnx2snn.cli.data_options import DATA_HELP, data_option, open_for
from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.progress import track
from onnx2snn.cli.running_options import batch_option, execution_options, provider_option, sharing_options
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.listings import CERTIFICATE_COLUMNS, certificate_listing, nearness_listing
from onnx2snn.units import count, duration, percent, steps_in_words, things

if TYPE_CHECKING:
    from onnx2snn.certificate.certificate import (
        Certificate,
        Defect,
        InterpreterCheck,
        LayerCounts,
        MapCheck,
        OutputCheck,
    )
    from onnx2snn.data import DataSet, ImageOptions

_SHOWN = 3  # defects, of the ten that --json gives
_ALONE = "one sample at a time: operators that were kept take the samples of a batch together"


@click.command(
    cls=Command,
    columns=CERTIFICATE_COLUMNS,
    epilog="onnx2snn verify ann.onnx snn.onnx\n"
    "onnx2snn verify ann.onnx snn.onnx --data test.npz --html report.html",
)
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("snn", type=PATH, metavar="OUT.onnx")
@data_option(required=False, help_text=f"{DATA_HELP} Without any, samples are drawn that aim at thresholds.")
@execution_options("The execution to check. Default: what a compiled network was made for, else spiking.")
@provider_option
@batch_option()
@sharing_options
@click.option("--html", type=PATH, metavar="PATH", help="Also write the certificate as a page.")
@output_options
def verify(
    *,
    source: str,
    snn: str,
    data: str | None,
    images: ImageOptions,
    html: str | None,
    terminal: Terminal,
    **options: Any,
) -> int:
    """Compare the spiking network OUT.onnx, as converted or compiled, with its source IN.onnx, neuron by neuron.

    First the networks alone: both networks' synapses and thresholds. Then the data: every neuron's level on every sample.

    Exit code 0: every difference (if there is any) lies within the rounding of float32; 1: some do not. A rate-coded network,
    or a calibrated one beside its float source, is an approximation: values and answers are compared, and the code is 1.
    """
    import onnx2snn  # noqa: PLC0415 - nothing heavy before the options are understood
    from onnx2snn.certificate.samples import COUNT as DRAWN  # noqa: PLC0415

    if html:
        check_output(html, source, snn, data, suffix=".html")
    began = time.perf_counter()
    samples = open_for(source, data, images) if data else None
    with track(terminal, "verifying", DRAWN if samples is None else len(samples)) as advance:
        certificate = onnx2snn.verify(source, snn, samples, progress=advance, **options)
    facts = certificate.to_dict()
    _say(terminal, certificate, facts["layers"], time.perf_counter() - began)
    terminal.result(facts)
    if html:
        ways = {name: options[name] for name in ("batch", "providers")}
        _write_page(source, snn, samples, certificate, html, **ways)
        terminal.show(Text(f"certificate: {html}"))
    return 0 if certificate.lossless else 1


def _write_page(
    source: str, snn: str, samples: DataSet | None, certificate: Certificate, html: str, **ways: Any
) -> None:
    from onnx2snn.certificate.samples import drawn_for  # noqa: PLC0415
    from onnx2snn.report import write_report  # noqa: PLC0415 - an extra

    write_report(source, snn, samples or drawn_for(source), html, certificate=certificate, **ways)


def _say(terminal: Terminal, found: Certificate, layers: Sequence[Mapping[str, Any]], seconds: float) -> None:
    verdict = "[bold green]lossless[/]" if found.lossless else "[bold red]not lossless[/]"
    drawn = " (drawn; half of them aim at thresholds)" if found.generated else ""
    parts = [fitted(certificate_listing(layers)), _maps(found.maps), *_hidden(found.layers)]
    if found.approximate:
        verdict, drawn = "[bold yellow]an approximation, not lossless[/]", " (drawn)" if drawn else ""
        parts = [fitted(nearness_listing(layers))]
    agreement, steps = found.top1_agreement, steps_in_words(found.timesteps, found.steps)
    terminal.show(
        f"{verdict}: {count(found.samples)} samples{drawn}, {steps}; {duration(seconds)}",
        *parts,
        *([_ALONE] if found.one_at_a_time else []),
        *(["exact: float32 rounds nothing in any layer, whatever the input"] if found.exact else []),
        *_outputs(found.outputs),
        f"largest output error {_number(found.max_abs_error)}, mean {_number(found.mean_abs_error)}"
        + (f", top-1 agreement {percent(agreement)}" if agreement is not None else ""),
        *(Text(line, overflow="fold") for line in found.words()),
    )
    if found.interpreter is not None:
        terminal.show(_beside(found.interpreter))
    first = {defect.layer: defect for defect in reversed(found.defects)}  # one a layer
    for defect in [d for d in found.defects if d is first[d.layer]][:_SHOWN]:
        terminal.show(_described(defect))
    if found.accuracy:
        terminal.show(f"accuracy: ANN {percent(found.accuracy['ann'])}, SNN {percent(found.accuracy['snn'])}")


def _maps(maps: Sequence[MapCheck]) -> RenderableType:
    """One line where synapses and thresholds agree, one a layer where they do not."""
    wrong = [m for m in maps if m.differing or m.thresholds]
    if not wrong:
        largest = max((m.largest for m in maps), default=0.0)
        measured = (
            "" if all(m.rigorous for m in maps) else " (in part measured: operators that have no bound)"
        )
        return (
            f"synapses and thresholds agree: at most {percent(largest)} of the rounding bound apart{measured}"
        )
    lines = [
        f"{m.name}: {count(m.differing)} potentials and {count(m.thresholds)} thresholds differ whatever the data"
        for m in wrong
    ]
    return Text("\n".join(lines), style="red")


def _hidden(layers: Sequence[LayerCounts]) -> list[RenderableType]:
    """One line where the source's file does not show every layer's levels."""
    names = [layer.name for layer in layers if layer.read_from != "file"]
    if not names:
        return []
    shown = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    return [
        Text(
            f"levels of {things(len(names), 'layer')} were read from the source's normalised form, as its file holds them "
            f"nowhere: {shown}; its outputs are the file's"
        )
    ]


def _outputs(outputs: Sequence[OutputCheck]) -> list[RenderableType]:
    """One line an output that is not the file's."""
    return [
        Text(
            f"output {output.name}: {things(output.unexplained, 'number')} unexplained, "
            f"largest difference {_number(output.max_abs_error)}",
            style="red",
        )
        for output in outputs
        if output.unexplained
    ]


def _beside(interpreter: InterpreterCheck) -> str:
    """Answers beside those of the interpreter of the source's own file."""
    top = interpreter.top1_agreement
    return (
        f"beside {interpreter.name}'s interpreter: {percent(interpreter.equal)} of the outputs are equal, "
        f"largest difference {_number(interpreter.max_abs_error)}"
        + (f", top-1 agreement {percent(top)}" if top is not None else "")
    )


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "infinite"


def _described(defect: Defect) -> Text:
    """One unexplained difference, with the numbers that make it one."""
    where = f"{defect.layer}, neuron {tuple(defect.neuron)}"
    where += "" if defect.sample is None else f", sample {defect.sample}"
    lines = [
        f"  cause:   {defect.reason}",
        f"  values:  ANN {_number(defect.ann)}, SNN {_number(defect.snn)}, bound {_number(defect.bound)}",
    ]
    if defect.potential is not None:
        threshold = "" if defect.threshold is None else f", threshold {defect.threshold:.9g}"
        lines.append(f"  z:       {defect.potential:.9g}{threshold}")
    return Text.assemble(("unexplained: ", "bold red"), (where, "bold"), "\n", "\n".join(lines))
