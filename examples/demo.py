"""What ``make demo`` shows: a trained network becomes a spiking one that answers the same.

    python examples/demo.py

It types the commands that a user would type, then follows one digit through the network, spike by spike. It
needs neither torch nor training.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

from onnx2snn.cli import main as onnx2snn
from onnx2snn.cli.fitted_tables import fitted
from onnx2snn.data import input_specs, open_data
from onnx2snn.listings import Listing
from onnx2snn.runtime import SpikingSession
from onnx2snn.units import count, percent, si

DIGITS = Path(os.path.relpath(Path(__file__).parent / "digits"))
DATA = DIGITS / "digits.npz"
RESULTS = Path("demo")
SHADES = " ░▒▓█"
NEURONS = 5  # drawn of each layer
INDENT = 24

console = Console(highlight=False)


def main() -> None:
    RESULTS.mkdir(exist_ok=True)
    dense = convert_and_check("digits")
    type_command("run", dense, "--data", DATA)
    draw_one_digit(dense)
    headline("The same network, trained for few spikes")
    sparse = convert_and_check("digits_sparse", "--quiet")
    compare(dense, sparse)


def convert_and_check(name: str, *options: str) -> Path:
    """Convert and verify one network, as a user would."""
    ann, snn = DIGITS / f"{name}.onnx", RESULTS / f"{name}_snn.onnx"
    type_command(ann, snn, *options)
    type_command("verify", ann, snn, "--data", DATA)
    return snn


def compare(*networks: Path) -> None:
    """What each network answers and spends, per image."""
    answers, spent = [], []
    rows = []
    for path in networks:
        batch = next(iter(open_data(DATA, input_specs(path)).batches(1000)))
        result = SpikingSession(path, execution="fused").run(batch.inputs)
        answers.append(next(iter(result.outputs.values())).argmax(axis=1))
        spikes, operations = (
            sum(float(each.mean()) for each in counts.values()) for counts in (result.spikes, result.synops)
        )
        spent.append(spikes)
        row = (
            path.name,
            percent(float((answers[-1] == batch.labels).mean())),
            count(round(spikes)),
            si(operations),
            si(float(result.energy.snn.mean()), "J"),
        )
        rows.append(row)
    console.print()
    console.print(
        fitted(Listing(("Network", "Accuracy", "Spikes/image", "SynOps/image", "Energy/image"), tuple(rows)))
    )
    same = percent(float((answers[0] == answers[-1]).mean()))
    console.print(f"{spent[0] / spent[-1]:.1f} times fewer spikes, the same answer to {same} of the digits")


def type_command(*words: object) -> None:
    """Show a command, run it, and stop with its exit code if it fails."""
    console.print(f"\n[bold green]$[/] [bold]onnx2snn {escape(' '.join(map(str, words)))}[/]", soft_wrap=True)
    try:
        onnx2snn([str(word) for word in words], prog_name="onnx2snn")
    except SystemExit as end:
        if end.code:
            sys.exit(end.code)


def draw_one_digit(snn: Path) -> None:
    """One digit, its spikes layer after layer, and what the network answers."""
    batch = next(iter(open_data(DATA, input_specs(snn)).batches(1)))
    session = SpikingSession(snn)
    result = session.run(batch.inputs)
    trace = session.trace(batch.inputs)
    headline("One digit on its way: rows are neurons, columns time steps, ● a spike")
    draw_picture(next(iter(batch.inputs.values()))[0])
    draw_raster({name: spikes[:, 0] for name, spikes in trace.spikes.items()})
    scores = next(iter(result.outputs.values()))[0]
    label = f" (it is a {batch.labels[0]})" if batch.labels is not None else ""
    console.print(f"\nthe network answers [bold]{int(np.argmax(scores))}[/bold]{label}")


def headline(words: str) -> None:
    console.print()
    console.print(Rule(words, style="dim", align="left"))


def draw_picture(image: np.ndarray) -> None:
    """A picture (1, H, W) in shades, two rows of pixels a line, without its empty rows."""
    pixels = (image[0, ::2] + image[0, 1::2]) / 2
    span = float(np.ptp(pixels)) or 1.0
    levels = np.rint((pixels - pixels.min()) / span * (len(SHADES) - 1)).astype(int)
    for row in levels[levels.any(axis=1)]:
        console.print(" " * INDENT + "".join(SHADES[level] for level in row).rstrip())


def draw_raster(spikes: Mapping[str, np.ndarray]) -> None:
    """Layer l fires during steps l·T to (l + 1)·T, while the next layer integrates: time runs to the right.

    Behind each row stands the level that its spikes write as a binary number, most significant bit first.

    Args:
        spikes: By layer, (T, ...), 0 or 1.
    """
    for position, (name, train) in enumerate(spikes.items()):
        T = len(train)
        before = " " * position * (T + 1)
        console.print()
        for number, row in enumerate(some_that_spike(train.reshape(T, -1)).T):
            title = f"{name[2 - INDENT :]:<{INDENT}}" if number == 0 else " " * INDENT
            marks = "".join("[bold yellow]●[/]" if spike else "[dim]·[/]" for spike in row)
            level = int("".join(str(int(spike)) for spike in row), 2)
            console.print(f"{escape(title)}{before}{marks} [dim]{level}[/]")


def some_that_spike(train: np.ndarray) -> np.ndarray:
    """(T, NEURONS) of the neurons (T, neurons) that spike, evenly spread over the layer."""
    active = np.flatnonzero(train.any(axis=0))
    chosen = np.unique(np.linspace(0, max(len(active) - 1, 0), NEURONS).astype(int))
    return train[:, active[chosen]] if len(active) else train[:, :NEURONS]


if __name__ == "__main__":
    main()
