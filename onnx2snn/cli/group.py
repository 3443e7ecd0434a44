"""The command group: which commands there are, what a bare path means, and how anything ends.

0  done                                          3  this network cannot be converted
1  verification found an unexplained difference  4  a file is missing, damaged or not what it should be
2  usage                                        70  a defect of ours (``--verbose`` shows the traceback)
                                               130  interrupted
"""

from __future__ import annotations

import difflib
import importlib
import itertools
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from onnx2snn import __version__
from onnx2snn.cli.failure import explain

_COMMANDS = {
    "convert": "A quantised network becomes a spiking one.",
    "verify": "The same answers, neuron by neuron, or why not.",
    "compile": "A spiking network, to run fast anywhere.",
    "run": "Outputs, spikes, energy against the ANN.",
    "inspect": "What is in a model, before or after conversion.",
    "calibrate": "A float network becomes a quantised one.",
    "snap": "A quantised network that float32 computes exactly.",
    "evaluate": "Accuracy and cost on data of any size.",
    "report": "One page that shows what the network does.",
    "export": "A spiking network for other frameworks (extra: nir).",
    "finetune": "Train for fewer spikes (extra: train).",
}
#: 128 and the number of SIGPIPE, as a shell counts.
_NO_READER = 141
#: Options of every command that may also stand in front of it.
_EVERYWHERE = ("--json", "-q", "--quiet", "-v", "--verbose")


class PathFirstGroup(click.Group):
    """Commands, imported when they are called; ``onnx2snn in.onnx out.onnx`` means ``convert``.

    Args:
        summaries: One line a command. Command ``name`` is the attribute ``name`` of ``package.name``.
        package: Where the commands' modules are.
    """

    def __init__(
        self, *args: Any, summaries: Mapping[str, str], package: str = "onnx2snn.cli", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._summaries = dict(summaries)
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        del ctx
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command; None for an unknown name."""
        del ctx
        if cmd_name not in self._summaries:
            return None
        command: click.Command = getattr(importlib.import_module(f"{self._package}.{cmd_name}"), cmd_name)
        return command

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The short form first: it is what most people want."""
        formatter.write_usage(ctx.command_path, "IN.onnx OUT.onnx [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS] [ARGS]...", prefix=" " * len("Usage: "))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them: help must not wait for torch."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and files: a first word may be either."""
        words = [CompletionItem(n, help=s) for n, s in self._summaries.items() if n.startswith(incomplete)]
        files = [] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")]
        return [*words, *files, *click.Command.shell_complete(self, ctx, incomplete)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``convert`` in front of what is no command.

        1. Options that all commands know may stand in front of the command: they are moved behind it.
        2. An option that is not the group's: it is one of ``convert``.
        3. A path, and a word that can only be one: ``convert``, which says what is wrong with it.
        """
        own = {name for option in self.get_params(ctx) for name in (*option.opts, *option.secondary_opts)}
        leading = list(itertools.takewhile(_EVERYWHERE.__contains__, args))
        rest = args[len(leading) :]
        if rest and not rest[0].startswith("-"):
            args = [rest[0], *leading, *rest[1:]]
        foreign = bool(args) and args[0].startswith("-") and args[0] not in own
        if foreign or _is_path(args, self._summaries):
            args = ["convert", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest."""
        if args[0] not in self._summaries:
            near = difflib.get_close_matches(args[0], self._summaries, 1)
            hint = f"Did you mean '{near[0]}'?" if near else "A model comes first: onnx2snn in.onnx out.onnx."
            raise click.UsageError(f"No such command '{args[0]}'. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def main(  # type: ignore[override]  # its overloads tell two return types apart, here it is either
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **options: Any
    ) -> Any:
        """Run, and turn every way to end into an exit code and a message; no traceback for a user's fault."""
        words = list(sys.argv[1:] if args is None else args)
        if not options.pop("standalone_mode", True):
            return super().main(words, prog_name, standalone_mode=False, **options)
        stdout = sys.stdout
        try:
            result = super().main(words, prog_name, standalone_mode=False, **options)
            code: Any = result if isinstance(result, int) else 0
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough: nothing is left to say, and no place to say it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = _NO_READER
        except SystemExit as end:  # click ends so for the same reason, having put stdout aside
            code = end.code if sys.stdout is stdout else _NO_READER
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last line of defence
            code = explain(error, words)
        sys.exit(code)


def _is_path(args: Sequence[str], commands: Collection[str]) -> bool:
    """Whether the first word is a model's path; a file that is called like a command has to be ``./verify``.

    1. It has a suffix, lies in a folder, or exists.
    2. It is like no command, and another word follows: ``onnx2snn model out.onnx``.
    """
    if not args or args[0] in commands or args[0].startswith("-"):
        return False
    word = args[0]
    if "." in word or os.sep in word or os.path.exists(word):  # noqa: PTH110
        return True
    return len(args) > 1 and not difflib.get_close_matches(word, commands, 1)


@click.group(
    cls=PathFirstGroup,
    summaries=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Shell completion, in the file that your shell reads first:
  bash  eval "$(_ONNX2SNN_COMPLETE=bash_source onnx2snn)"
  zsh   eval "$(_ONNX2SNN_COMPLETE=zsh_source onnx2snn)"
  fish  _ONNX2SNN_COMPLETE=fish_source onnx2snn | source""",
)
@click.version_option(__version__, prog_name="onnx2snn")
def main() -> None:
    """Turn a quantised ONNX network into a spiking one that answers the same.

    \b
    onnx2snn ann.onnx snn.onnx               convert
    onnx2snn verify ann.onnx snn.onnx        the same answers, neuron by neuron?
    onnx2snn run snn.onnx --data data.npz    outputs, spikes, energy

    A path as the first word means convert. Each command has its own --help, with an example.
    """  # noqa: D301 - the escape is meant: click keeps the lines behind a backspace
