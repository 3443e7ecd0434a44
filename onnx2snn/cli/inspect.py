"""``onnx2snn inspect``: what is in a model, before or after conversion."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.cli.helping import PATH, Command
from onnx2snn.cli.layers import command_line, next_commands
from onnx2snn.cli.targets import check_output
from onnx2snn.cli.terminal import Terminal, output_options
from onnx2snn.listings import ACTIVATION_COLUMNS, activation_listing, layer_listing
from onnx2snn.units import steps_in_words

if TYPE_CHECKING:
    from onnx2snn.activations.recognise import Rejected
    from onnx2snn.inspection import Activation, Inspection
    from onnx2snn.roles import Share


@click.command(
    cls=Command,
    columns=ACTIVATION_COLUMNS,
    epilog="onnx2snn inspect ann.onnx",
)
@click.argument("model", type=PATH, metavar="MODEL.onnx")
@click.option(
    "--tag",
    type=PATH,
    metavar="FILE.onnx",
    help="Write the source with a description on every node of what becomes of it, for viewers such as Netron.",
)
@output_options
def inspect(*, model: str, tag: str | None, terminal: Terminal) -> None:
    """Show layers, staircases and their formulas, before or after conversion."""
    import onnx2snn  # noqa: PLC0415 - nothing heavy before the options are understood

    if tag is not None:
        check_output(tag, model)
    inspection = onnx2snn.inspect_model(model)
    if tag is not None:
        inspection.tag(tag)
    _say(terminal, model, inspection)
    terminal.result({"model": model, **inspection.to_dict()})


def _say(terminal: Terminal, model: str, inspection: Inspection) -> None:
    kind = "a spiking network" if inspection.spiking else "a network to convert"
    steps = f", {steps_in_words(inspection.timesteps, inspection.steps)}" if inspection.timesteps else ""
    operators = ", ".join(f"{number} {name}" for name, number in inspection.operators.items())
    terminal.show(
        Text.assemble((model, "bold"), f": {kind}{steps}"),
        Text.assemble(("inputs: ", "dim"), "; ".join(inspection.inputs)),
        Text.assemble(("operators: ", "dim"), operators, overflow="fold"),
    )
    if inspection.share is not None:
        terminal.show(*_share(inspection.share))
    if inspection.layers:
        terminal.show("", fitted(layer_listing(inspection.layers)))
    elif inspection.activations:
        terminal.show("", _table(inspection.activations))
    if inspection.refusal is not None:
        terminal.show(*_refusal(inspection.refusal, inspection.obstacles))
    for miss in inspection.rejected:
        terminal.show(
            Text.assemble(("\nno staircase: ", "yellow"), (f"{miss.node} ({miss.operator})", "bold")),
            Text(f"  cause:   {miss.reason}\n  remedy:  {miss.remedy}"),
        )
    if inspection.refusal is None and not inspection.spiking:
        terminal.show(next_commands(command_line(model, f"{Path(model).with_suffix('')}_snn.onnx")))


def _share(share: Share) -> list[Text]:
    """How much spikes: of nodes that carry signals, and of multiply-accumulates."""
    nodes = ", ".join(f"{count} {role}" for role, count in share.nodes.items())
    macs = (
        ""
        if share.of_macs is None
        else f", {share.of_macs:.1%} of {share.macs['ann']:,} multiply-accumulates"
    )
    return [
        Text.assemble(("spiking: ", "dim"), f"{share.of_nodes:.1%} of the nodes{macs}", overflow="fold"),
        Text.assemble(("nodes: ", "dim"), nodes, overflow="fold"),
    ]


def _refusal(refusal: Rejected, obstacles: int) -> list[Text]:
    """What ``convert`` says, and how many operators are in its way."""
    operator = f" ({refusal.operator})" if refusal.operator else ""
    where = f"{refusal.node}{operator}" if refusal.node else ""
    counted = f"; {obstacles} obstacles" if obstacles > 1 else ""
    return [
        Text.assemble(("\ndoes not convert: ", "red"), (where, "bold"), counted),
        Text(f"  cause:   {refusal.reason}\n  remedy:  {refusal.remedy}"),
    ]


def _table(activations: Sequence[Activation]) -> Table:
    """One quantised activation a row: its formula, and the nodes that compute it below."""
    formulas = (Text.assemble(a.formula, ("\n" + " → ".join(a.nodes), "dim")) for a in activations)
    listing = activation_listing(map(dataclasses.asdict, activations))
    return fitted(listing, "Formula, and the nodes that compute it", formulas)
