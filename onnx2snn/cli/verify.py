"""``onnx2snn verify``: the same answers, neuron by neuron, or the reason why not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from onnx2snn.cli.data_options import DATA_HELP, data_option, open_for
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.progress import track
from onnx2snn.cli.tables import make_table, names_of
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.units import count, duration, percent

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions

_COLUMNS = ("neurons", "levels_compared", "exact", "ambiguous", "propagated", "unexplained")
_SHOWN = 3  # defects, of the ten that --json gives


@click.command(
    cls=Command,
    epilog="onnx2snn verify ann.onnx snn.onnx\n"
    "onnx2snn verify ann.onnx snn.onnx --data test.npz --html report.html",
)
@click.argument("source", type=PATH, metavar="IN.onnx")
@click.argument("snn", type=PATH, metavar="OUT.onnx")
@data_option(required=False, help_text=f"{DATA_HELP} Without any, samples are drawn that aim at thresholds.")
@click.option(
    "--execution",
    type=click.Choice(["spiking", "fused", "streaming"]),
    default="spiking",
    show_default=True,
    help="The execution to check.",
)
@click.option(
    "--backend",
    type=click.Choice(["onnxruntime", "numpy"]),
    default="onnxruntime",
    show_default=True,
    help="What runs the spiking network.",
)
@click.option("--html", type=PATH, metavar="PATH", help="Also write the certificate as a page.")
@output_options
def verify(
    *,
    source: str,
    snn: str,
    data: str | None,
    images: ImageOptions,
    execution: str,
    backend: str,
    html: str | None,
    terminal: Terminal,
) -> int:
    """Compare the spiking network OUT.onnx with its source IN.onnx, neuron by neuron.

    Exit code 0: every difference (if there is any) lies within the rounding of float32; 1: some do not.
    """
    import onnx2snn  # noqa: PLC0415 - nothing heavy before the options are understood
    from onnx2snn.certificate.samples import COUNT as DRAWN  # noqa: PLC0415
    from onnx2snn.data.writer import check_folder  # noqa: PLC0415

    if html:
        check_folder(html)
    began = time.perf_counter()
    samples = open_for(source, data, images) if data else None
    with track(terminal, "verifying", DRAWN if samples is None else len(samples)) as advance:
        certificate = onnx2snn.verify(
            source, snn, samples, execution=execution, backend=backend, progress=advance
        )
    facts = certificate.to_dict()
    _say(terminal, facts, time.perf_counter() - began)
    terminal.result(facts)
    if html:
        _write_page(source, snn, samples, certificate, html)
        terminal.show(Text(f"certificate: {html}"))
    return 0 if certificate.lossless else 1


def _write_page(source: str, snn: str, samples: Any, certificate: Any, html: str) -> None:
    from onnx2snn.report import write_report  # noqa: PLC0415 - an extra

    write_report(source, snn, samples, html, certificate=certificate)


def _say(terminal: Terminal, facts: dict[str, Any], seconds: float) -> None:
    lossless, samples = facts["lossless"], facts["samples"]
    verdict = "[bold green]lossless[/]" if lossless else "[bold red]not lossless[/]"
    table = make_table("Layer", "Neurons", "Compared", "Exact", "Ambiguous", "Propagated", "Unexplained")
    names = names_of(layer["name"] for layer in facts["layers"])
    for layer in facts["layers"]:
        numbers = [count(layer[column]) for column in _COLUMNS]
        table.add_row(names[layer["name"]], *numbers, style="red" if layer["unexplained"] else "")
    drawn = " (drawn; half of them aim at thresholds)" if facts["generated"] else ""
    agreement = facts.get("top1_agreement")
    terminal.show(
        f"{verdict}: {count(samples)} samples{drawn}, T = {facts['timesteps']}, {duration(seconds)}",
        table,
        f"largest output error {facts['max_abs_error']:.3g}"
        + (f", top-1 agreement {percent(agreement)}" if agreement is not None else ""),
    )
    for defect in facts["defects"][:_SHOWN]:
        terminal.show(_described(defect))
    accuracy = facts.get("accuracy")
    if accuracy:
        terminal.show(f"accuracy: ANN {percent(accuracy['ann'])}, SNN {percent(accuracy['snn'])}")


def _described(defect: dict[str, Any]) -> Text:
    """One unexplained difference, with the numbers that make it one."""
    where = f"{defect['layer']}, neuron {tuple(defect['neuron'])}, sample {defect['sample']}"
    lines = [f"  cause:   {defect['reason']}", f"  values:  ANN {defect['ann']:g}, SNN {defect['snn']:g}"]
    if defect["potential"] is not None:
        z, threshold, bound = (defect[name] for name in ("potential", "threshold", "bound"))
        lines.append(f"  z:       {z:.9g}, threshold {threshold:.9g}, bound {bound:.2g}")
    return Text.assemble(("unexplained: ", "bold red"), (where, "bold"), "\n", "\n".join(lines))
