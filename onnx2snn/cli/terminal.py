"""What a command prints: tables for people, one object for machines, nothing if asked to be quiet."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console, RenderableType
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])


_UNLIMITED = 10_000


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def make_console(*, stderr: bool = False) -> Console:
    """A console that colours only on a terminal and heeds NO_COLOR.

    Elsewhere, in a pipe or a file, lines are as long as they are: what is searched there must not be cut or wrapped.
    """
    console = _Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _UNLIMITED
    return console


@dataclass(frozen=True)
class Terminal:
    """Where the words of one command go.

    Attributes:
        as_json: Print exactly one JSON object on stdout and nothing else there.
        quiet: Print nothing but errors.
        verbose: Print what happens inside, on stderr.
    """

    as_json: bool
    quiet: bool
    verbose: bool

    @cached_property
    def out(self) -> Console:
        """Standard output, for people."""
        console = make_console()
        console.quiet = self.as_json or self.quiet
        return console

    @cached_property
    def err(self) -> Console:
        """Standard error: progress and remarks."""
        console = make_console(stderr=True)
        console.quiet = self.quiet
        return console

    def show(self, *parts: RenderableType) -> None:
        """Print for people; a Text keeps its lines whole, so that commands can be copied, unless it is told to fold."""
        for part in parts:
            self.out.print(part, soft_wrap=isinstance(part, Text) and part.overflow is None)

    def result(self, facts: dict[str, Any]) -> None:
        """Print for machines, if machines asked."""
        if self.as_json:
            click.echo(json.dumps(facts, indent=2, ensure_ascii=False, default=_plain))

    def working(self, message: str) -> AbstractContextManager[Any]:
        """A spinner while something short of measurable goes on; only on a terminal."""
        if self.err.is_terminal and not self.quiet:
            return self.err.status(message)
        return _nothing()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _plain(value: Any) -> Any:
    """What JSON does not know: NumPy's numbers and arrays."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return str(value)


def output_options(command: Command) -> Command:
    """Add --json, --quiet and --verbose; the command receives them as one ``terminal``."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
    @click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Also say what happens inside.")
    @wraps(command)
    def with_terminal(*args: Any, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> Any:
        terminal = Terminal(as_json, quiet, verbose)
        _show_log(terminal)
        return command(*args, terminal=terminal, **options)

    return with_terminal  # type: ignore[return-value]


def _show_log(terminal: Terminal) -> None:
    logger = logging.getLogger("onnx2snn")
    logger.setLevel(logging.DEBUG if terminal.verbose else logging.WARNING)
    logger.handlers = [_Log(terminal.err)]


class _Log(logging.Handler):
    """What the user should know, and, if asked, what happens inside: a line each, above whatever moves on the terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = Text.assemble(("Note:", "bold yellow"), " ", message)
        else:
            text = Text(message, style="dim")
        self._console.print(text, soft_wrap=True)
