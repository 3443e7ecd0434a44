"""``onnx2snn compile``: a spiking network becomes one that runs fast anywhere."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.text import Text

from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, next_commands
from onnx2snn.cli.running_options import batch_option
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.units import duration, file_size


@click.command(cls=Command, epilog="onnx2snn compile snn.onnx fast.onnx --execution int8 --count synops")
@click.argument("source", type=PATH, metavar="SNN.onnx")
@click.argument("target", type=PATH, metavar="FAST.onnx")
@click.option(
    "--execution",
    type=click.Choice(["spiking", "fused", "int8", "step"]),
    default="fused",
    show_default=True,
    help="What flows: spikes, whole levels in one pass (int8: in 8-bit integers), or one time step a call, states in and out.",
)
@click.option(
    "--count",
    type=click.Choice(["spikes", "synops", "nothing"]),
    default="nothing",
    show_default=True,
    help="What is counted: outputs 'spikes/<layer>', and with synops 'synops/<layer>'.",
)
@batch_option(help_text="Samples at a time, fixed: for runtimes that want all sizes known.")
@click.option(
    "--opset",
    type=click.IntRange(1),
    help="Version of ONNX's operators, 17 or later. Default: the oldest that has the network's.",
)
@click.option(
    "--no-check",
    is_flag=True,
    help="Write FAST.onnx as it is; otherwise it is loaded in onnxruntime first, and has to answer one drawn sample as SNN.onnx "
    "does.",
)
@output_options
def compile(source: str, target: str, *, no_check: bool, terminal: Terminal, **options: Any) -> None:  # noqa: A001 - the command
    """Write the spiking network SNN.onnx as FAST.onnx, in plain ONNX operators that any runtime executes."""
    import onnx2snn  # noqa: PLC0415

    check_output(target, source)
    began = time.perf_counter()
    with terminal.working(f"compiling {source}"):
        compiled = onnx2snn.compile(source, check=not no_check, **options)
    compiled.save(target)
    took = round(time.perf_counter() - began, 3)
    nodes, opset = (
        len(compiled.network.structure.graph.node),
        compiled.network.structure.opset_import[0].version,
    )
    terminal.show(
        Text.assemble((source, "bold"), " → ", (target, "bold")),
        f"{compiled.execution}, counting {compiled.count}: {nodes} operators of opset {opset}; "
        f"{file_size(target)}, {duration(took)}",
        *(
            []
            if compiled.tried in ("equal", "explained")
            else [Text(f"not compared: {compiled.tried}", style="yellow")]
        ),
        next_commands(command_line("run", target, "--data", "DATA.npz")),
    )
    terminal.result(
        {
            "source": source,
            "model": target,
            "seconds": took,
            "execution": compiled.execution,
            "count": compiled.count,
            "opset": opset,
            "operators": nodes,
            "tried": compiled.tried,
        }
    )
