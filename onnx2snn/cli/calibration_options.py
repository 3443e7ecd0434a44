"""The options that say how a float network is calibrated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]  # generic in its stubs, not in every version that runs
else:
    _ParamType = click.ParamType


class Timesteps(_ParamType):
    """A number of time steps, or ``auto``."""

    name = "T"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """A positive number, or the word."""
        if value == "auto" or isinstance(value, int):
            return value  # type: ignore[no-any-return]
        if not str(value).isdecimal() or not int(value):
            self.fail(f"'{value}' is no number of time steps; give one, for example 4, or auto", param, ctx)
        return int(value)


def exact_option(command: Command) -> Command:
    """Add --exact/--no-exact."""
    return click.option(
        "--exact/--no-exact",
        default=True,
        show_default=True,
        help="Weights, biases and inputs on grids on which float32 adds exactly, or as they are fitted.",
    )(command)


def calibration_options(command: Command) -> Command:
    """Add --method, --per-channel/--per-layer, --max-loss and --samples, under the names of ``onnx2snn.calibrate``."""
    for option in (
        click.option(
            "--samples",
            type=click.IntRange(1),
            default=256,
            show_default=True,
            help="Samples that corrections are fitted on.",
        ),
        click.option(
            "--max-loss",
            type=click.FloatRange(0),
            default=0.1,
            show_default=True,
            help="With --timesteps auto: percentage points of accuracy (without labels: of agreement) that may be lost.",
        ),
        click.option(
            "--per-channel/--per-layer",
            "per_channel",
            default=None,
            help="One threshold per channel, or per layer (default: what is better).",
        ),
        click.option(
            "--method",
            type=click.Choice(["auto", "mse", "percentile", "max"]),
            default="auto",
            show_default=True,
            help="How thresholds are chosen: layer by layer with corrections, or least squared error, 99.9 %, "
            "or the largest activation.",
        ),
    ):
        command = option(command)
    return command
