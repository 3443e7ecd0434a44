"""``onnx2snn export``: a spiking network for other spiking frameworks."""

from __future__ import annotations

import time
from collections import Counter
from typing import Literal

import click
from rich.text import Text

from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.units import duration, file_size


@click.command(
    cls=Command,
    epilog="onnx2snn ann.onnx rate.onnx --coding rate --timesteps 32\nonnx2snn export rate.onnx --nir rate.nir",
)
@click.argument("source", type=PATH, metavar="SNN.onnx")
@click.option(
    "--nir", "target", type=PATH, required=True, metavar="PATH.nir", help="Write a graph of NIR (extra: nir)."
)
@click.option(
    "--pools",
    type=click.Choice(["sum", "average"]),
    default="sum",
    show_default=True,
    help="What average pools become: SumPool2d (Sinabs, Norse), or AvgPool2d (snnTorch).",
)
@click.option(
    "--no-check",
    is_flag=True,
    help="Write the graph as it is; otherwise its neurons have to send what SNN.onnx sends on one drawn sample.",
)
@output_options
def export(
    source: str, *, target: str, pools: Literal["sum", "average"], no_check: bool, terminal: Terminal
) -> None:
    """Write the spiking network SNN.onnx in NIR, the exchange format of spiking frameworks.

    Rate-coded networks become NIR's own neurons, which other frameworks read; binary-coded ones a circuit of its other
    primitives. The documentation says which framework makes what of them.
    """
    from onnx2snn.exchange import export_nir, require_nir  # noqa: PLC0415 - an extra

    require_nir()
    check_output(target, source, suffix=".nir")
    began = time.perf_counter()
    with terminal.working(f"exporting {source}"):
        graph = export_nir(source, target, pools=pools, check=not no_check)
    took = round(time.perf_counter() - began, 3)
    nodes = dict(sorted(Counter(type(node).__name__ for node in graph.nodes.values()).items()))
    terminal.show(
        Text.assemble((source, "bold"), " → ", (target, "bold")),
        f"{graph.metadata['coding']!s} code: {', '.join(f'{n} {name}' for name, n in nodes.items())}; "
        f"{len(graph.edges)} edges; {file_size(target)}, {duration(took)}",
    )
    terminal.result(
        {"source": source, "graph": target, "seconds": took, "nodes": nodes, "edges": len(graph.edges)}
    )
