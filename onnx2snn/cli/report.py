"""``onnx2snn report``: one page that shows what the network does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text

from onnx2snn.cli.data_options import data_option, open_for
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.cli.units import file_size

if TYPE_CHECKING:
    from onnx2snn.data import ImageOptions


@click.command(
    epilog="Example: onnx2snn report ann.onnx snn.onnx --data test.npz --html report.html",
)
@click.argument("source", metavar="IN.onnx")
@click.argument("snn", metavar="OUT.onnx")
@data_option(required=True)
@click.option(
    "--html", metavar="PATH", required=True, help="Where the page is written: one file, no network."
)
@output_options
def report(*, source: str, snn: str, data: str, images: ImageOptions, html: str, terminal: Terminal) -> None:
    """Draw the network, its spikes, its energy and its certificate on one page."""
    from onnx2snn.data.writer import check_folder  # noqa: PLC0415
    from onnx2snn.report import write_report  # noqa: PLC0415 - an extra

    check_folder(html)
    with terminal.working(f"reporting on {snn}"):
        facts = write_report(source, snn, open_for(source, data, images), html)
    terminal.show(Text(f"report: {html}, {file_size(html)}"))
    terminal.result(facts)
