"""The options that say how a network is run: by which execution, on what, how much at a time, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from onnx2snn.cli.helping import PATH
from onnx2snn.runtime.choices import BACKENDS, EXECUTIONS

Command = TypeVar("Command", bound=Callable[..., Any])


def execution_options(help_text: str) -> Callable[[Command], Command]:
    """Add ``--execution``, of which ``help_text`` tells the default, and ``--backend``."""

    def decorate(command: Command) -> Command:
        backend = click.option(
            "--backend",
            type=click.Choice(BACKENDS),
            default="onnxruntime",
            show_default=True,
            help="What runs the network; events (pip install 'onnx2snn[events]') does no work for silent neurons.",
        )
        executions = click.Choice(EXECUTIONS)
        return click.option("--execution", type=executions, help=help_text)(backend(command))

    return decorate


AT_MOST = "Samples at a time, at most. Default: as many as memory is meant for."


def batch_option(
    default: int | None = None, help_text: str = AT_MOST, *, least: int = 1
) -> Callable[[Command], Command]:
    """Add ``--batch``, of which there are two kinds: a bound (without ``default``), and the size that a result depends on.

    Args:
        default: Samples at a time, where the command takes exactly as many.
        help_text: What it says.
        least: The fewest that make sense.
    """
    return click.option(
        "--batch",
        type=click.IntRange(least),
        metavar="N",
        default=default,
        show_default=default is not None,
        help=help_text,
    )


def provider_option(command: Command) -> Command:
    """Add ``--provider``; the command receives ``providers``."""
    return click.option(
        "--provider",
        "providers",
        multiple=True,
        metavar="NAME",
        help="Execution provider of onnxruntime, for example CUDAExecutionProvider; repeat it for others to fall back to. "
        "Default: the CPU.",
    )(command)


def sharing_options(command: Command) -> Command:
    """Add ``--workers``, ``--ray`` and ``--resume``: who does the work, and where it continues."""
    for option in (
        click.option(
            "--resume",
            type=PATH,
            metavar="STATE.json",
            help="Continue what this file holds, and keep it up to date.",
        ),
        click.option(
            "--ray",
            is_flag=False,
            flag_value="auto",
            metavar="[ADDRESS]",
            help="Use a Ray cluster: its address, 'local' to start one here, nothing for a running one.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1),
            metavar="N",
            default=1,
            show_default=True,
            help="Processes to use.",
        ),
    ):
        command = option(command)
    return command
